"""Stores reports on disk, and in memory while the disk refuses. Not thread-safe."""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from edge_agent.clock import FIRST_TRUSTED_MS, ClockEvent
from edge_agent.outbox.confirmations import Confirmations
from edge_agent.outbox.eviction import Eviction
from edge_agent.outbox.quota import Quota
from edge_agent.outbox.sqlite import database, recovery
from edge_agent.outbox.sqlite.aliases import Aliases
from edge_agent.outbox.sqlite.checksums import ReportRow
from edge_agent.outbox.sqlite.database import OutboxState, save_state, transaction
from edge_agent.outbox.sqlite.key_values import KeyValueEntries
from edge_agent.outbox.sqlite.packing import Packed, packed, renumbered
from edge_agent.outbox.sqlite.report_table import insert_reports, put_aside
from edge_agent.outbox.sqlite.row_format import Report, StoredReport
from edge_agent.outbox.status import lowest_batch, oldest_time_ms
from edge_agent.outbox.write_buffer import WriteBuffer
from telemetry.time.clock import utc_now_ms

_log = structlog.get_logger(__name__)

_RETRY_S = 1.0
_TRIES = 20


class ReportStorage:
    """The file of an outbox, its report numbers and totals.

    ``shift_ms`` turns monotonic time into UTC; None while the clock cannot be trusted.
    """

    def __init__(
        self, path: Path, max_bytes: int, memory_samples: int, shift_ms: int | None
    ) -> None:
        self.aliases = Aliases()
        self.problem: str | None = None
        self.clock_jumps = 0
        self.files_set_aside = 0
        self.damaged_rows = 0
        self.entries = KeyValueEntries()
        self.numbering = 0
        """Changes when report numbers start again. A session must then start again too."""
        self._path = path
        self._quota = Quota(path, max_bytes)
        self._memory_samples = memory_samples
        self._shift_ms = shift_ms
        self._eviction = Eviction()
        self._connection: sqlite3.Connection | None = None
        self._buffer = WriteBuffer()
        self._retry_at_s = 0.0
        # A new outbox starts with the present time as report number, so that its numbers are above
        # those of any outbox before it.
        start = max(1, utc_now_ms())
        self.state = OutboxState(start, start - 1)
        self._is_known = False
        self._confirmations = Confirmations(self.state.ack_through)
        self._open()

    # -- reports -------------------------------------------------------------------------------

    def take_in(self, report: Report) -> list[StoredReport]:
        """Number a report, which may become several; ``commit`` makes them durable."""
        return [self._number(part) for part in packed(report, self.aliases)]

    def _number(self, part: Packed) -> StoredReport:
        time_ms = part.time_ms
        if time_ms < FIRST_TRUSTED_MS and self._shift_ms is not None:
            time_ms += self._shift_ms
        row = StoredReport(self.state.next_batch, part.shape, time_ms, part.count, part.data)
        self.state.next_batch += 1
        self.state.measured_total += part.count
        self._buffer.add(row, self.state.measured_total)
        return row

    def confirm(self, through: int, now_ms: int) -> None:
        """Delete what the cloud has stored."""
        state = self.state
        state.last_ack_ms = now_ms
        if through <= state.ack_through:
            return
        self._confirmations.note(through - state.ack_through)
        state.ack_through = through
        if self._connection is not None:
            try:
                state.confirmed_total += self._confirmations.count(self._connection, through)
            except sqlite3.Error as error:
                self.trouble(error)
        state.confirmed_total += self._buffer.confirmed(through)
        if through == state.next_batch - 1:
            state.evicted_total += state.depth  # nothing is held any more: the disk has lost rows

    def commit(self, *, acks: bool = False) -> bool:
        """Write what was taken in, and confirmations when they are due (or ``acks``).

        False if the disk refuses: everything stays in memory, within bounds, for the next attempt.
        """
        now_s = time.monotonic()
        acks = self._confirmations.are_due(at_once=acks)
        tries = 0
        while self._has_unsaved or acks or self.problem is not None:
            if self.problem is not None and (now_s < self._retry_at_s or tries == _TRIES):
                self._bound_memory()
                return False
            tries += 1
            try:
                self._write(acks=acks or self.problem is not None)
                acks, tries = False, 0
            except sqlite3.Error as error:
                self.trouble(error)
            self.evict(None)
        return True

    @property
    def _has_unsaved(self) -> bool:
        return bool(self._buffer or self.entries or self.aliases.unsaved)

    def save_numbers(self) -> None:
        """Write session number and aliases at once."""
        if self.commit() and self._connection is not None:
            try:
                with transaction(self._connection):
                    save_state(self._connection, self._durable_state())
            except sqlite3.Error as error:
                self.trouble(error)

    def evict(self, oldest_allowed_ms: int | None) -> None:
        """Keep the file within its bounds; see ``eviction``."""
        if self._connection is None or self.problem is not None:
            return
        self._quota.refresh()
        try:
            self._evict(
                lambda connection, state: self._eviction.run(
                    connection, state, self._quota.pages, oldest_allowed_ms
                )
            )
        except sqlite3.Error as error:
            self.trouble(error)

    def _evict(self, run: Callable[[sqlite3.Connection, OutboxState], int]) -> None:
        if self._connection is None:
            return
        durable = self._durable_state().copy()
        evicted = run(self._connection, durable)
        self.state.evicted_total += evicted
        self._log_evicted(evicted)

    def in_memory(self, after: int) -> list[StoredReport]:
        """Reports that the disk refuses; they are sent from memory."""
        if self.problem is None:
            return []
        return self._buffer.after(after)

    def oldest(self) -> tuple[int, int | None]:
        """The lowest unconfirmed report number that is held (or the next number), and the oldest time."""
        state = self.state
        lowest: int | None = None
        time_ms: int | None = None
        readable = False
        if self._connection is not None:
            try:
                lowest = lowest_batch(self._connection, state.ack_through)
                time_ms = oldest_time_ms(self._connection, state.ack_through)
                readable = True
            except sqlite3.Error as error:
                self.trouble(error)
        if not readable and state.depth > self._buffer.samples:
            # The file cannot be read now, but it holds samples that were not evicted.
            return state.ack_through + 1, time_ms
        if self._buffer:
            first, _ = self._buffer[0]
            lowest = first.batch if lowest is None else lowest
            time_ms = first.time_ms if time_ms is None else time_ms
        return state.next_batch if lowest is None else lowest, time_ms

    def set_aside_rows(self, rows: Sequence[ReportRow]) -> None:
        """Move damaged rows to their own table for inspection; their samples count as evicted."""
        if self._connection is None:
            return
        durable = self._durable_state().copy()
        try:
            with transaction(self._connection):
                lost = put_aside(self._connection, rows, durable.measured_total)
                durable.evicted_total += lost
                save_state(self._connection, durable)
        except sqlite3.Error as error:
            self.trouble(error)
            return
        self.state.evicted_total += lost
        self.damaged_rows += len(rows)
        _log.error("outbox_rows_damaged", rows=len(rows),
                   first=rows[0][0], samples=lost, path=str(self._path))  # fmt: skip

    def bytes_used(self) -> int:
        """Bytes of the file that are in use."""
        try:
            return 0 if self._connection is None else database.used_bytes(self._connection)
        except sqlite3.Error as error:
            self.trouble(error)
            return 0

    # -- time ----------------------------------------------------------------------------------

    def note_clock(self, event: ClockEvent) -> None:
        """While the clock is not trusted, samples stay here; then they get their times."""
        if event.kind == "jumped":
            _log.warning("clock_jumped", shift_ms=event.shift_ms)
            self.clock_jumps += 1
            self._shift_ms = None
            return
        _log.info("clock_trusted", shift_ms=event.shift_ms)
        self._shift_ms = event.shift_ms
        self._buffer.shift(event.shift_ms)
        if self._connection is not None:
            try:
                with transaction(self._connection):
                    recovery.restamp(self._connection, self.aliases, event.shift_ms, same_boot=True)
            except sqlite3.Error as error:
                self.trouble(error)

    # -- the file ------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            self._connect()
        except sqlite3.Error as error:
            self._disconnect()
            self.trouble(error)
            self._read_only()

    def _read_only(self) -> None:
        """Read the numbers of a file that cannot be written."""
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(database.connect_to_read(self._path)) as connection,
        ):
            found = database.load_state(connection)
            if found is not None and not self._is_known:
                self._adopt(found, connection)

    def _adopt(self, found: OutboxState, connection: sqlite3.Connection) -> None:
        """Continue the numbers of the file; reports taken in before they were known get new ones."""
        names = self.aliases.join(connection)
        buffered = [renumbered(r, names, self.aliases) for r in self._buffer.take_all()]
        found.evicted_total += self.state.evicted_total
        found.measured_total += self.state.evicted_total
        self.state, self._is_known = found, True
        self._confirmations.begin(found.ack_through)
        self.numbering += 1
        self._number_again(buffered)

    def _number_again(self, reports: Iterable[StoredReport]) -> None:
        for row in reports:
            self.state.measured_total += row.count
            numbered = replace(row, batch=self.state.next_batch)
            self._buffer.add(numbered, self.state.measured_total)
            self.state.next_batch += 1

    @property
    def ready(self) -> bool:
        """Whether the numbers are known. They are not while a file exists that cannot be read."""
        return self._is_known or not self._path.exists()

    def _connect(self) -> None:
        connection = database.connect(self._path, max_pages=self._quota.pages)
        self._connection = connection
        found = database.load_state(connection)
        if found is None:
            self.aliases.start_new_file()
            self.entries.start_new_file()
        elif not self._is_known:
            self._adopt(found, connection)
        self.aliases.load(connection)
        self.entries.load(connection)
        same_boot = found is None or found.boot == database.boot_id()
        through = self.state.ack_through
        self.state.confirmed_total += self._confirmations.count(connection, through)
        with transaction(connection):
            connection.execute("DELETE FROM report WHERE batch <= ?", (through,))
            recovery.restamp(connection, self.aliases, self._shift_ms, same_boot=same_boot)
            self.state.boot = database.boot_id()
            save_state(connection, self._durable_state())
        self._is_known = True

    def _write(self, *, acks: bool) -> None:
        if self._connection is None:
            self._connect()
        connection = self._connection
        if connection is None:
            return
        part = self._buffer.part(self._quota.part_bytes)
        is_last = len(part) == len(self._buffer)
        with transaction(connection):
            self.aliases.save(connection)
            insert_reports(connection, part)
            if is_last and self.entries:
                self.entries.save(connection)
            if acks:
                connection.execute("DELETE FROM report WHERE batch <= ?", (self.state.ack_through,))
                save_state(connection, self._durable_state(len(part)))
        self.aliases.saved()
        self._buffer.written(len(part))
        if is_last:
            self.entries.saved()
        if acks:
            self._confirmations.written()
        if self.problem is not None:
            _log.info("outbox_available", path=str(self._path))
            self.problem = None

    def _durable_state(self, written: int = 0) -> OutboxState:
        """The numbers without the reports that are only in memory, so that none is skipped.

        The first ``written`` reports of the buffer are being written right now.
        """
        if len(self._buffer) <= written:
            return self.state
        first, measured = self._buffer[written]
        return replace(self.state, next_batch=first.batch, measured_total=measured - first.count)

    def trouble(self, error: sqlite3.Error) -> None:
        """Handle an error of SQLite: replace a damaged file, else keep reports in memory and retry."""
        if database.is_damage(error):
            self._replace_damaged(str(error))
            return
        self._retry_at_s = time.monotonic() + _RETRY_S
        if self.problem is None:
            _log.error("outbox_unavailable", path=str(self._path), problem=str(error))
        self.problem = str(error)
        if database.is_full(error) and self._connection is not None:
            self._free_space(self._connection)

    def _free_space(self, connection: sqlite3.Connection) -> None:
        """Evict inside the file, so that it need not grow."""
        try:
            self._quota.shrink(connection)
            self._evict(
                lambda c, state: self._eviction.run(c, state, self._quota.pages, small=True)
            )
            self._retry_at_s = 0.0
        except sqlite3.Error as error:
            _log.warning("outbox_eviction_failed", path=str(self._path), problem=str(error))

    def _replace_damaged(self, reason: str) -> None:
        """Keep the damaged file aside and carry over to a new one what can still be read."""
        self._disconnect()
        aside = database.set_aside(self._path, utc_now_ms())
        self.files_set_aside += 1
        self.numbering += 1
        _log.error("outbox_replaced", damaged_file=str(aside), problem=reason)
        recovered = recovery.read_damaged(aside)
        if not self._is_known and recovered.state is not None:
            self.state = recovered.state
        self._is_known = True
        self.entries.adopt(recovered.key_values)
        in_memory = self._buffer.samples
        samples_before = self.state.depth - in_memory
        buffered = self._buffer.take_all()
        self.state.measured_total -= in_memory
        self.state.ack_through = self.state.next_batch - 1
        self._confirmations.begin(self.state.ack_through)
        try:
            self._connect()
            if self._connection is not None:
                with transaction(self._connection):
                    lost = recovery.carry_over(
                        self._connection, recovered, self.state, self.aliases, samples_before
                    )
                self.aliases.saved()
                self._log_evicted(lost)
        except sqlite3.Error as error:
            self._disconnect()
            self.problem = str(error)
        self._number_again(buffered)

    def close(self, *, write: bool = True) -> None:
        """Write what is in memory (unless ``write`` is false) and close the file."""
        if write:
            self._retry_at_s = 0.0
            self.commit(acks=True)
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _bound_memory(self) -> None:
        evicted = self._buffer.bound(self._memory_samples)
        self.state.evicted_total += evicted
        self._log_evicted(evicted)

    def _log_evicted(self, samples: int) -> None:
        if samples:
            _log.warning("outbox_samples_evicted", samples=samples, path=str(self._path))
