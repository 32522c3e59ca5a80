"""What the gateway has measured and the cloud has not confirmed, safe from power cuts.

One thread writes. Reports that arrive while it is busy share its next commit, so durability costs
one fsync for many reports. While the disk refuses, reports wait in memory and are sent from there.
"""

import contextlib
import fcntl
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO

import structlog

from edge_agent.clock import Clock, ClockEvent
from edge_agent.outbox.report_storage import ReportStorage
from edge_agent.outbox.sqlite.checksums import ReportRow
from edge_agent.outbox.sqlite.database import OutboxError, connect_to_read, is_damage
from edge_agent.outbox.sqlite.report_table import as_reports, is_usable, rows_after
from edge_agent.outbox.sqlite.row_format import MAX_SAMPLES, Report, StoredReport
from edge_agent.outbox.status import DrainRate, OutboxStatus

_log = structlog.get_logger(__name__)

_GATHER_S = 0.02
"""Under load a commit waits as long as the last one took, but no longer than this: what arrives
meanwhile shares its fsync."""
_FAST_S = 0.002
"""On a disk this fast nothing waits."""
_ROOM_S = 1.0

Listener = Callable[[Sequence[StoredReport]], None]
_Work = list[tuple[Sequence[Report], Mapping[str, str], "Future[None]"]]


