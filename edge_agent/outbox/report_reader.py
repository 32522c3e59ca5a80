"""Reads rows through a connection of its own, beside the writer."""

import contextlib
import sqlite3
import threading
from pathlib import Path

from edge_agent.outbox.sqlite.checksums import ReportRow
from edge_agent.outbox.sqlite.database import connect_to_read
from edge_agent.outbox.sqlite.report_table import rows_after
from edge_agent.outbox.sqlite.row_format import MAX_SAMPLES


class ReportReader:
    """Reads the outbox at ``path``; for any thread, one at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._connected_to: object = None

    def rows(
        self, file: object, after: int, max_samples: int
    ) -> tuple[list[ReportRow], sqlite3.Error | None]:
        """Rows with numbers above ``after``, in order, of about ``max_samples`` samples.

        ``file`` changes when the file behind the path or its condition does; it is then opened
        again. With an error of SQLite, the rows that could be read before it are returned.
        """
        rows: list[ReportRow] = []
        samples = 0
        with self._lock:
            try:
                with contextlib.closing(rows_after(self._connect(file), after)) as cursor:
                    for row in cursor:
                        rows.append(row)
                        samples += _samples(row) + 1
                        if samples >= max_samples:
                            break
            except sqlite3.Error as error:
                self._connected_to = None
                return rows, error
        return rows, None

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._disconnect()

    def _connect(self, file: object) -> sqlite3.Connection:
        if self._connection is None or self._connected_to != file:
            self._disconnect()
            self._connected_to = file
            self._connection = connect_to_read(self._path)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _samples(row: ReportRow) -> int:
    """Samples in the row; a damaged one may say anything."""
    return row[3] if isinstance(row[3], int) and 0 <= row[3] <= MAX_SAMPLES else 0
