"""What the cloud has confirmed: how much it was, and when it is worth a write to the disk."""

import sqlite3
import time

_FLUSH_S = 5.0
"""A confirmation may wait this long to be written: to lose one only means to send again."""
_FLUSH_BATCHES = 2000


class Confirmations:
    """Confirmed batches that are counted, and those that the file does not know of yet."""

    def __init__(self, through: int) -> None:
        self._counted_through = through
        self._unwritten = 0
        self._written_s = time.monotonic()

    def begin(self, through: int) -> None:
        """Everything up to this batch is counted."""
        self._counted_through = through

    def note(self, batches: int) -> None:
        """So many more were confirmed."""
        self._unwritten += batches

    def are_due(self, *, at_once: bool) -> bool:
        """Whether it is time to write what is unwritten."""
        return bool(self._unwritten) and (
            at_once
            or self._unwritten >= _FLUSH_BATCHES
            or time.monotonic() - self._written_s >= _FLUSH_S
        )

    def written(self) -> None:
        """The file knows them all."""
        self._unwritten, self._written_s = 0, time.monotonic()

    def count(self, connection: sqlite3.Connection, through: int) -> int:
        """How many samples of the file were confirmed since the last count."""
        (samples,) = connection.execute(
            "SELECT coalesce(sum(count), 0) FROM report WHERE batch > ? AND batch <= ?",
            (self._counted_through, through),
        ).fetchone()
        self._counted_through = through
        return int(samples)
