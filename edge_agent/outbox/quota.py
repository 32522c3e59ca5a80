"""The space that the outbox may use, and a reserve for the case that others fill the disk.

SQLite needs space to free space: eviction writes to the write-ahead log first. So a reserve file
beside the outbox occupies a few megabytes and is deleted when the disk is full. From then on the
outbox stays within its present size, until the disk has space again.
"""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

import structlog

from edge_agent.outbox.sqlite.database import WAL_BYTES

_log = structlog.get_logger(__name__)

_PAGE = 4096
_FEWEST_PAGES = 64
_LOOK_S = 10.0


class Quota:
    """The number of pages that the outbox at ``path`` may have."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._reserve = path.with_name(path.name + ".reserve")
        self._reserve_bytes = min(WAL_BYTES, max_bytes // 8)
        log_bytes = min(2 * WAL_BYTES, max_bytes // 4)
        bound = (max_bytes - log_bytes - self._reserve_bytes) // _PAGE
        self._bound = max(_FEWEST_PAGES, bound)
        self._looked_s = 0.0
        self.pages = self._bound

    @property
    def part_bytes(self) -> int:
        """The most bytes that one transaction may write."""
        return max(16_384, self.pages * _PAGE // 32)

    def shrink(self, connection: sqlite3.Connection) -> None:
        """The disk is full: delete the reserve and stay within the present size of the file."""
        with contextlib.suppress(OSError):
            self._reserve.unlink(missing_ok=True)
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        with contextlib.suppress(OSError):
            self.pages = max(_FEWEST_PAGES, min(self._bound, self._path.stat().st_size // _PAGE))
        self._looked_s = time.monotonic()

    def refresh(self) -> None:
        """Use the whole quota again when the disk has space, and make the reserve file again."""
        now_s = time.monotonic()
        if now_s - self._looked_s < _LOOK_S:
            return
        self._looked_s = now_s
        try:
            disk = os.statvfs(self._path.parent)
            free = disk.f_bavail * disk.f_frsize
            if free > 3 * self._reserve_bytes:
                self.pages = self._bound
                self._keep_reserve()
        except OSError as error:
            _log.debug("outbox_reserve_unavailable", problem=str(error))

    def _keep_reserve(self) -> None:
        if self._reserve.exists():
            return
        with self._reserve.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, self._reserve_bytes)
