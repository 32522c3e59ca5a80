"""The lock that keeps two agents off the same outbox."""

import fcntl
from pathlib import Path
from typing import IO

import structlog

from edge_agent.outbox.sqlite.database import OutboxError

_log = structlog.get_logger(__name__)


class FileLock:
    """A lock file beside the outbox at ``path``, held until ``release``.

    Raises OutboxError where another process holds it. Where the folder cannot be written there is
    no lock, because the outbox then works in memory.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.with_name(path.name + ".lock").open("ab")
        except OSError as error:
            _log.error("outbox_not_locked", path=str(path), problem=str(error))
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise OutboxError(f"{path} is in use by another agent") from error
        self._file = file

    def release(self) -> None:
        """Let another process use the outbox."""
        if self._file is not None:
            self._file.close()
            self._file = None
