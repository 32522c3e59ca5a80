"""The status of an outbox, for people and programs."""

import sqlite3
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from edge_agent.outbox.sqlite.database import (
    SCHEMA_VERSION,
    OutboxError,
    connect_to_read,
    load_state,
    used_bytes,
)


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """The outbox at one moment.

    ``measured_total``, ``evicted_total``: samples since the file was made. ``drained_in_s``: when
    it will be empty at the present rate, None if it does not shrink. ``problem``: why the disk
    refuses writes; reports then stay in memory. ``ready``: whether the report numbers are known.
    ``numbering`` changes when report numbers start again. ``damaged_rows``: rows that the disk has
    changed and that were moved to the table of damaged rows.
    """

    depth_samples: int
    oldest_time_ms: int | None
    next_batch: int
    ack_through: int
    measured_total: int
    evicted_total: int
    last_ack_ms: int | None
    bytes_used: int = 0
    drained_in_s: float | None = None
    problem: str | None = None
    clock_jumps: int = 0
    set_aside: int = 0
    ready: bool = True
    numbering: int = 0
    damaged_rows: int = 0


class DrainRate:
    """How fast an outbox drains, over the last 20 seconds."""

    SPAN_S = 20.0

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def note(self, now_s: float, depth: int) -> None:
        """Remember the depth at ``now_s``."""
        if self._points and now_s - self._points[-1][0] < 0.25:
            return
        self._points.append((now_s, depth))
        while now_s - self._points[0][0] > self.SPAN_S:
            self._points.popleft()

    def drained_in_s(self, depth: int) -> float | None:
        """Seconds until it is empty at the present rate; None while it does not shrink."""
        if depth == 0:
            return 0.0
        if len(self._points) < 2:
            return None
        (start, before), (end, after) = self._points[0], self._points[-1]
        if after >= before or end <= start:
            return None
        return depth * (end - start) / (before - after)


def read_status(path: Path) -> OutboxStatus:
    """The status of an outbox that another process may be using. Raises OutboxError.

    Confirmations of the last few seconds may not be in the file yet.
    """
    if not path.exists():
        raise OutboxError(f"there is no outbox at {path}")
    try:
        connection = connect_to_read(path)
        try:
            if 0 < connection.execute("PRAGMA user_version").fetchone()[0] < SCHEMA_VERSION:
                raise OutboxError(f"{path} is of an earlier version; the agent renews it")
            state = load_state(connection)
            if state is None:
                raise OutboxError(f"{path} is empty")
            oldest = oldest_time_ms(connection, state.ack_through)
            return OutboxStatus(
                state.depth, oldest, state.next_batch, state.ack_through, state.measured_total,
                state.evicted_total, state.last_ack_ms, used_bytes(connection),
                damaged_rows=_damaged(connection),
            )  # fmt: skip
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise OutboxError(f"{path} cannot be read: {error}") from error


def _damaged(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM damaged").fetchone()[0])


def oldest_time_ms(connection: sqlite3.Connection, ack_through: int) -> int | None:
    """The time of the oldest report that still has samples."""
    row = connection.execute(
        "SELECT time_ms FROM report WHERE batch > ? AND count > 0 ORDER BY batch LIMIT 1",
        (ack_through,),
    ).fetchone()
    return int(row[0]) if row else None


def lowest_batch(connection: sqlite3.Connection, ack_through: int) -> int | None:
    """The number of the oldest report."""
    (lowest,) = connection.execute(
        "SELECT min(batch) FROM report WHERE batch > ?", (ack_through,)
    ).fetchone()
    return None if lowest is None else int(lowest)
