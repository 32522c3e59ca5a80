"""Counts confirmed batches and decides when confirmations are written to the disk."""

import sqlite3
import time

_FLUSH_S = 5.0
"""How long a confirmation may stay unwritten. If one is lost, some batches are sent again."""
_FLUSH_BATCHES = 2000


class Confirmations:
    """Confirmed batches: those already counted, and those not yet written to the file."""

    def __init__(self, through: int) -> None:
        self._counted_through = through
        self._unwritten = 0
        self._written_s = time.monotonic()

    def begin(self, through: int) -> None:
        """Start with everything up to this batch as counted."""
        self._counted_through = through

    def note(self, batches: int) -> None:
        """Note that ``batches`` more were confirmed."""
        self._unwritten += batches

    def are_due(self, *, at_once: bool) -> bool:
        """Whether there are unwritten confirmations and it is time to write them."""
        return bool(self._unwritten) and (
            at_once
            or self._unwritten >= _FLUSH_BATCHES
            or time.monotonic() - self._written_s >= _FLUSH_S
        )

    def written(self) -> None:
        """All confirmations are in the file."""
        self._unwritten, self._written_s = 0, time.monotonic()

    def count(self, connection: sqlite3.Connection, through: int) -> int:
        """The number of samples in the file that were confirmed since the last count."""
        (samples,) = connection.execute(
            "SELECT coalesce(sum(count), 0) FROM report WHERE batch > ? AND batch <= ?",
            (self._counted_through, through),
        ).fetchone()
        self._counted_through = through
        return int(samples)
