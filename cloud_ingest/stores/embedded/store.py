"""The embedded store: what people hold; its parts are in the files beside this one.

``write`` appends to the journal (on disk before it returns) and to the columns in memory. From time
to time ``maintain`` writes these as Parquet parts, sorted, one for each day, and forgets the
journal. Reading takes parts and memory together; of samples with the same (series, time) the one
that came last is right.
"""

import fcntl
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import structlog

from cloud_ingest.stores.configuration import KeepConfiguration, StoreConfiguration
from cloud_ingest.stores.embedded import compaction
from cloud_ingest.stores.embedded.compaction import CompactionResult, Compactor
from cloud_ingest.stores.embedded.files import folder, import_inbox, journal, manifest
from cloud_ingest.stores.embedded.files.journal import Journal
from cloud_ingest.stores.embedded.files.manifest import DAY_MS, Manifest
from cloud_ingest.stores.embedded.files.parquet_parts import PartFiles
from cloud_ingest.stores.embedded.files.series_catalogue import SeriesCatalogue
from cloud_ingest.stores.embedded.files.summary_file import SummaryFile
from cloud_ingest.stores.embedded.memtable import Memtable
from cloud_ingest.stores.embedded.queries import StoreQueries
from cloud_ingest.stores.embedded.snapshot import Layout, Snapshot
from cloud_ingest.stores.latest_samples import LatestSamples
from cloud_ingest.stores.maintenance import Maintenance
from cloud_ingest.stores.protocol import Resolution, StoreRejected, StoreUnavailable
from cloud_ingest.stores.validation import validate_batch
from telemetry.batches import SampleBatch
from telemetry.series import Series

_log = structlog.get_logger()
FLUSH_ROWS = 500_000
MOST_IN_MEMORY = 6
"""Times so many samples: then the writer writes parts itself, if nobody is at it."""
MOST_BEFORE_WAITING = 40
"""Times so many: then it waits for whoever is at it."""
FLUSH_MS = 3_600_000
"""Samples stay in the journal alone at most so long, or until they are so many."""


class State(NamedTuple):
    """What a reader looks at: it is replaced as a whole."""

    layout: Layout
    recent: tuple[Memtable, ...]
    """Oldest first; samples are added to the last one."""


