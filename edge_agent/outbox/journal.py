"""Reports on disk, and in memory while the disk refuses. For one thread at a time."""

import contextlib
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from edge_agent.clock import FIRST_TRUSTED_MS, ClockEvent
from edge_agent.outbox import rescue
from edge_agent.outbox.catalogue import Catalogue
from edge_agent.outbox.database import (
    State,
    boot_id,
    connect,
    connect_to_read,
    is_damage,
    is_full,
    load_state,
    save_state,
    set_aside,
    transaction,
    used_bytes,
)
from edge_agent.outbox.room import Room
from edge_agent.outbox.rows import Report, Shape, StoredReport, pack, pack_free, split
from edge_agent.outbox.status import oldest_time_ms
from edge_agent.outbox.thinning import Thinner
from edge_agent.reading import Reading
from telemetry.samples import Sample

_log = structlog.get_logger(__name__)

_ACK_FLUSH_S = 5.0
"""A confirmation may wait this long to be written: to lose one only means to send again."""
_ACK_FLUSH_BATCHES = 2000
_RETRY_S = 1.0
_TRIES = 20
_ROW_BYTES = 40


class Journal:
    """The file of an outbox and its numbers.

    ``shift_ms`` turns monotonic into calendar time; None while the clock cannot be trusted.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        memory_samples: int,
        shift_ms: int | None,
    ) -> None:
        self.catalogue = Catalogue()
        self.problem: str | None = None
        self.clock_jumps = 0
        self.files_set_aside = 0
        self.numbering = 0
        """Changes when batch numbers begin anew: a session must then begin anew too."""
        self._path = path
        self._room = Room(path, max_bytes)
        self._memory_samples = memory_samples
        self._shift_ms = shift_ms
        self._thinner = Thinner()
        self._connection: sqlite3.Connection | None = None
        # Reports that are not on disk yet, each with the total of samples up to it.
        self._pending: deque[tuple[StoredReport, int]] = deque()
        self._unwritten_acks = 0
        self._acks_written_s = time.monotonic()
        self._retry_at_s = 0.0
        # A new outbox begins at the time of its making, so that its numbers are above those of
        # any outbox before it.
        start = max(1, time.time_ns() // 1_000_000)
        self.state = State(start, start - 1)
        self._is_known = False
        self._counted_through = self.state.ack_through
        self._open()

    # -- reports -------------------------------------------------------------------------------

    def take_in(self, report: Report) -> list[StoredReport]:
        """Number a report; ``commit`` makes it durable. It may become several."""
        device, samples = report.device, report.samples
        if isinstance(samples, Reading):
            data, shape = samples.packed(), self.catalogue.shape_for(device, samples.metrics)
            if data is not None and shape.aliases:
                return [self._number(shape, samples.time_ms, len(samples), data)]
        return [self._take_samples(device, part) for part in split(samples)]

    def _take_samples(self, device: str | None, samples: Sequence[Sample]) -> StoredReport:
        names = [s.metric for s in samples]
        aliases = self.catalogue.aliases(device, names)
        shape = self.catalogue.shape(device, [aliases[n] for n in names])
        data = pack(samples) if shape.aliases else pack_free(samples, aliases)
        return self._number(shape, samples[0].time_ms, len(samples), data)

    def _number(self, shape: Shape, time_ms: int, count: int, data: bytes) -> StoredReport:
        if time_ms < FIRST_TRUSTED_MS and self._shift_ms is not None:
            time_ms += self._shift_ms
        row = StoredReport(self.state.next_batch, shape, time_ms, count, data)
        self.state.next_batch += 1
        self.state.measured_total += count
        self._pending.append((row, self.state.measured_total))
        return row

    def confirm(self, through: int, now_ms: int) -> None:
        """Forget what the cloud has stored."""
        state = self.state
        state.last_ack_ms = now_ms
        if through <= state.ack_through:
            return
        self._unwritten_acks += through - state.ack_through
        state.ack_through = through
        if self._connection is not None:
            try:
                self._count_confirmed(self._connection)
            except sqlite3.Error as error:
                self.trouble(error)
        while self._pending and self._pending[0][0].batch <= through:
            state.confirmed_total += self._pending.popleft()[0].count

    def _count_confirmed(self, connection: sqlite3.Connection) -> None:
        through = self.state.ack_through
        (samples,) = connection.execute(
            "SELECT coalesce(sum(count), 0) FROM report WHERE batch > ? AND batch <= ?",
            (self._counted_through, through),
        ).fetchone()
        self.state.confirmed_total += samples
        self._counted_through = through

    def commit(self, *, acks: bool = False) -> bool:
        """Make durable what was taken in, and write confirmations when it is time (or ``acks``).

        False where the disk refuses: everything stays in memory, within bounds, for the next try.
        """
        now_s = time.monotonic()
        acks = bool(self._unwritten_acks) and (
            acks
            or self._unwritten_acks >= _ACK_FLUSH_BATCHES
            or now_s - self._acks_written_s >= _ACK_FLUSH_S
        )
        tries = 0
        while self._pending or acks or self.catalogue.unsaved or self.problem is not None:
            if self.problem is not None and (now_s < self._retry_at_s or tries == _TRIES):
                self._bound_memory()
                return False
            tries += 1
            try:
                self._write(acks=acks or self.problem is not None)
                acks, tries = False, 0
            except sqlite3.Error as error:
                self.trouble(error)
            self.make_room(None)
        return True

    def save_numbers(self) -> None:
        """Write the numbers (session, aliases) at once."""
        if self.commit() and self._connection is not None:
            try:
                with transaction(self._connection):
                    save_state(self._connection, self._durable_state())
            except sqlite3.Error as error:
                self.trouble(error)

    def make_room(self, oldest_allowed_ms: int | None) -> None:
        """Keep the file within its bounds; see ``thinning``."""
        if self._connection is None or self.problem is not None:
            return
        self._room.look()
        try:
            self._thin(
                lambda connection, state: self._thinner.make_room(
                    connection, state, self._room.pages, oldest_allowed_ms
                )
            )
        except sqlite3.Error as error:
            self.trouble(error)

    def _thin(self, thin: Callable[[sqlite3.Connection, State], int]) -> None:
        if self._connection is None:
            return
        durable = self._durable_state().copy()
        given_up = thin(self._connection, durable)
        self.state.given_up_total += given_up
        if given_up:
            _log.warning("outbox gave up samples", samples=given_up, path=str(self._path))

    def in_memory(self, after: int) -> list[StoredReport]:
        """Reports that the disk refuses, to be sent from here."""
        if self.problem is None:
            return []
        return [row for row, _ in self._pending if row.batch > after and row.stamped]

    def oldest(self) -> tuple[int, int | None]:
        """The lowest unconfirmed number that is held (or the next), and the oldest time."""
        state = self.state
        lowest: int | None = None
        time_ms: int | None = None
        readable = False
        if self._connection is not None:
            try:
                (lowest,) = self._connection.execute(
                    "SELECT min(batch) FROM report WHERE batch > ?", (state.ack_through,)
                ).fetchone()
                time_ms = oldest_time_ms(self._connection, state.ack_through)
                readable = True
            except sqlite3.Error as error:
                self.trouble(error)
        if not readable and state.depth > sum(row.count for row, _ in self._pending):
            # The file holds something that cannot be seen now: nothing of it was given up.
            return state.ack_through + 1, time_ms
        if self._pending:
            lowest = self._pending[0][0].batch if lowest is None else lowest
            time_ms = self._pending[0][0].time_ms if time_ms is None else time_ms
        return state.next_batch if lowest is None else lowest, time_ms

    def bytes_used(self) -> int:
        """Bytes of the file that hold something."""
        try:
            return 0 if self._connection is None else used_bytes(self._connection)
        except sqlite3.Error as error:
            self.trouble(error)
            return 0

    # -- time ----------------------------------------------------------------------------------

    def note_clock(self, event: ClockEvent) -> None:
        """Samples of an untrusted clock wait; once it is right they get their real times."""
        _log.warning(f"clock {event.kind}", shift_ms=event.shift_ms)
        if event.kind == "jumped":
            self.clock_jumps += 1
            self._shift_ms = None
            return
        self._shift_ms = event.shift_ms
        self._pending = deque(
            (rescue.shifted(row, event.shift_ms), measured) for row, measured in self._pending
        )
        if self._connection is not None:
            try:
                with transaction(self._connection):
                    rescue.restamp(self._connection, self.catalogue, event.shift_ms, same_boot=True)
            except sqlite3.Error as error:
                self.trouble(error)

    @property
    def shift_ms(self) -> int | None:
        """What turns monotonic into calendar time, if that is known."""
        return self._shift_ms

    # -- the file ------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            self._connect()
        except sqlite3.Error as error:
            self._disconnect()
            self.trouble(error)
            self._look()

    def _look(self) -> None:
        """Learn at least what the file says, where it can be read but not written."""
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(connect_to_read(self._path)) as connection,
        ):
            found = load_state(connection)
            if found is not None and not self._is_known:
                self.catalogue.load(connection)
                self._adopt(found)

    def _adopt(self, found: State) -> None:
        """Go on with the numbers of the file; what came in before they were known gets new ones."""
        waiting, self._pending = self._pending, deque()
        found.given_up_total += self.state.given_up_total
        found.measured_total += self.state.given_up_total
        self.state, self._is_known = found, True
        self._counted_through = found.ack_through
        self.numbering += 1
        self._number_again(waiting)

    def _number_again(self, waiting: Iterable[tuple[StoredReport, int]]) -> None:
        for row, _ in waiting:
            self.state.measured_total += row.count
            self._pending.append(
                (replace(row, batch=self.state.next_batch), self.state.measured_total)
            )
            self.state.next_batch += 1

    @property
    def ready(self) -> bool:
        """Whether the numbers are known: they are not while a file is there that cannot be read."""
        return self._is_known or not self._path.exists()

    def _connect(self) -> None:
        connection = connect(self._path, max_pages=self._room.pages)
        self._connection = connection
        found = load_state(connection)
        if found is None:
            self.catalogue.start_new_file()
        elif not self._is_known:
            self._adopt(found)
        self.catalogue.load(connection)
        same_boot = found is None or found.boot == boot_id()
        self._count_confirmed(connection)
        with transaction(connection):
            connection.execute("DELETE FROM report WHERE batch <= ?", (self.state.ack_through,))
            rescue.restamp(connection, self.catalogue, self._shift_ms, same_boot=same_boot)
            self.state.boot = boot_id()
            save_state(connection, self._durable_state())
        self._is_known = True

    def _write(self, *, acks: bool) -> None:
        if self._connection is None:
            self._connect()
        connection = self._connection
        if connection is None:
            return
        part = self._next_part()
        with transaction(connection):
            self.catalogue.save(connection)
            connection.executemany(
                "INSERT OR REPLACE INTO report(batch, shape, time_ms, count, measured, data) "
                "VALUES(?, ?, ?, ?, ?, ?)",
                [
                    (r.batch, r.shape.number, r.time_ms, r.count, measured, r.data)
                    for r, measured in part
                ],
            )
            if acks:
                connection.execute("DELETE FROM report WHERE batch <= ?", (self.state.ack_through,))
                save_state(connection, self._durable_state(len(part)))
        self.catalogue.saved()
        for _ in part:
            self._pending.popleft()
        if acks:
            self._unwritten_acks, self._acks_written_s = 0, time.monotonic()
        if self.problem is not None:
            _log.info("outbox is on disk again", path=str(self._path))
            self.problem = None

    def _next_part(self) -> list[tuple[StoredReport, int]]:
        """What one transaction takes of what waits: little enough to fit where room was made."""
        part: list[tuple[StoredReport, int]] = []
        left = self._room.part_bytes
        for row, measured in self._pending:
            left -= len(row.data) + _ROW_BYTES
            if left < 0 and part:
                break
            part.append((row, measured))
        return part

    def _durable_state(self, written: int = 0) -> State:
        """The numbers without the reports that are only in memory: no number may be skipped.

        ``written`` of those that wait are being written right now.
        """
        if len(self._pending) <= written:
            return self.state
        first, measured = self._pending[written]
        return replace(self.state, next_batch=first.batch, measured_total=measured - first.count)

    def trouble(self, error: sqlite3.Error) -> None:
        """Deal with what SQLite says: a new file for a damaged one, else memory and a later try."""
        if is_damage(error):
            self._replace_damaged(str(error))
            return
        self._retry_at_s = time.monotonic() + _RETRY_S
        if self.problem is None:
            _log.error("outbox cannot be written; reports wait in memory", reason=str(error))
        self.problem = str(error)
        if is_full(error) and self._connection is not None:
            self._free_space(self._connection)

    def _free_space(self, connection: sqlite3.Connection) -> None:
        """Make room inside the file, so that it need not grow."""
        try:
            self._room.shrink(connection)
            self._thin(
                lambda c, state: self._thinner.make_room(c, state, self._room.pages, small=True)
            )
            self._retry_at_s = 0.0
        except sqlite3.Error as error:
            _log.warning("outbox cannot be thinned either", reason=str(error))

    def _replace_damaged(self, reason: str) -> None:
        """Keep the damaged file beside a new one and carry over what can still be read."""
        self._disconnect()
        aside = set_aside(self._path, time.time_ns() // 1_000_000)
        self.files_set_aside += 1
        self.numbering += 1
        _log.error("outbox is damaged; a new one is used", kept=str(aside), reason=reason)
        salvage = rescue.read_damaged(aside)
        if not self._is_known and salvage.state is not None:
            self.state = salvage.state
        self._is_known = True
        in_memory = sum(row.count for row, _ in self._pending)
        held = self.state.depth - in_memory
        renumbered, self._pending = self._pending, deque()
        self.state.measured_total -= in_memory
        self.state.ack_through = self._counted_through = self.state.next_batch - 1
        try:
            self._connect()
            if self._connection is not None:
                with transaction(self._connection):
                    saved = rescue.restore(self._connection, salvage, self.state, self.catalogue)
                    self.state.given_up_total += max(0, held - saved)
                    self.state.measured_total += max(0, saved - held)
                    self.catalogue.save(self._connection)
                    save_state(self._connection, self.state)
                self.catalogue.saved()
                self._announce_given_up(max(0, held - saved))
        except sqlite3.Error as error:
            self._disconnect()
            self.problem = str(error)
        self._number_again(renumbered)

    def close(self) -> None:
        """Write what is waiting and let go of the file."""
        self._retry_at_s = 0.0
        self.commit(acks=True)
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- memory --------------------------------------------------------------------------------

    def _bound_memory(self) -> None:
        held = sum(row.count for row, _ in self._pending)
        given_up = 0
        for i, (row, measured) in enumerate(self._pending):
            if held <= self._memory_samples:
                break
            if row.count:
                self._pending[i] = (replace(row, count=0, data=b""), measured)
                held -= row.count
                given_up += row.count
        self.state.given_up_total += given_up
        self._announce_given_up(given_up)

    def _announce_given_up(self, samples: int) -> None:
        if samples:
            _log.warning("outbox gave up samples", samples=samples, path=str(self._path))


def rows_of(connection: sqlite3.Connection, after: int) -> sqlite3.Cursor:
    """Rows with numbers above ``after``: batch, shape, time_ms, count, data."""
    return connection.execute(
        "SELECT batch, shape, time_ms, count, data FROM report WHERE batch > ? ORDER BY batch",
        (after,),
    )


def as_reports(
    rows: Sequence[tuple[int, int, int, int, bytes | None]], catalogue: Catalogue
) -> list[StoredReport]:
    """Rows as reports."""
    shape_of = catalogue.shape_of
    return [StoredReport(b, shape_of(s), t, n, d or b"") for b, s, t, n, d in rows]
