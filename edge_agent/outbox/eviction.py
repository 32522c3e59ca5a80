"""Eviction: which samples are deleted when the outbox is full or samples are too old.

The newest half stays complete. In the oldest half one of four reports of the same shape stays;
once that half is sparse everywhere, its oldest part is deleted. An evicted report leaves an empty
row with its report number, so that the cloud does not wait for it.
"""

import sqlite3
from collections import Counter

from edge_agent.outbox.sqlite.checksums import is_sound, report_row
from edge_agent.outbox.sqlite.database import OutboxState, save_state, transaction
from edge_agent.outbox.sqlite.report_table import COLUMNS, insert_rows

_CHUNK_ROWS = 5000
_SMALL_CHUNK_ROWS = 200
_CHUNK_SAMPLES = 200_000
"""About the most that one step rewrites, to keep the write-ahead log small."""
_KEEP_ONE_OF = 4
_SPARSE = 1 / 16
"""Below this share of batches that still hold samples, a part counts as sparse."""
_STEPS = 32
_FILL = 0.85
"""Eviction starts above this share of the quota."""
_VACUUM_PAGES = 2000


class Eviction:
    """Evicts samples from an outbox, a step at a time, from the oldest on."""

    def __init__(self) -> None:
        self._cursor = 0

    def run(
        self,
        connection: sqlite3.Connection,
        state: OutboxState,
        page_limit: int,
        oldest_allowed_ms: int | None = None,
        *,
        small: bool = False,
    ) -> int:
        """Evict what is too old or exceeds ``page_limit``; returns the number of samples.

        ``small`` steps are for a disk that is full. ``state`` must be the durable numbers; it is
        updated and saved in the same transaction.
        """
        evicted = 0
        if oldest_allowed_ms is not None:
            evicted += _drop_older(connection, state, oldest_allowed_ms)
        rows = _SMALL_CHUNK_ROWS if small else _CHUNK_ROWS
        steps = 0
        while _used_pages(connection) > page_limit * _FILL and steps < _STEPS:
            evicted += self.step(connection, state, rows)
            steps += 1
        if steps == _STEPS:
            evicted += self._drop_oldest(connection, state, rows)
        if state.depth == 0:
            _give_back(connection)
        return evicted

    def step(
        self, connection: sqlite3.Connection, state: OutboxState, rows: int = _CHUNK_ROWS
    ) -> int:
        """One step; returns the number of evicted samples."""
        oldest, newest = connection.execute(
            "SELECT min(batch), max(batch) FROM report WHERE batch > ?", (state.ack_through,)
        ).fetchone()
        if oldest is None:
            return 0
        middle = oldest + (newest - oldest) // 2
        if not oldest <= self._cursor < middle:
            self._cursor = oldest
        first, last, held = self._cursor, self._cursor, 0
        samples = numbers = 0
        for batch, count in connection.execute(
            "SELECT batch, count FROM report WHERE batch >= ? AND batch <= ? "
            "ORDER BY batch LIMIT ?",
            (first, max(first, middle), rows),
        ):
            last, samples, numbers = batch, samples + count, numbers + 1
            held += count > 0
            if samples >= _CHUNK_SAMPLES:
                break
        if held <= max(1, numbers * _SPARSE):
            return self._drop_oldest(connection, state, rows)
        self._cursor = last + 1
        return _empty_three_of_four(connection, state, first, last)

    def _drop_oldest(
        self, connection: sqlite3.Connection, state: OutboxState, limit: int = _CHUNK_ROWS
    ) -> int:
        rows = connection.execute(
            "SELECT batch FROM report WHERE batch > ? ORDER BY batch LIMIT ?",
            (state.ack_through, limit),
        ).fetchall()
        return _drop_through(connection, state, rows[len(rows) // 2][0]) if rows else 0


def _empty_three_of_four(
    connection: sqlite3.Connection, state: OutboxState, first: int, last: int
) -> int:
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM report WHERE batch BETWEEN ? AND ? ORDER BY batch",  # noqa: S608  # constant
        (first, last),
    ).fetchall()
    seen: Counter[int] = Counter()
    kept = []
    evicted = 0
    for row in rows:
        batch, shape, time_ms, count, measured, _, _ = row
        # A damaged row stays as it is: reading it moves it to the table of damaged rows.
        stays = not is_sound(row) or count == 0 or seen[shape] % _KEEP_ONE_OF == 0
        kept.append(row if stays else report_row(batch, shape, time_ms, 0, measured, None))
        if is_sound(row):
            seen[shape] += count > 0
            evicted += 0 if stays else count
    with transaction(connection):
        # Rows that only shrink would leave their pages half empty, so all are written again.
        connection.execute("DELETE FROM report WHERE batch BETWEEN ? AND ?", (first, last))
        insert_rows(connection, kept)
        state.evicted_total += evicted
        save_state(connection, state)
    return evicted


def _drop_through(connection: sqlite3.Connection, state: OutboxState, batch: int) -> int:
    (evicted,) = connection.execute(
        "SELECT coalesce(sum(count), 0) FROM report WHERE batch > ? AND batch <= ?",
        (state.ack_through, batch),
    ).fetchone()
    with transaction(connection):
        connection.execute("DELETE FROM report WHERE batch <= ?", (batch,))
        state.evicted_total += evicted
        save_state(connection, state)
    return int(evicted)


def _drop_older(connection: sqlite3.Connection, state: OutboxState, oldest_allowed_ms: int) -> int:
    row = connection.execute(
        "SELECT batch, time_ms FROM report WHERE batch > ? ORDER BY batch LIMIT 1",
        (state.ack_through,),
    ).fetchone()
    if row is None or not 0 < row[1] < oldest_allowed_ms:
        return 0
    (young,) = connection.execute(
        "SELECT min(batch) FROM (SELECT batch, time_ms FROM report WHERE batch > ? "
        "ORDER BY batch LIMIT ?) WHERE time_ms >= ?",
        (state.ack_through, _CHUNK_ROWS, oldest_allowed_ms),
    ).fetchone()
    if young is None:
        (last,) = connection.execute(
            "SELECT max(batch) FROM (SELECT batch FROM report WHERE batch > ? ORDER BY batch "
            "LIMIT ?)",
            (state.ack_through, _CHUNK_ROWS),
        ).fetchone()
        return _drop_through(connection, state, last)
    return _drop_through(connection, state, young - 1)


def _used_pages(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(pages - free)


def _give_back(connection: sqlite3.Connection) -> None:
    """Return free pages of the file to the disk when the backlog is gone."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    if free > _VACUUM_PAGES:
        connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