class EmbeddedStore(StoreQueries):
    """A SampleStore in one folder, written by one process."""

    def __init__(
        self,
        path: Path,
        keep: KeepConfiguration | None = None,
        flush_rows: int = FLUSH_ROWS,
        chunk_rows: int = compaction.CHUNK_ROWS,
    ) -> None:
        self._folder = path
        self._keep = keep
        self._flush_rows = flush_rows
        (path / "journal").mkdir(parents=True, exist_ok=True)
        self._lock_file = _lock(path / "lock")
        self._writing = threading.Lock()  # the journal and what it becomes
        self._maintaining = threading.RLock()  # the parts
        self._looking = threading.Lock()  # held for moments only
        self._catalogue = SeriesCatalogue(path)
        self._files = PartFiles(path)
        self._summaries = SummaryFile(path)
        self._compactor = Compactor(
            self._files, self._summaries, self._reserve, self._flush_if_full, chunk_rows
        )
        self._closed_at_ms: dict[int, int] = {}
        self._waiting_since_ms: int | None = None
        self._newest = LatestSamples()
        self._maintenance: Maintenance | None = None
        self._start()

    @classmethod
    def open(cls, configuration: StoreConfiguration, maintenance_s: float) -> Self:
        """Open the store in the configured folder and start its maintenance."""
        assert configuration.path is not None
        try:
            store = cls(folder.of(configuration), configuration.keep)
        except OSError as error:
            raise StoreUnavailable(f"{configuration.path}: {error.strerror or error}") from error
        store._maintenance = Maintenance(store.maintain, maintenance_s)
        return store

    def _start(self) -> None:
        """Take up what is on disk."""
        m = manifest.load(self._folder)
        folder.clear_away(self._folder, m)
        closed = self._summaries.closed()
        self._next_number = max(m.next_number, *(n + 1 for n in closed.values()), 0)
        self._newest.update(folder.load_newest(self._folder, m))
        recent: list[Memtable] = []
        number, sound = m.journal, 0
        for number in folder.journal_numbers(self._folder) or [m.journal]:
            path = folder.journal_path(self._folder, number)
            batches, sound = journal.read_journal(path) if path.exists() else ([], 0)
            recent.append(Memtable())
            for batch in batches:
                recent[-1].append(batch)
                self._newest.update(batch)
        self._newest.forget_before(m.since("raw"))
        self._journal_number = number
        self._journal = Journal(folder.journal_path(self._folder, number), sound)
        manifest.sync_folder(self._folder / "journal")
        self._state = State(Layout(m, closed), tuple(recent))

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
        good, rejection = validate_batch(batch)
        if len(good):
            with self._writing:
                self._journal.append(good)
                with self._looking:
                    self._state.recent[-1].append(good)
                    self._newest.update(good)
            self._bound_memory()
        if rejection is not None:
            raise rejection

    def _bound_memory(self) -> None:
        """Have parts written; in the writer's own time where nobody does it, or too slowly."""
        backlog = self._rows_in_memory() / self._flush_rows
        if backlog >= 1 and self._maintenance is not None:
            self._maintenance.hasten()
        if backlog >= MOST_IN_MEMORY and self._maintaining.acquire(
            blocking=backlog >= MOST_BEFORE_WAITING
        ):
            try:
                self.flush()
            finally:
                self._maintaining.release()

    def latest(self, series: Sequence[Series]) -> SampleBatch:
        """The newest sample of each of ``series``, from memory."""
        numbers = np.fromiter((s.index for s in series), np.int32, len(series))
        with self._looking:
            return self._newest.of(numbers)

    def snapshot(self) -> Snapshot:
        """What the store is at this moment."""
        circular = self._catalogue.circular()
        with self._looking:
            recent = tuple(r.view() for r in self._state.recent)
            return Snapshot(self._files, self._summaries, self._state.layout, recent, circular)

    @property
    def _manifest(self) -> Manifest:
        return self._state.layout.manifest

    def maintain(self, now_ms: int) -> None:
        """Do what is due: write what is in memory as parts, close days, merge, forget."""
        with self._maintaining:
            self._empty_inbox()
            if self._flush_is_due(now_ms):
                self.flush()
            while (
                day := compaction.day_to_close(self._layout, now_ms, self._closed_at_ms)
            ) is not None:
                self._close_day(day)
                self._closed_at_ms[day] = now_ms
            while parts := compaction.parts_to_merge(self._layout):
                self._apply(self._compactor.merge(parts))
            self._forget_old(now_ms)
            self._drop_forgotten()

    def _empty_inbox(self) -> None:
        """Take in what other processes left; a crash on the way only means taking it again."""
        for path in import_inbox.waiting(self._folder):
            for batch in journal.read_journal(path)[0]:
                try:
                    self.write(batch)
                except StoreRejected as rejected:
                    _log.warning("samples in the inbox are refused", reason=rejected.reasons[0])
            path.unlink()

    @property
    def _layout(self) -> Layout:
        return self._state.layout

    def _flush_is_due(self, now_ms: int) -> bool:
        rows = self._rows_in_memory()
        if rows == 0:
            self._waiting_since_ms = None
            return False
        if self._waiting_since_ms is None:
            self._waiting_since_ms = now_ms
        return rows >= self._flush_rows or now_ms - self._waiting_since_ms >= FLUSH_MS

    def _flush_if_full(self) -> None:
        if self._rows_in_memory() >= self._flush_rows:
            self.flush()

    def _rows_in_memory(self) -> int:
        return sum(len(r) for r in self._state.recent)

    def _close_day(self, day: int) -> None:
        self._apply(self._compactor.close(self._layout, day, self._catalogue.circular()))

    def _reserve(self, how_many: int) -> int:
        """The first of so many numbers for parts that nobody else will take."""
        first = self._next_number
        self._next_number += how_many
        return first

    def flush(self) -> None:
        """Write all samples that lie in journals only as parts."""
        with self._maintaining:
            state, following = self._turn_page()
            self._waiting_since_ms = None
            samples = SampleBatch.concat([r.view() for r in state.recent])
            days = _by_day(samples.newest_only()) if len(samples) else []
            group = self._reserve(len(days))
            parts = [self._files.write(batch, group + i, group) for i, batch in enumerate(days)]
            with self._writing:
                with self._looking:
                    newest = self._newest.all()
                folder.save_newest(self._folder, newest, following, self._manifest.journal)
                m = self._manifest.changed(
                    add=parts, journal=following, next_number=self._next_number
                )
                self._swap(m, drop_recent=len(state.recent))
            folder.clear_journals(self._folder, following)

    def _turn_page(self) -> tuple[State, int]:
        """Let new samples go to a new journal; the state without it, and the journal's number."""
        with self._writing:
            state = self._state
            following = self._journal_number + 1
            new = Journal(folder.journal_path(self._folder, following))
            manifest.sync_folder(self._folder / "journal")
            self._journal.close()
            self._journal, self._journal_number = new, following
            with self._looking:
                self._state = State(state.layout, (*state.recent, Memtable()))
        return state, following

    def _swap(self, m: Manifest, drop_recent: int = 0) -> None:
        self._files.sync_folders()
        manifest.save(self._folder, m)
        self._show(m, drop_recent)

    def _show(self, m: Manifest, drop_recent: int = 0) -> None:
        """Let readers see what is on disk now."""
        layout = Layout(m, self._summaries.closed())
        with self._looking:
            self._state = State(layout, self._state.recent[drop_recent:])

    def _apply(self, change: CompactionResult) -> None:
        if not change.add and not change.drop:
            self._show(self._manifest)  # only the summaries know more than before
            return
        self._swap(self._manifest.changed(change.add, change.drop, next_number=self._next_number))
        self._remove(p.file for p in change.drop)

    def _remove(self, files: Iterable[str]) -> None:
        for file in files:
            path = self._folder / file
            path.unlink(missing_ok=True)
            if not any(path.parent.iterdir()):
                path.parent.rmdir()

    def delete_before(self, time_ms: int, resolution: Resolution = "raw") -> None:
        """Forget what is older than ``time_ms``: whole partitions leave the disk, the rest is hidden.

        Before raw samples go, the summaries of their days are made.
        """
        with self._maintaining:
            if time_ms <= self._manifest.since(resolution):
                return
            if resolution != "raw":
                self._swap(self._manifest.changed(kept_from={resolution: time_ms}))
                self._summaries.forget(resolution, time_ms)
                return
            self._summarise_before(time_ms)
            self._swap(self._manifest.changed(kept_from={"raw": time_ms}))
            with self._looking:
                self._newest.forget_before(time_ms)
            self._drop_forgotten()

    def _drop_forgotten(self) -> None:
        old = compaction.forgotten_parts(self._layout, self._manifest.since("raw"))
        if old:
            self._apply(CompactionResult((), tuple(old)))

    def _summarise_before(self, time_ms: int) -> None:
        last_day = time_ms // DAY_MS
        if any(day < last_day for r in self._state.recent for day in r.days):
            self.flush()
        for day in sorted(self._layout.days):
            if day < last_day and self._layout.unsummarised(day):
                self._close_day(day)

    def _forget_old(self, now_ms: int) -> None:
        if self._keep is None:
            return
        today = now_ms // DAY_MS
        days: dict[Resolution, int | None] = {
            "raw": self._keep.raw_days,
            "minute": self._keep.minute_days,
            "hour": self._keep.hour_days,
            "day": self._keep.day_days,
        }
        for resolution, kept in days.items():
            if kept is not None and (today - kept) * DAY_MS > self._manifest.since(resolution):
                self.delete_before((today - kept) * DAY_MS, resolution)

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
            self._summaries.close()
            os.close(self._lock_file)


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreUnavailable(f"{path.parent}: another process writes this store") from error
    return descriptor


def _by_day(batch: SampleBatch) -> list[SampleBatch]:
    """The samples of each UTC day, in the order they have in ``batch``."""
    days = batch.time_ms // DAY_MS
    found = np.unique(days)
    return [batch] if len(found) == 1 else [batch.select(days == day) for day in found]
