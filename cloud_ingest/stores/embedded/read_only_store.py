"""An embedded store that another process writes, opened for looking only; it may be running."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cloud_ingest.stores.embedded.files import (
    folder,
    import_inbox,
    journal,
    manifest,
    series_catalogue,
)
from cloud_ingest.stores.embedded.files.manifest import Manifest
from cloud_ingest.stores.embedded.files.parquet_parts import PartFiles
from cloud_ingest.stores.embedded.files.summary_file import SummaryFile
from cloud_ingest.stores.embedded.queries import StoreQueries
from cloud_ingest.stores.embedded.snapshot import Layout, Snapshot
from cloud_ingest.stores.latest_samples import LatestSamples
from cloud_ingest.stores.protocol import Resolution, StoreError, StoreUnavailable
from telemetry.batches import SampleBatch
from telemetry.series import Series

TRIES = 20


class ReadOnlyStore(StoreQueries):
    """The half of a SampleStore that reads, true for the moment of each question.

    ``write`` leaves samples in the store's inbox, which the process that writes the store empties.
    """

    def __init__(self, path: Path) -> None:
        if not (path / "journal").is_dir():
            raise StoreUnavailable(f"{path}: no store is here")
        self._folder = path
        self._files = PartFiles(path)
        self._summaries = SummaryFile(path, read_only=True)
        self._lock = threading.Lock()
        self._signs: tuple[object, ...] = ()
        self._view: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """What the folder holds at this moment; read again only where something changed."""
        with self._lock:
            signs = self._read_signs()
            if self._view is None or signs != self._signs:
                self._view = self._load()
                self._signs = signs
            return self._view

    def _read_signs(self) -> tuple[object, ...]:
        """What changes whenever the store does."""
        files = [self._folder / manifest.NAME, *(self._folder / "journal").iterdir()]
        signs: list[object] = []
        for path in sorted(files):
            try:
                state = path.stat()
            except FileNotFoundError:
                continue
            signs.append((path.name, state.st_mtime_ns, state.st_size))
        return tuple(signs)

    def _load(self) -> Snapshot:
        for _ in range(TRIES):
            m = manifest.load(self._folder)
            recent = self._journals(m)
            closed = self._summaries.closed()
            if manifest.load(self._folder) == m and recent is not None:
                circular = series_catalogue.circular(series_catalogue.load(self._folder).values())
                return Snapshot(self._files, self._summaries, Layout(m, closed), recent, circular)
        raise StoreUnavailable(f"{self._folder}: changes faster than it can be read")

    def _journals(self, m: Manifest) -> tuple[SampleBatch, ...] | None:
        found = []
        try:
            for number in folder.journal_numbers(self._folder):
                if number >= m.journal:
                    path = folder.journal_path(self._folder, number)
                    found.append(SampleBatch.concat(journal.read_journal(path)[0]))
        except FileNotFoundError:
            return None
        return tuple(found)

    def series(self) -> list[Series]:
        """The series that were ever registered here."""
        known = series_catalogue.load(self._folder)
        return [known[index] for index in sorted(known)]

    def latest(self, series: Sequence[Series]) -> SampleBatch:
        """The newest sample of each of ``series``."""
        view = self.snapshot()
        newest = LatestSamples()
        newest.update(folder.load_newest(self._folder, view.layout.manifest))
        for batch in view.recent:
            newest.update(batch)
        newest.forget_before(view.layout.manifest.since("raw"))
        return newest.of(np.fromiter((s.index for s in series), np.int32, len(series)))

    def register(self, series: Sequence[Series]) -> None:
        """Refuse series that the store does not know: only its own process can add them."""
        known = series_catalogue.load(self._folder)
        new = [s for s in series if s.index not in known or known[s.index].key != s.key]
        if new:
            raise StoreError(f"{self._folder}: series {new[0].key} is not known to the store yet")

    def write(self, batch: SampleBatch) -> None:
        """Hand samples to the process that writes the store; they are durable at once."""
        import_inbox.leave(self._folder, batch)

    def delete_before(self, time_ms: int, resolution: Resolution = "raw") -> None:
        """Refuse: this process only looks."""
        raise StoreError(
            f"{self._folder}: opened for reading ({resolution} before {time_ms} stays)"
        )

    def maintain(self, now_ms: int) -> None:
        """Nothing is due here."""

    def check(self) -> None:
        """Return if the folder is there."""
        self.snapshot()

    def close(self) -> None:
        """Let go of the files."""
        self._files.close()
        self._summaries.close()
