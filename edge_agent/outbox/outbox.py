"""The durable queue of reports that the cloud has not confirmed.

One thread writes. Reports that arrive during a commit share the next one, so durability costs one
fsync for many reports. While the disk refuses writes, reports stay in memory and are sent from
there.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import structlog

from edge_agent.clock import Clock, ClockEvent
from edge_agent.outbox.file_lock import FileLock
from edge_agent.outbox.report_reader import ReportReader
from edge_agent.outbox.report_storage import ReportStorage
from edge_agent.outbox.sqlite.checksums import ReportRow
from edge_agent.outbox.sqlite.database import OutboxError, is_damage
from edge_agent.outbox.sqlite.report_table import as_reports, is_usable
from edge_agent.outbox.sqlite.row_format import Report, StoredReport
from edge_agent.outbox.status import DrainRate, OutboxStatus

_log = structlog.get_logger(__name__)

_GATHER_S = 0.02
"""Under load a commit is delayed by the duration of the last one, but at most by this: reports
that arrive meanwhile share its fsync."""
_FAST_S = 0.002
"""If the last commit was faster than this, the next one is not delayed."""
_EVICTION_S = 1.0

Listener = Callable[[Sequence[StoredReport]], None]
_Work = list[tuple[Sequence[Report], Mapping[str, str], "Future[None]"]]


class Outbox:
    """The durable queue of a gateway. All methods may be called from any thread.

    ``max_bytes`` bounds the file and its log, ``max_age_s`` the age of samples. ``clock`` re-stamps
    samples that were measured before the time was known. ``memory_samples`` bounds what is kept in
    memory while the disk refuses writes. Raises OutboxError if another agent uses the file.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int = 1_000_000_000,
        max_age_s: float | None = None,
        *,
        clock: Clock | None = None,
        memory_samples: int = 100_000,
    ) -> None:
        self._path = path
        self._max_age_ms = None if max_age_s is None else int(max_age_s * 1000)
        self._clock = Clock() if clock is None else clock
        self._rate = DrainRate()
        self._listener: Listener | None = None
        self._lock = FileLock(path)

        self._queue = threading.Condition()
        self._waiting: _Work = []
        self._in_work: _Work = []
        self._failure: BaseException | None = None
        self._acknowledged: tuple[int, int] | None = None
        self._closing = False

        self._database = threading.RLock()
        self._storage = ReportStorage(path, max_bytes, memory_samples, self._clock.shift_ms)
        self._reader = ReportReader(path)
        self._last_commit_s = self._last_eviction_s = self._gather_s = 0.0
        self._writer = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._writer.start()

    # -- for the acquisition -------------------------------------------------------------------

    def put(self, reports: Sequence[Report], entries: Mapping[str, str] | None = None) -> None:
        """Add reports; they are durable when this returns (unless ``status().problem``).

        ``entries`` are texts by name that become durable together with the reports; the method
        ``entries`` returns them after a restart. Raises OutboxError after ``close`` or a failure.
        """
        self.submit(reports, entries).result()

    def submit(
        self, reports: Sequence[Report], entries: Mapping[str, str] | None = None
    ) -> "Future[None]":
        """The same without waiting: the future is done when the reports are durable."""
        future: Future[None] = Future()
        with self._queue:
            if self._closing:
                raise OutboxError("the outbox is closed")
            if self._failure is not None:
                raise OutboxError(f"the outbox has failed: {self._failure}")
            self._waiting.append((reports, entries or {}, future))
            self._queue.notify()
        return future

    def entries(self) -> dict[str, str]:
        """The texts that were put last, by name."""
        with self._database:
            return dict(self._storage.entries.texts)

    @property
    def failure(self) -> BaseException | None:
        """Why the writer's thread has ended by itself; None while it works or after ``close``."""
        return self._failure

    def status(self) -> OutboxStatus:
        """The present state, for people and programs."""
        with self._database:
            storage = self._storage
            state = storage.state
            _, oldest_ms = storage.oldest()
            return OutboxStatus(
                state.depth, oldest_ms if state.depth else None, state.next_batch,
                state.ack_through, state.measured_total, state.evicted_total, state.last_ack_ms,
                storage.bytes_used(), self._rate.drained_in_s(state.depth), storage.problem,
                storage.clock_jumps, storage.files_set_aside, storage.ready,
                storage.numbering, storage.damaged_rows,
            )  # fmt: skip

    def close(self) -> None:
        """Write what is pending and close the file."""
        with self._queue:
            self._closing = True
            self._queue.notify()
        self._writer.join()
        self._reader.close()
        with self._database:
            self._storage.close(write=self._failure is None)
        self._lock.release()

    # -- for the uplink ------------------------------------------------------------------------

    def listen(self, listener: Listener | None) -> None:
        """Let ``listener`` be called with reports just after they became durable, in the writer's thread."""
        self._listener = listener

    def read(self, after: int, max_samples: int) -> list[StoredReport]:
        """Reports with numbers above ``after``, in order, of about ``max_samples`` samples.

        Ends before samples whose time is not known yet. Reports may be empty (evicted); confirmed
        ones are left out.
        """
        after = max(after, self._storage.state.ack_through)
        aliases = self._storage.aliases
        rows = self._read_rows(after, max_samples)
        damaged = [row for row in rows if not is_usable(row, aliases)]
        if damaged:
            with self._database:
                self._storage.set_aside_rows(damaged)
        reports = as_reports(rows, aliases, {row[0] for row in damaged})
        for i, report in enumerate(reports):
            if not report.stamped:
                return reports[:i]
        full = sum(r.count + 1 for r in reports) >= max_samples
        if self._storage.problem is not None and not full:
            with self._database:
                last = reports[-1].batch if reports else after
                reports.extend(self._storage.in_memory(last))
        return reports

    def confirm(self, through: int, now_ms: int) -> bool:
        """The cloud has stored all batches up to ``through``; False if such a batch does not exist."""
        with self._queue:
            if through >= self._storage.state.next_batch:
                return False
            if self._acknowledged is not None:
                through = max(through, self._acknowledged[0])
            self._acknowledged = (through, now_ms)
            self._queue.notify()
            return True

    def numbers(self) -> tuple[int, int]:
        """The lowest unconfirmed report number that is held, and the next number."""
        with self._database:
            return self._storage.oldest()[0], self._storage.state.next_batch

    def next_bdseq(self) -> int:
        """The bdSeq of the next session, 0 to 255; durable before it is used."""
        with self._database:
            state = self._storage.state
            state.bdseq = (state.bdseq + 1) % 256
            self._storage.save_numbers()
            return state.bdseq

    def aliases(self, device: str | None, names: Sequence[str]) -> dict[str, int]:
        """The alias of each metric, the same after every restart."""
        known = self._storage.aliases
        found = known.assign(device, names)
        if known.unsaved:
            with self._database:
                self._storage.commit()
        return found

    def retire_all_but(self, present: dict[str, list[str]]) -> None:
        """Set the metrics that are measured now, by device. Others stay known until confirmed."""
        with self._database:
            self._storage.aliases.retire(present, self._storage.state.next_batch)
            self._storage.commit()

    def needed_metrics(self, device: str | None) -> dict[str, int]:
        """Metrics and aliases that reports of the device may still carry."""
        return self._storage.aliases.needed(device, self._storage.state.ack_through)

    def devices(self) -> set[str]:
        """Every device to which reports in the outbox may belong."""
        return {d for d in self._storage.aliases.devices() if self.needed_metrics(d)}

    def note_clock(self, event: ClockEvent) -> None:
        """Handle a change of the clock."""
        with self._database:
            self._storage.note_clock(event)

    # -- the writer's thread -------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._write_until_closed()
        except BaseException as error:  # noqa: BLE001  # the agent ends with it
            problem = f"{type(error).__name__}: {error}"
            _log.critical(
                "outbox_writer_failed", path=str(self._path), problem=problem, exc_info=True
            )
            with self._queue:
                self._failure = error
                work, self._waiting = self._in_work + self._waiting, []
            for _, _, future in work:
                if not future.done():
                    future.set_exception(OutboxError(f"the outbox has failed: {problem}"))

    def _write_until_closed(self) -> None:
        while True:
            with self._queue:
                self._queue.wait_for(
                    lambda: self._waiting or self._closing or self._acknowledged, timeout=1.0
                )
            event = self._clock.poll()
            if event is not None:
                self.note_clock(event)
            pause = self._last_commit_s + self._gather_s - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            with self._queue:
                self._in_work, self._waiting = self._waiting, []
                acknowledged, self._acknowledged = self._acknowledged, None
                closing = self._closing
            self._write(self._in_work, acknowledged)
            if closing and not self._in_work:
                return

    def _write(self, work: _Work, acknowledged: tuple[int, int] | None) -> None:
        refused: dict[Future[None], Exception] = {}
        fresh: list[StoredReport] = []
        with self._database:
            numbering = self._storage.numbering
            for reports, entries, future in work:
                future.set_running_or_notify_cancel()  # from here on nobody can cancel it
                try:
                    for report in reports:
                        fresh.extend(self._storage.take_in(report))
                    for name, text in entries.items():
                        self._storage.entries.put(name, text)
                except Exception as error:  # noqa: BLE001  # the caller's mistake is the caller's to handle
                    refused[future] = error
            if acknowledged is not None:
                self._storage.confirm(*acknowledged)
            begun_s = time.monotonic()
            self._storage.commit()
            if work:
                took_s = time.monotonic() - begun_s
                self._gather_s = min(_GATHER_S, took_s) if took_s > _FAST_S else 0.0
            if numbering != self._storage.numbering:
                fresh.clear()  # they have other numbers now; the uplink reads them from the file
            now_s = time.monotonic()
            if now_s - self._last_eviction_s >= _EVICTION_S or len(fresh) > 100:
                self._storage.evict(self._oldest_allowed_ms())
                self._last_eviction_s = now_s
            self._rate.note(now_s, self._storage.state.depth)
            self._last_commit_s = time.monotonic() if work else self._last_commit_s
        for _, _, future in work:
            if future.cancelled():
                continue
            if future in refused:
                future.set_exception(refused[future])
            else:
                future.set_result(None)
        if fresh and self._listener is not None:
            self._listener(fresh)

    def _oldest_allowed_ms(self) -> int | None:
        if self._max_age_ms is None or not self._clock.trusted:
            return None
        return self._clock.now_ms() - self._max_age_ms

    def _read_rows(self, after: int, max_samples: int) -> list[ReportRow]:
        storage = self._storage
        which = (storage.numbering, storage.problem is None)
        rows, error = self._reader.rows(which, after, max_samples)
        if error is not None and is_damage(error):
            with self._database:
                storage.trouble(error)
            return []
        return rows
