"""The embedded store: a journal for new samples, Parquet parts for the rest, in one folder.

``write`` appends to the journal (on disk before it returns) and to the memtable. ``maintain``
regularly writes the memtable as sorted Parquet parts, one for each UTC day, and removes the journal.
Queries combine parts and memtables; of samples with the same (series, time) the last one wins.
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
from cloud_ingest.stores.embedded.files import folder, import_inbox, manifest
from cloud_ingest.stores.embedded.files.journal import Journal, JournalContent, recover_journal
from cloud_ingest.stores.embedded.files.manifest import DAY_MS, Manifest
from cloud_ingest.stores.embedded.files.parquet_parts import PartFiles
from cloud_ingest.stores.embedded.files.replacing import sync_folder
from cloud_ingest.stores.embedded.files.series_catalogue import SeriesCatalogue
from cloud_ingest.stores.embedded.files.summary_file import SummaryFile
from cloud_ingest.stores.embedded.memtable import Memtable
from cloud_ingest.stores.embedded.queries import StoreQueries
from cloud_ingest.stores.embedded.snapshot import Layout, Snapshot
from cloud_ingest.stores.latest_samples import LatestSamples
from cloud_ingest.stores.protocol import Resolution, StoreRejected, StoreUnavailable
from cloud_ingest.stores.upkeep import Upkeep
from cloud_ingest.stores.validation import validate_batch
from telemetry.batches import SampleBatch
from telemetry.series import Series

_log = structlog.get_logger()
FLUSH_ROWS = 500_000
"""The memtable is written as parts at this size ..."""
FLUSH_MS = 3_600_000
"""... or at this age."""
WRITER_FLUSHES_AT = 6
"""At this multiple of FLUSH_ROWS the writer itself flushes, unless another thread does."""
WRITER_WAITS_AT = 40
"""At this multiple the writer waits until that thread is done."""


class StoreContents(NamedTuple):
    """The parts and memtables that queries use. It is replaced as a whole."""

    layout: Layout
    memtables: tuple[Memtable, ...]
    """Oldest first; new samples go to the last one."""


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
        self._journal_lock = threading.Lock()
        self._parts_lock = threading.RLock()  # taken before the journal's
        self._state_lock = threading.Lock()  # the innermost; held for moments only
        self._catalogue = SeriesCatalogue(path)
        self._files = PartFiles(path)
        self._summaries = SummaryFile(path)
        self._compactor = Compactor(
            self._files, self._summaries, self._reserve, self._flush_if_full, chunk_rows
        )
        self._closed_at_ms: dict[int, int] = {}
        self._unflushed_since_ms: int | None = None
        self._latest = LatestSamples()
        self._upkeep: Upkeep | None = None
        self._start()

    @classmethod
    def open(cls, configuration: StoreConfiguration, upkeep_s: float) -> Self:
        """Open the store in the configured folder and start its upkeep."""
        assert configuration.path is not None
        try:
            store = cls(folder.store_folder(configuration), configuration.keep)
        except OSError as error:
            raise StoreUnavailable(f"{configuration.path}: {error.strerror or error}") from error
        store._upkeep = Upkeep(store.maintain, upkeep_s)
        return store

    def _start(self) -> None:
        """Load the state from disk."""
        m = manifest.load(self._folder)
        folder.remove_orphans(self._folder, m)
        closed = self._summaries.closed()
        self._next_number = max(m.next_number, *(n + 1 for n in closed.values()), 0)
        self._latest.update(folder.load_latest(self._folder, m))
        memtables: list[Memtable] = []
        content = JournalContent()
        number = m.journal
        for number in folder.journal_numbers(self._folder) or [m.journal]:
            path = folder.journal_path(self._folder, number)
            content = recover_journal(path) if path.exists() else JournalContent()
            memtables.append(Memtable())
            for batch in content.batches:
                memtables[-1].append(batch)
                self._latest.update(batch)
        self._latest.remove_before(m.kept_since("raw"))
        self._journal_number = number
        self._journal = Journal(folder.journal_path(self._folder, number), content.sound_bytes)
        sync_folder(self._folder / "journal")
        self._state = StoreContents(Layout(m, closed), tuple(memtables))

    def register(self, series: Sequence[Series]) -> None:
        """Save what is known of ``series`` in the series catalogue."""
        with self._journal_lock:
            try:
                self._catalogue.register(series)
            except OSError as error:
                raise StoreUnavailable(f"{self._folder}: {error.strerror or error}") from error

    def series(self) -> list[Series]:
        """All series that were ever registered here."""
        return self._catalogue.all()

    def write(self, batch: SampleBatch) -> None:
        """Append samples to the journal and to the memtable."""
        good, rejection = validate_batch(batch)
        if len(good):
            with self._journal_lock:
                self._journal.append(good)
                with self._state_lock:
                    self._state.memtables[-1].append(good)
                    self._latest.update(good)
            self._bound_memory()
        if rejection is not None:
            raise rejection

    def _bound_memory(self) -> None:
        """Have the memtable flushed: by the upkeep thread, or here if it grows too large."""
        backlog = self._rows_in_memory() / self._flush_rows
        if backlog >= 1 and self._upkeep is not None:
            self._upkeep.wake()
        if backlog >= WRITER_FLUSHES_AT and self._parts_lock.acquire(
            blocking=backlog >= WRITER_WAITS_AT
        ):
            try:
                self.flush()
            finally:
                self._parts_lock.release()

    def latest(self, series: Sequence[Series]) -> SampleBatch:
        """The latest sample of each of ``series``, from memory."""
        numbers = np.fromiter((s.index for s in series), np.int32, len(series))
        with self._state_lock:
            return self._latest.of(numbers)

    def snapshot(self) -> Snapshot:
        """The content of the store at this moment."""
        circular = self._catalogue.circular()
        with self._state_lock:
            unflushed = tuple(m.view() for m in self._state.memtables)
            return Snapshot(self._files, self._summaries, self._state.layout, unflushed, circular)

    @property
    def _manifest(self) -> Manifest:
        return self._state.layout.manifest

    def maintain(self, now_ms: int) -> None:
        """Do what is due: flush, summarise days that are over, merge parts, delete old samples."""
        with self._parts_lock:
            self._take_in_inbox()
            if self._flush_is_due(now_ms):
                self.flush()
            while (
                day := compaction.day_to_close(self._layout, now_ms, self._closed_at_ms)
            ) is not None:
                self._close_day(day)
                self._closed_at_ms[day] = now_ms
            while parts := compaction.parts_to_merge(self._layout):
                self._apply(self._compactor.merge(parts))
            self._delete_old(now_ms)
            self._drop_deleted_parts()

    def _take_in_inbox(self) -> None:
        """Store what other processes left. After a crash it is stored again, which is harmless."""
        for path in import_inbox.pending(self._folder):
            for batch in import_inbox.read(path):
                try:
                    self.write(batch)
                except StoreRejected as rejected:
                    _log.warning(
                        "inbox_samples_rejected",
                        file=str(path),
                        samples=len(rejected.rejected),
                        reason=rejected.reasons[0],
                    )
            path.unlink()

    @property
    def _layout(self) -> Layout:
        return self._state.layout

    def _flush_is_due(self, now_ms: int) -> bool:
        rows = self._rows_in_memory()
        if rows == 0:
            self._unflushed_since_ms = None
            return False
        if self._unflushed_since_ms is None:
            self._unflushed_since_ms = now_ms
        return rows >= self._flush_rows or now_ms - self._unflushed_since_ms >= FLUSH_MS

    def _flush_if_full(self) -> None:
        if self._rows_in_memory() >= self._flush_rows:
            self.flush()

    def _rows_in_memory(self) -> int:
        return sum(len(m) for m in self._state.memtables)

    def _close_day(self, day: int) -> None:
        self._apply(self._compactor.close(self._layout, day, self._catalogue.circular()))

    def _reserve(self, how_many: int) -> int:
        """Reserve ``how_many`` numbers for parts; the first of them."""
        first = self._next_number
        self._next_number += how_many
        return first

    def flush(self) -> None:
        """Write all samples that are only in journals as parts."""
        with self._parts_lock:
            state, following = self._rotate_journal()
            self._unflushed_since_ms = None
            samples = SampleBatch.concat([m.view() for m in state.memtables])
            days = _by_day(samples.without_duplicates()) if len(samples) else []
            group = self._reserve(len(days))
            parts = [self._files.write(batch, group + i, group) for i, batch in enumerate(days)]
            with self._journal_lock:
                with self._state_lock:
                    latest = self._latest.all()
                folder.save_latest(self._folder, latest, following, self._manifest.journal)
                m = self._manifest.changed(
                    add=parts, journal=following, next_number=self._next_number
                )
                self._commit(m, drop_memtables=len(state.memtables))
            folder.remove_journals(self._folder, following)

    def _rotate_journal(self) -> tuple[StoreContents, int]:
        """Send new samples to a new journal and memtable; the old state and the new number."""
        with self._journal_lock:
            state = self._state
            following = self._journal_number + 1
            new = Journal(folder.journal_path(self._folder, following))
            sync_folder(self._folder / "journal")
            self._journal.close()
            self._journal, self._journal_number = new, following
            with self._state_lock:
                self._state = StoreContents(state.layout, (*state.memtables, Memtable()))
        return state, following

    def _commit(self, m: Manifest, drop_memtables: int = 0) -> None:
        """Make ``m`` the manifest on disk, then for queries."""
        self._files.sync_folders()
        manifest.save(self._folder, m)
        self._publish(m, drop_memtables)

    def _publish(self, m: Manifest, drop_memtables: int = 0) -> None:
        """Let queries use ``m``, without the oldest memtables."""
        layout = Layout(m, self._summaries.closed())
        with self._state_lock:
            self._state = StoreContents(layout, self._state.memtables[drop_memtables:])

    def _apply(self, result: CompactionResult) -> None:
        if not result.add and not result.drop:
            self._publish(self._manifest)  # only the summaries changed
            return
        self._commit(self._manifest.changed(result.add, result.drop, next_number=self._next_number))
        self._remove(p.file for p in result.drop)

    def _remove(self, files: Iterable[str]) -> None:
        for file in files:
            path = self._folder / file
            path.unlink(missing_ok=True)
            if not any(path.parent.iterdir()):
                path.parent.rmdir()

    def delete_before(self, time_ms: int, resolution: Resolution = "raw") -> None:
        """Delete what is older than ``time_ms``: whole partitions on disk, the rest is hidden.

        The summaries of raw samples are made before these are deleted.
        """
        with self._parts_lock:
            if time_ms <= self._manifest.kept_since(resolution):
                return
            if resolution != "raw":
                self._commit(self._manifest.changed(kept_from={resolution: time_ms}))
                self._summaries.delete_before(resolution, time_ms)
                return
            self._summarise_before(time_ms)
            self._commit(self._manifest.changed(kept_from={"raw": time_ms}))
            with self._state_lock:
                self._latest.remove_before(time_ms)
            self._drop_deleted_parts()

    def _drop_deleted_parts(self) -> None:
        old = compaction.parts_to_delete(self._layout, self._manifest.kept_since("raw"))
        if old:
            self._apply(CompactionResult((), tuple(old)))

    def _summarise_before(self, time_ms: int) -> None:
        last_day = time_ms // DAY_MS
        if any(day < last_day for m in self._state.memtables for day in m.days):
            self.flush()
        for day in sorted(self._layout.days):
            if day < last_day and self._layout.unsummarised(day):
                self._close_day(day)

    def _delete_old(self, now_ms: int) -> None:
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
            if kept is not None and (today - kept) * DAY_MS > self._manifest.kept_since(resolution):
                self.delete_before((today - kept) * DAY_MS, resolution)

    def check(self) -> None:
        """Raise StoreUnavailable unless the folder is writable."""
        if not os.access(self._folder, os.W_OK):
            raise StoreUnavailable(f"{self._folder}: cannot be written")

    def close(self) -> None:
        """Close the files. Samples in the journal stay there for the next start."""
        if self._upkeep is not None:
            self._upkeep.stop()
        with self._parts_lock, self._journal_lock:
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
