"""The embedded store: what people hold; its parts are in the files beside this one.

``write`` appends to the journal (on disk before it returns) and to the columns in memory. From time
to time ``maintain`` writes these as Parquet parts, sorted, one for each day, and forgets the
journal. Reading takes parts and memory together; of samples with the same (series, time) the one
that came last is right.
"""

import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from cloud_ingest.stores import levels
from cloud_ingest.stores.admission import admit
from cloud_ingest.stores.configuration import StoreConfiguration
from cloud_ingest.stores.embedded import journal, manifest
from cloud_ingest.stores.embedded.catalogue import Catalogue
from cloud_ingest.stores.embedded.journal import Journal
from cloud_ingest.stores.embedded.manifest import Manifest
from cloud_ingest.stores.embedded.parts import PartFiles, by_day
from cloud_ingest.stores.embedded.recent import Newest, Recent
from cloud_ingest.stores.maintenance import Maintenance
from cloud_ingest.stores.protocol import (
    Aggregate,
    Envelope,
    Level,
    Readings,
    StoreUnavailable,
)
from telemetry.batches import SampleBatch
from telemetry.series import Series

FLUSH_ROWS = 500_000
PIECE_ROWS = 100_000


class State(NamedTuple):
    """What a reader looks at: it is replaced as a whole."""

    manifest: Manifest
    recent: tuple[Recent, ...]
    """Oldest first; samples are added to the last one."""


