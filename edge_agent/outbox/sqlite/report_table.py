"""Reads and writes the report table, and moves damaged rows to a table of their own."""

import sqlite3
from collections.abc import Container, Iterable, Iterator, Sequence

from edge_agent.clock import FIRST_TRUSTED_MS
from edge_agent.outbox.sqlite.aliases import Aliases
from edge_agent.outbox.sqlite.checksums import ReportRow, is_sound, report_row
from edge_agent.outbox.sqlite.row_format import MAX_SAMPLES, NO_SHAPE, StoredReport
from edge_agent.outbox.write_buffer import Numbered

COLUMNS = "batch, shape, time_ms, count, measured, data, checksum"
_MOST_DAMAGED = 1000
"""The most damaged rows that are kept for inspection."""


def insert_rows(connection: sqlite3.Connection, rows: Iterable[ReportRow]) -> None:
    """Insert or replace rows in the caller's transaction."""
    connection.executemany(
        f"INSERT OR REPLACE INTO report({COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def insert_reports(connection: sqlite3.Connection, reports: Iterable[Numbered]) -> None:
    """Insert or replace reports in the caller's transaction."""
    insert_rows(
        connection,
        [
            report_row(r.batch, r.shape.number, r.time_ms, r.count, measured, r.data)
            for r, measured in reports
        ],
    )


def rows_after(connection: sqlite3.Connection, batch: int) -> sqlite3.Cursor:
    """Rows with numbers above ``batch``, in order."""
    return connection.execute(
        f"SELECT {COLUMNS} FROM report WHERE batch > ? ORDER BY batch",  # noqa: S608  # constant
        (batch,),
    )


def is_usable(row: ReportRow, aliases: Aliases) -> bool:
    """Whether the row is sound and its shape is known."""
    return is_sound(row) and aliases.knows(row[1])


def as_reports(
    rows: Iterable[ReportRow], aliases: Aliases, damaged: Container[int] = ()
) -> list[StoredReport]:
    """Rows as reports.

    Rows in ``damaged`` become reports without samples, because the cloud waits for their numbers.
    """
    shape_of = aliases.shape_of
    return [
        StoredReport(batch, NO_SHAPE, FIRST_TRUSTED_MS, 0, b"")
        if batch in damaged
        else StoredReport(batch, shape_of(shape), time_ms, count, data or b"")
        for batch, shape, time_ms, count, _, data, _ in rows
    ]


def put_aside(connection: sqlite3.Connection, rows: Sequence[ReportRow], newest: int) -> int:
    """Move damaged rows to the table ``damaged`` and leave empty rows with their numbers.

    ``newest`` is the number of samples measured up to the last row. Returns the number of lost
    samples, computed from the totals in the neighbouring rows. Call this in a transaction.
    """
    lost = 0
    for group in _consecutive(rows):
        connection.executemany(
            f"INSERT OR REPLACE INTO damaged({COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?)", group
        )
        before = _neighbour(connection, group[0][0] - 1)
        following = _neighbour(connection, group[-1][0] + 1)
        through = newest if following is None else following[4] - following[3]
        samples = sum(_plausible(row[3]) for row in group)
        if before is not None and 0 <= through - before[4] <= MAX_SAMPLES * len(group):
            samples = through - before[4]
        lost += samples
        insert_rows(
            connection,
            [report_row(r[0], NO_SHAPE.number, FIRST_TRUSTED_MS, 0, through, None) for r in group],
        )
    connection.execute(
        "DELETE FROM damaged WHERE batch NOT IN (SELECT batch FROM damaged ORDER BY rowid DESC "
        "LIMIT ?)",
        (_MOST_DAMAGED,),
    )
    return lost


def _consecutive(rows: Sequence[ReportRow]) -> Iterator[list[ReportRow]]:
    """``rows`` in groups of consecutive report numbers."""
    group: list[ReportRow] = []
    for row in rows:
        if group and row[0] != group[-1][0] + 1:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _neighbour(connection: sqlite3.Connection, batch: int) -> ReportRow | None:
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM report WHERE batch = ?",  # noqa: S608  # constant
        (batch,),
    ).fetchall()
    return rows[0] if rows and is_sound(rows[0]) else None


def _plausible(count: object) -> int:
    return count if isinstance(count, int) and 0 <= count <= MAX_SAMPLES else 0