class Outbox:
    """The durable queue of a gateway. All methods may be called from any thread.

    ``max_bytes`` bounds the file and its log; ``max_age_s`` how long a sample is worth keeping.
    ``clock`` re-stamps samples that were measured before the clock was right.
    ``memory_samples`` bounds what is kept while the disk refuses. Raises OutboxError where another
    agent uses the file.
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
        self._lock_file = _take_lock(path)

        self._queue = threading.Condition()
        self._waiting: _Work = []
        self._acknowledged: tuple[int, int] | None = None
        self._closing = False

        self._database = threading.RLock()
        self._storage = ReportStorage(path, max_bytes, memory_samples, self._clock.shift_ms)
        self._reading = threading.Lock()
        self._reader: sqlite3.Connection | None = None
        self._reader_of: tuple[int, bool] | None = None
        self._last_commit_s = self._last_room_s = self._gather_s = 0.0
        self._writer = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._writer.start()

    # -- for the acquisition -------------------------------------------------------------------

    def put(self, reports: Sequence[Report], entries: Mapping[str, str] | None = None) -> None:
        """Take reports in; they are durable when this returns (unless ``status().problem``).

        ``kept`` are texts to be found again by ``kept``: durable together with the reports.
        """
        self.submit(reports, entries).result()

    def submit(
        self, reports: Sequence[Report], entries: Mapping[str, str] | None = None
    ) -> "Future[None]":
        """The same without waiting; the future is done when they are durable."""
        future: Future[None] = Future()
        with self._queue:
            if self._closing:
                raise OutboxError("the outbox is closed")
            self._waiting.append((reports, entries or {}, future))
            self._queue.notify()
        return future

    def entries(self) -> dict[str, str]:
        """The texts that were kept last, by name."""
        with self._database:
            return dict(self._storage.entries.texts)

    def status(self) -> OutboxStatus:
        """How it is doing."""
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
        """Write what is waiting and let go of the file."""
        with self._queue:
            self._closing = True
            self._queue.notify()
        self._writer.join()
        with self._reading:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
        with self._database:
            self._storage.close()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    # -- for the uplink ------------------------------------------------------------------------

    def listen(self, listener: Listener | None) -> None:
        """Call ``listener`` with reports just after they became durable, in the writer's thread."""
        self._listener = listener

    def read(self, after: int, max_samples: int) -> list[StoredReport]:
        """Reports with numbers above ``after``, in order, of about ``max_samples`` samples.

        Ends before samples whose time is not known yet. Reports may be empty (given up);
        confirmed ones are left out.
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
        """The cloud has stored all batches up to ``through``; False where that cannot be."""
        with self._queue:
            if through >= self._storage.state.next_batch:
                return False
            if self._acknowledged is not None:
                through = max(through, self._acknowledged[0])
            self._acknowledged = (through, now_ms)
            self._queue.notify()
            return True

    def numbers(self) -> tuple[int, int]:
        """The lowest batch number that is held and unconfirmed, and the next one to be given."""
        with self._database:
            return self._storage.oldest()[0], self._storage.state.next_batch

    def next_bdseq(self) -> int:
        """The number of the next session, 0 to 255; remembered before it is used."""
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
        """Say which metrics there are now, by device; the others stay known until confirmed."""
        with self._database:
            self._storage.aliases.retire(present, self._storage.state.next_batch)
            self._storage.commit()

    def needed_metrics(self, device: str | None) -> dict[str, int]:
        """Metrics and aliases that reports of the device may still carry."""
        return self._storage.aliases.needed(device, self._storage.state.ack_through)

    def devices(self) -> set[str]:
        """Every device that reports in the outbox may belong to."""
        return {d for d in self._storage.aliases.devices() if self.needed_metrics(d)}

    def note_clock(self, event: ClockEvent) -> None:
        """Take in what happened to the clock."""
        with self._database:
            self._storage.note_clock(event)

    # -- the writer's thread -------------------------------------------------------------------

    def _run(self) -> None:
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
                work, self._waiting = self._waiting, []
                acknowledged, self._acknowledged = self._acknowledged, None
                closing = self._closing
            self._do(work, acknowledged)
            if closing and not work:
                return

    def _do(self, work: _Work, acknowledged: tuple[int, int] | None) -> None:
        refused: dict[Future[None], Exception] = {}
        fresh: list[StoredReport] = []
        with self._database:
            numbering = self._storage.numbering
            for reports, entries, future in work:
                try:
                    for report in reports:
                        fresh.extend(self._storage.take_in(report))
                    for name, text in entries.items():
                        self._storage.entries.put(name, text)
                except Exception as error:  # noqa: BLE001  # the caller's mistake goes to the caller
                    refused[future] = error
            if acknowledged is not None:
                self._storage.confirm(*acknowledged)
            begun_s = time.monotonic()
            self._storage.commit()
            if work:
                took_s = time.monotonic() - begun_s
                self._gather_s = min(_GATHER_S, took_s) if took_s > _FAST_S else 0.0
            if numbering != self._storage.numbering:
                fresh.clear()  # they got other numbers; the uplink will read them from the file
            now_s = time.monotonic()
            if now_s - self._last_room_s >= _ROOM_S or len(fresh) > 100:
                self._storage.evict(self._oldest_allowed_ms())
                self._last_room_s = now_s
            self._rate.note(now_s, self._storage.state.depth)
            self._last_commit_s = time.monotonic() if work else self._last_commit_s
        for _, _, future in work:
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
        rows: list[ReportRow] = []
        samples = 0
        try:
            with self._reading:
                cursor = rows_after(self._connection_to_read(), after)
                with contextlib.closing(cursor):
                    for row in cursor:
                        rows.append(row)
                        samples += _count(row) + 1
                        if samples >= max_samples:
                            break
        except sqlite3.Error as error:
            with self._reading:
                self._reader_of = None
            if is_damage(error):
                with self._database:
                    self._storage.trouble(error)
                return []
        return rows

    def _connection_to_read(self) -> sqlite3.Connection:
        storage = self._storage
        current = (storage.numbering, storage.problem is None)
        if self._reader is None or self._reader_of != current:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
            self._reader_of = current
            self._reader = connect_to_read(self._path)
        return self._reader


def _count(row: ReportRow) -> int:
    """Samples in the row; a damaged one may say anything."""
    return row[3] if isinstance(row[3], int) and 0 <= row[3] <= MAX_SAMPLES else 0


def _take_lock(path: Path) -> IO[bytes] | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(path.name + ".lock").open("ab")
    except OSError as error:
        _log.error("outbox cannot be locked", path=str(path), reason=str(error))
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise OutboxError(f"{path} is in use by another agent") from error
    return file
