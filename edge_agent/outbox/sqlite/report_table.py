"""The table of reports: written, read, and rid of rows that a disk has damaged."""

import sqlite3
from collections.abc import Container, Iterable, Iterator, Sequence

from edge_agent.clock import FIRST_TRUSTED_MS
from edge_agent.outbox.sqlite.aliases import Aliases
from edge_agent.outbox.sqlite.checksums import ReportRow, is_sound, report_row
from edge_agent.outbox.sqlite.row_format import MAX_SAMPLES, NO_SHAPE, StoredReport
from edge_agent.outbox.write_buffer import Numbered

COLUMNS = "batch, shape, time_ms, count, measured, data, checksum"
_MOST_DAMAGED = 1000
"""So many damaged rows are kept for those who want to look."""


def insert_rows(connection: sqlite3.Connection, rows: Iterable[ReportRow]) -> None:
    """Write rows, in the caller's transaction; ones with their numbers are replaced."""
    connection.executemany(
        f"INSERT OR REPLACE INTO report({COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def insert_reports(connection: sqlite3.Connection, reports: Iterable[Numbered]) -> None:
    """Write reports, in the caller's transaction."""
    insert_rows(
        connection,
        [
            report_row(r.batch, r.shape.number, r.time_ms, r.count, measured, r.data)
            for r, measured in reports
        ],
    )


def rows_after(connection: sqlite3.Connection, batch: int) -> sqlite3.Cursor:
    """Rows with numbers above ``batch``, in their order."""
    return connection.execute(
        f"SELECT {COLUMNS} FROM report WHERE batch > ? ORDER BY batch",  # noqa: S608  # constant
        (batch,),
    )


def is_usable(row: ReportRow, aliases: Aliases) -> bool:
    """Whether the row is what was written and belongs to something that is known."""
    return is_sound(row) and aliases.knows(row[1])


def as_reports(
    rows: Iterable[ReportRow], aliases: Aliases, damaged: Container[int] = ()
) -> list[StoredReport]:
    """Rows as reports.

    Those with ``damaged`` numbers become reports without samples: their numbers are waited for.
    """
    shape_of = aliases.shape_of
    return [
        StoredReport(batch, NO_SHAPE, FIRST_TRUSTED_MS, 0, b"")
        if batch in damaged
        else StoredReport(batch, shape_of(shape), time_ms, count, data or b"")
        for batch, shape, time_ms, count, _, data, _ in rows
    ]


def put_aside(connection: sqlite3.Connection, rows: Sequence[ReportRow], newest: int) -> int:
    """Move damaged rows to a table of their own and leave their numbers behind, empty.

    ``newest`` is the total of samples measured up to the last row. Returns how many samples were
    lost, as the totals of sound neighbours tell. To be called in a transaction.
    """
    lost = 0
    for run in _runs(rows):
        connection.executemany(
            f"INSERT OR REPLACE INTO damaged({COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?)", run
        )
        before = _neighbour(connection, run[0][0] - 1)
        following = _neighbour(connection, run[-1][0] + 1)
        through = newest if following is None else following[4] - following[3]
        samples = sum(_plausible(row[3]) for row in run)
        if before is not None and 0 <= through - before[4] <= MAX_SAMPLES * len(run):
            samples = through - before[4]
        lost += samples
        insert_rows(
            connection,
            [report_row(r[0], NO_SHAPE.number, FIRST_TRUSTED_MS, 0, through, None) for r in run],
        )
    connection.execute(
        "DELETE FROM damaged WHERE batch NOT IN (SELECT batch FROM damaged ORDER BY rowid DESC "
        "LIMIT ?)",
        (_MOST_DAMAGED,),
    )
    return lost


def _runs(rows: Sequence[ReportRow]) -> Iterator[list[ReportRow]]:
    """``rows`` in runs of numbers without a hole."""
    run: list[ReportRow] = []
    for row in rows:
        if run and row[0] != run[-1][0] + 1:
            yield run
            run = []
        run.append(row)
    if run:
        yield run


def _neighbour(connection: sqlite3.Connection, batch: int) -> ReportRow | None:
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM report WHERE batch = ?",  # noqa: S608  # constant
        (batch,),
    ).fetchall()
    return rows[0] if rows and is_sound(rows[0]) else None


def _plausible(count: object) -> int:
    return count if isinstance(count, int) and 0 <= count <= MAX_SAMPLES else 0
