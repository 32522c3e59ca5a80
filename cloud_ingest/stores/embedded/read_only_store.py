"""An embedded store opened for reading, while another process may be writing it."""

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
    """A SampleStore that reads what another process writes.

    ``write`` puts samples into the store's inbox; the process that writes the store takes them in.
    """

    def __init__(self, path: Path) -> None:
        if not (path / "journal").is_dir():
            raise StoreUnavailable(f"{path}: no store is here")
        self._folder = path
        self._files = PartFiles(path)
        self._summaries = SummaryFile(path, read_only=True)
        self._lock = threading.Lock()
        self._file_states: tuple[object, ...] = ()
        self._snapshot: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """The content of the folder at this moment; read again only if a file changed."""
        with self._lock:
            states = self._read_file_states()
            if self._snapshot is None or states != self._file_states:
                self._snapshot = self._load()
                self._file_states = states
            return self._snapshot

    def _read_file_states(self) -> tuple[object, ...]:
        """Name, time and size of the files that change whenever the store does."""
        files = [self._folder / manifest.NAME, *(self._folder / "journal").iterdir()]
        states: list[object] = []
        for path in sorted(files):
            try:
                state = path.stat()
            except FileNotFoundError:
                continue
            states.append((path.name, state.st_mtime_ns, state.st_size))
        return tuple(states)

    def _load(self) -> Snapshot:
        for _ in range(TRIES):
            m = manifest.load(self._folder)
            unflushed = self._journals(m)
            closed = self._summaries.closed()
            if manifest.load(self._folder) == m and unflushed is not None:
                circular = series_catalogue.circular(series_catalogue.load(self._folder).values())
                return Snapshot(
                    self._files, self._summaries, Layout(m, closed), unflushed, circular
                )
        raise StoreUnavailable(f"{self._folder}: changes faster than it can be read")

    def _journals(self, m: Manifest) -> tuple[SampleBatch, ...] | None:
        found = []
        try:
            for number in folder.journal_numbers(self._folder):
                if number >= m.journal:
                    path = folder.journal_path(self._folder, number)
                    found.append(SampleBatch.concat(journal.read_journal(path).batches))
        except FileNotFoundError:
            return None
        return tuple(found)

    def series(self) -> list[Series]:
        """All series that were ever registered here."""
        known = series_catalogue.load(self._folder)
        return [known[index] for index in sorted(known)]

    def latest(self, series: Sequence[Series]) -> SampleBatch:
        """The latest sample of each of ``series``."""
        snapshot = self.snapshot()
        latest = LatestSamples()
        latest.update(folder.load_latest(self._folder, snapshot.layout.manifest))
        for batch in snapshot.unflushed:
            latest.update(batch)
        latest.remove_before(snapshot.layout.manifest.kept_since("raw"))
        return latest.of(np.fromiter((s.index for s in series), np.int32, len(series)))

    def register(self, series: Sequence[Series]) -> None:
        """Raise StoreError for unknown series: only the writing process can add them."""
        known = series_catalogue.load(self._folder)
        new = [s for s in series if s.index not in known or known[s.index].key != s.key]
        if new:
            raise StoreError(f"{self._folder}: series {new[0].key} is not known to the store yet")

    def write(self, batch: SampleBatch) -> None:
        """Hand samples to the process that writes the store; they are durable when this returns."""
        import_inbox.put(self._folder, batch)

    def delete_before(self, time_ms: int, resolution: Resolution = "raw") -> None:
        """Raise StoreError: this process only reads."""
        raise StoreError(
            f"{self._folder}: opened for reading ({resolution} before {time_ms} stays)"
        )

    def maintain(self, now_ms: int) -> None:
        """Do nothing: the writing process maintains the store."""

    def check(self) -> None:
        """Raise StoreUnavailable unless the folder can be read."""
        self.snapshot()

    def close(self) -> None:
        """Close the files."""
        self._files.close()
        self._summaries.close()