class EmbeddedStore:
    """A SampleStore in one folder, written by one process."""

    def __init__(self, folder: Path, flush_rows: int = FLUSH_ROWS) -> None:
        self._folder = folder
        self._flush_rows = flush_rows
        folder.mkdir(parents=True, exist_ok=True)
        self._lock_file = _lock(folder / "lock")
        self._writing = threading.Lock()
        self._maintaining = threading.Lock()
        self._looking = threading.Lock()
        self._catalogue = Catalogue(folder)
        self._files = PartFiles(folder)
        self._newest = Newest()
        self._state = State(manifest.load(folder), ())
        self._open_journals()
        self._maintenance: Maintenance | None = None

    @classmethod
    def open(cls, configuration: StoreConfiguration, maintenance_s: float) -> Self:
        """Open the store in the configured folder and start its maintenance."""
        assert configuration.path is not None
        try:
            store = cls(configuration.path / "samples")
        except OSError as error:
            raise StoreUnavailable(f"{configuration.path}: {error.strerror or error}") from error
        store._maintenance = Maintenance(store.maintain, maintenance_s)
        return store

    def _open_journals(self) -> None:
        m = self._state.manifest
        self._clear_away(m)
        self._newest.update(_load_newest(self._folder, m))
        recent: list[Recent] = []
        number, sound = m.journal, 0
        for number in _journal_numbers(self._folder) or [m.journal]:
            path = _journal_path(self._folder, number)
            batches, sound = journal.read_journal(path) if path.exists() else ([], 0)
            recent.append(Recent())
            for batch in batches:
                recent[-1].append(batch)
                self._newest.update(batch)
        self._journal_number = number
        self._journal = Journal(_journal_path(self._folder, number), sound)
        manifest.sync_folder(self._folder / "journal")
        self._state = State(m, tuple(recent))

    def _clear_away(self, m: Manifest) -> None:
        """Remove what an interrupted flush left behind."""
        (self._folder / "journal").mkdir(exist_ok=True)
        for number in _journal_numbers(self._folder):
            if number < m.journal:
                _journal_path(self._folder, number).unlink()
        known = {p.file for p in m.parts}
        for path in self._folder.glob("*/*/*.parquet"):
            if path.relative_to(self._folder).as_posix() not in known:
                path.unlink()

    def register(self, series: Sequence[Series]) -> None:
        """Keep what is known of ``series``, so that the folder explains itself."""
        with self._writing:
            try:
                self._catalogue.register(series)
            except OSError as error:
                raise StoreUnavailable(f"{self._folder}: {error.strerror or error}") from error

    def series(self) -> list[Series]:
        """The series that were ever registered here."""
        return self._catalogue.all()

    def write(self, batch: SampleBatch) -> None:
        """Put samples into the journal and into memory."""
        good, rejection = admit(batch)
        if len(good):
            with self._writing:
                self._journal.append(good)
                with self._looking:
                    self._state.recent[-1].append(good)
                    self._newest.update(good)
        if rejection is not None:
            raise rejection

    def latest(self, series: Sequence[Series]) -> SampleBatch:
        """The newest sample of each of ``series``, from memory."""
        numbers = np.fromiter((s.index for s in series), np.int32, len(series))
        with self._looking:
            return self._newest.of(numbers)

    def _look(self) -> tuple[Manifest, list[SampleBatch]]:
        with self._looking:
            return self._state.manifest, [r.view() for r in self._state.recent]

    def _samples(self, series: int, start_ms: int, end_ms: int) -> SampleBatch:
        """Samples of one series in the order of time, without duplicates."""
        while True:
            m, views = self._look()
            try:
                return self._merged(m, views, series, start_ms, end_ms)
            except StoreUnavailable:
                # a part may have been replaced between looking and reading
                if self._state.manifest is m:
                    raise

    def _merged(
        self, m: Manifest, views: list[SampleBatch], series: int, start_ms: int, end_ms: int
    ) -> SampleBatch:
        start_ms = max(start_ms, m.raw_from_ms)
        parts = [p for p in m.parts if p.level == "raw"]
        found = [self._files.read(parts, series, series, start_ms, end_ms)]
        for view in views:
            places = np.flatnonzero(view.series == series)
            times = view.time_ms[places]
            places = places[(times >= start_ms) & (times < end_ms)]
            if len(places):
                found.append(view.select(places))
        batch = SampleBatch.concat([f for f in found if len(f)])
        in_order = bool((batch.time_ms[1:] > batch.time_ms[:-1]).all())
        return batch if in_order else batch.newest_only()

    def read(
        self,
        series: Series,
        start_ms: int,
        end_ms: int,
        step_ms: int | None = None,
        aggregate: Aggregate = "mean",
        offset_ms: int = 0,
    ) -> Readings:
        """Samples of ``series``, raw or one value per step."""
        if step_ms is not None:
            return self._summaries(series, start_ms, end_ms, step_ms, offset_ms).readings(aggregate)
        found = self._samples(series.index, start_ms, end_ms)
        return Readings(found.time_ms, found.value, found.quality)

    def _summaries(
        self, series: Series, start_ms: int, end_ms: int, step_ms: int, offset_ms: int
    ) -> Envelope:
        samples = self._samples(series.index, start_ms, end_ms)
        return levels.summarise(samples, step_ms, offset_ms).envelope()

    def read_many(
        self,
        series: Sequence[Series],
        start_ms: int,
        end_ms: int,
        step_ms: int | None = None,
        aggregate: Aggregate = "mean",
        offset_ms: int = 0,
    ) -> list[Readings]:
        """Several series, one after the other."""
        return [self.read(s, start_ms, end_ms, step_ms, aggregate, offset_ms) for s in series]

    def envelope(
        self,
        series: Sequence[Series],
        start_ms: int,
        end_ms: int,
        step_ms: int,
        offset_ms: int = 0,
    ) -> list[Envelope]:
        """Everything known of each step of several series."""
        return [self._summaries(s, start_ms, end_ms, step_ms, offset_ms) for s in series]

    def scan(
        self, series: Sequence[Series], start_ms: int, end_ms: int
    ) -> Iterator[tuple[Series, Readings]]:
        """All samples of ``series`` in pieces."""
        for s in series:
            found = self.read(s, start_ms, end_ms)
            for place in range(0, len(found.time_ms), PIECE_ROWS):
                piece = slice(place, place + PIECE_ROWS)
                yield s, Readings(found.time_ms[piece], found.value[piece], found.quality[piece])

    def count(self, series: Sequence[Series]) -> int:
        """How many distinct (series, time) are stored for ``series``."""
        m, _ = self._look()
        return sum(len(self._samples(s.index, m.raw_from_ms, 1 << 62)) for s in series)

    def delete_before(self, time_ms: int, level: Level = "raw") -> None:
        """Forget samples older than ``time_ms``: whole days go from the disk, the rest is hidden."""
        with self._maintaining, self._writing:
            m = self._state.manifest
            old = [p for p in m.parts if p.level == level and p.last_ms < time_ms]
            self._swap(m.changed(drop=old, raw_from_ms=max(time_ms, m.raw_from_ms)))
            with self._looking:
                self._newest.forget_before(time_ms)
            self._remove([p.file for p in old])

    def maintain(self, now_ms: int) -> None:
        """Write what is in memory as parts once there is enough of it."""
        del now_ms
        if sum(len(r) for r in self._state.recent) >= self._flush_rows:
            self.flush()

    def flush(self) -> None:
        """Write all samples that lie in journals only as parts."""
        with self._maintaining:
            state, following = self._turn_page()
            samples = SampleBatch.concat([r.view() for r in state.recent])
            if not len(samples):
                return
            number = state.manifest.next_number
            parts = [
                self._files.write(batch, day, number + i)
                for i, (day, batch) in enumerate(by_day(samples.newest_only()))
            ]
            m = state.manifest.changed(
                add=parts, journal=following, next_number=number + len(parts)
            )
            with self._writing:
                self._save_newest(m)
                self._swap(m, drop_recent=len(state.recent))
            self._remove(
                [
                    f"journal/{_journal_path(self._folder, n).name}"
                    for n in _journal_numbers(self._folder)
                    if n < following
                ]
            )

    def _turn_page(self) -> tuple[State, int]:
        """Let new samples go to a new journal; the state without it, and the journal's number."""
        with self._writing:
            state = self._state
            following = self._journal_number + 1
            new = Journal(_journal_path(self._folder, following))
            manifest.sync_folder(self._folder / "journal")
            self._journal.close()
            self._journal, self._journal_number = new, following
            with self._looking:
                self._state = State(state.manifest, (*state.recent, Recent()))
        return state, following

    def _swap(self, m: Manifest, drop_recent: int = 0) -> None:
        manifest.save(self._folder, m)
        with self._looking:
            self._state = State(m, self._state.recent[drop_recent:])

    def _save_newest(self, m: Manifest) -> None:
        with self._looking:
            newest = self._newest.all()
        path = self._folder / f"newest-{m.journal}"
        manifest.replace_file(path, journal.encode_block(newest))
        for other in self._folder.glob("newest-*"):
            if other not in (path, self._folder / f"newest-{self._state.manifest.journal}"):
                other.unlink()

    def _remove(self, files: Sequence[str]) -> None:
        for file in files:
            (self._folder / file).unlink(missing_ok=True)

    def check(self) -> None:
        """Return if the folder can be written."""
        if not os.access(self._folder, os.W_OK):
            raise StoreUnavailable(f"{self._folder}: cannot be written")

    def close(self) -> None:
        """Let go of the files; what is in the journal stays there for the next start."""
        if self._maintenance is not None:
            self._maintenance.stop()
        with self._maintaining, self._writing:
            self._journal.close()
            self._files.close()
            os.close(self._lock_file)


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreUnavailable(f"{path.parent}: another process writes this store") from error
    return descriptor


def _journal_path(folder: Path, number: int) -> Path:
    return folder / "journal" / f"{number:010d}"


def _journal_numbers(folder: Path) -> list[int]:
    return sorted(int(p.name) for p in (folder / "journal").iterdir() if p.name.isdigit())


def _load_newest(folder: Path, m: Manifest) -> SampleBatch:
    path = folder / f"newest-{m.journal}"
    if not path.exists():
        return SampleBatch.empty()
    batches, _ = journal.read_journal(path)
    return SampleBatch.concat(batches)
