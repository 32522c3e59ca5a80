"""The SQLite file of the outbox: its tables, and the meaning of SQLite's errors."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

from edge_agent.outbox.sqlite.checksums import Damage, check, checksum_of, is_sound

SCHEMA_VERSION = 2
WAL_BYTES = 4_194_304
"""The size to which the write-ahead log is truncated after a checkpoint."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS state(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    next_batch INTEGER NOT NULL,
    ack_through INTEGER NOT NULL,
    measured_total INTEGER NOT NULL,
    confirmed_total INTEGER NOT NULL,
    given_up_total INTEGER NOT NULL,
    last_ack_ms INTEGER,
    bdseq INTEGER NOT NULL,
    boot TEXT NOT NULL,
    checksum INTEGER
);
CREATE TABLE IF NOT EXISTS alias(
    alias INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    name TEXT NOT NULL,
    retired_at INTEGER,
    checksum INTEGER,
    UNIQUE(device, name)
);
CREATE TABLE IF NOT EXISTS shape(
    number INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    aliases BLOB NOT NULL,
    checksum INTEGER
);
CREATE TABLE IF NOT EXISTS report(
    batch INTEGER PRIMARY KEY,
    shape INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    count INTEGER NOT NULL,
    measured INTEGER NOT NULL,
    data BLOB,
    checksum INTEGER
);
CREATE TABLE IF NOT EXISTS damaged(batch PRIMARY KEY, shape, time_ms, count, measured, data, checksum);
CREATE TABLE IF NOT EXISTS kept(name TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER);
"""
_NAMES_CHANGED = ("no such table", "no such column", "has no column named")
"""SQLite's complaints about these statements if a disk has changed the schema in the file."""
_CHECKED = ("state", "alias", "shape", "report")
# report.measured: samples ever measured, this row included. So the totals need no page of their own
# in each commit, which halves the writes to an SD card.


class OutboxError(Exception):
    """The outbox cannot be used."""


@dataclass(slots=True)
class OutboxState:
    """The numbers of the outbox, as of the last commit.

    ``measured_total`` = ``confirmed_total`` + ``evicted_total`` + samples still held.
    """

    next_batch: int
    ack_through: int
    measured_total: int = 0
    confirmed_total: int = 0
    evicted_total: int = 0
    last_ack_ms: int | None = None
    bdseq: int = -1
    boot: str = ""

    @property
    def depth(self) -> int:
        """The number of samples held."""
        return self.measured_total - self.confirmed_total - self.evicted_total

    def copy(self) -> "OutboxState":
        """A copy that later changes do not affect."""
        return replace(self)


_COLUMNS = ", ".join(
    {"evicted_total": "given_up_total"}.get(f.name, f.name) for f in fields(OutboxState)
)
_MARKS = ", ".join("?" for _ in fields(OutboxState))


def connect(path: Path, *, max_pages: int = 0) -> sqlite3.Connection:
    """Open the file for writing and create its tables. Raises sqlite3.Error and OutboxError."""
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        checkpoint = min(500, max_pages // 4) if max_pages else 500
        connection.execute(f"PRAGMA wal_autocheckpoint = {checkpoint}")
        connection.execute("PRAGMA cache_size = -2000")
        if max_pages:
            connection.execute(f"PRAGMA max_page_count = {max_pages}")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise OutboxError(f"{path} was written by a newer version of Quantrac")
        if version == 0:
            connection.executescript(f"{_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION};")
        elif version == 1:
            _add_checksums(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _add_checksums(connection: sqlite3.Connection) -> None:
    """Migrate a file of version 1; its rows keep no checksum."""
    with transaction(connection):
        for table in _CHECKED:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN checksum INTEGER")
    connection.executescript(f"{_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION};")


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open the file for reading, beside a writer or on a read-only disk."""
    for how in ("mode=ro", "immutable=1"):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{how}", uri=True, timeout=5.0, isolation_level=None,
            check_same_thread=False,
        )  # fmt: skip
        try:
            connection.execute("SELECT count(*) FROM state").fetchone()
        except sqlite3.Error:
            connection.close()
            if how == "immutable=1" or path.with_name(path.name + "-wal").exists():
                raise
        else:
            break
    connection.execute("PRAGMA cache_size = -2000")
    return connection


def load_state(connection: sqlite3.Connection) -> OutboxState | None:
    """The numbers in the file, updated from its newest row; None in a new file.

    Raises Damage if they are not what was written.
    """
    row = connection.execute(f"SELECT {_COLUMNS}, checksum FROM state").fetchone()  # noqa: S608  # constant
    if row is None:
        return None
    *numbers, checksum = row
    check(checksum, *numbers)
    state = OutboxState(*numbers)
    newest = connection.execute(
        "SELECT batch, shape, time_ms, count, measured, data, checksum FROM report "
        "ORDER BY batch DESC LIMIT 1"
    ).fetchone()
    if newest is None:
        return state
    if not is_sound(newest):
        raise Damage("the newest row was changed by the disk")
    if newest[0] >= state.next_batch:
        state.next_batch, state.measured_total = newest[0] + 1, newest[4]
    return state


def save_state(connection: sqlite3.Connection, state: OutboxState) -> None:
    """Write the numbers."""
    values = [getattr(state, f.name) for f in fields(OutboxState)]
    connection.execute(
        f"INSERT OR REPLACE INTO state(one, {_COLUMNS}, checksum) VALUES(1, {_MARKS}, ?)",
        [*values, checksum_of(*values)],
    )


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction, durable when it ends; rolled back on an exception."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the file that are in use."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    return int((pages - free) * size)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is damaged: a page, or the names of its tables and columns."""
    if _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return True
    return any(text in str(error) for text in _NAMES_CHANGED)


def is_full(error: sqlite3.Error) -> bool:
    """Whether the disk or the quota of the outbox is full."""
    return _code(error) == sqlite3.SQLITE_FULL


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def set_aside(path: Path, now_ms: int) -> Path:
    """Rename a damaged file with its log files; returns the new path."""
    number = 0
    while True:
        aside = path.with_name(f"{path.name}.damaged-{now_ms}{f'-{number}' if number else ''}")
        if not aside.exists():
            break
        number += 1
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    if path.exists():
        path.rename(aside)
    return aside


def boot_id() -> str:
    """An id of the present boot: monotonic times are comparable within one boot."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"pid-{os.getpid()}"
