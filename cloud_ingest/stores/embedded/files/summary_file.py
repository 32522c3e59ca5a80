"""Summaries on disk: one SQLite file with a compressed piece for each series and segment.

A piece holds the summaries of one series in one segment (1 day of minutes, 32 days of hours, 512
days of days), so that a chart needs few neighbouring rows. A summary is a record of fixed size. The
bytes of a piece are transposed (all first bytes, all second bytes, ...) before compression; min, max
and last are XORed with the mean, so that equal values become zero.

The file also stores for each day the number of the last raw part in its summaries. Both change in
one transaction.
"""

import queue
import sqlite3
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.stores import summaries
from cloud_ingest.stores.embedded.files.manifest import DAY_MS
from cloud_ingest.stores.protocol import SUMMARY_STEP_MS, Resolution, StoreUnavailable
from cloud_ingest.stores.summaries import Summaries
from telemetry.batches import Int64

NAME = "summaries.db"
SEGMENT_DAYS: dict[Resolution, int] = {"minute": 1, "hour": 32, "day": 512}
_RESOLUTION_NUMBER = {resolution: n for n, resolution in enumerate(SEGMENT_DAYS)}
_SEGMENT_BITS = 20
_SEGMENT_ZERO = 1 << (_SEGMENT_BITS - 1)
_RECORD = np.dtype(
    [
        ("step", "<u2"), ("mean", "<u8"), ("min", "<u8"), ("max", "<u8"), ("last", "<u8"),
        ("count", "<u4"), ("bad", "<u4"), ("quality", "u1"),
    ]
)  # fmt: skip
_SCHEMA = """
CREATE TABLE IF NOT EXISTS pieces (key INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS closed (day INTEGER PRIMARY KEY, through INTEGER NOT NULL);
"""
Records = NDArray[np.void]


def segment_of(resolution: Resolution, time_ms: int) -> int:
    """The segment of ``resolution`` that contains a time."""
    return time_ms // (DAY_MS * SEGMENT_DAYS[resolution])


def key_of(resolution: Resolution, series: int, segment: int) -> int:
    """The key of a piece: by resolution, then series, then segment."""
    of_series = (_RESOLUTION_NUMBER[resolution] << 31) | series
    return (of_series << _SEGMENT_BITS) | (segment + _SEGMENT_ZERO)


def encode(summaries: Summaries, start_ms: int, resolution: Resolution) -> Records:
    """Summaries of one segment, which starts at ``start_ms``, as records."""
    records = np.zeros(len(summaries), _RECORD)
    mean = summaries.mean.view(np.uint64)
    records["step"] = (summaries.time_ms - start_ms) // SUMMARY_STEP_MS[resolution]
    records["mean"] = mean
    for name in ("min", "max", "last"):
        records[name] = getattr(summaries, name).view(np.uint64) ^ mean
    records["count"] = summaries.count
    records["bad"] = summaries.count - summaries.good
    records["quality"] = summaries.quality
    return records


def pack(records: Records) -> bytes:
    """Records as the bytes of a piece."""
    transposed = records.view(np.uint8).reshape(len(records), _RECORD.itemsize).T
    return zlib.compress(transposed.tobytes(), 1)


def unpack(pieces: Sequence[tuple[int, int, bytes]], resolution: Resolution) -> Summaries:
    """The summaries in (series, segment, bytes), in their order."""
    if not pieces:
        return summaries.concat([])
    size = _RECORD.itemsize
    transposed = [np.frombuffer(zlib.decompress(p[2]), np.uint8).reshape(size, -1) for p in pieces]
    rows = [t.shape[1] for t in transposed]
    records = np.ascontiguousarray(np.concatenate(transposed, axis=1).T).view(_RECORD)[:, 0]
    width = DAY_MS * SEGMENT_DAYS[resolution]
    start = np.repeat(np.array([p[1] * width for p in pieces], np.int64), rows)
    mean = np.ascontiguousarray(records["mean"])
    least, most, last = ((records[name] ^ mean).view(np.float64) for name in ("min", "max", "last"))
    count = records["count"].astype(np.int64)
    return Summaries(
        np.repeat(np.array([p[0] for p in pieces], np.int32), rows),
        start + records["step"].astype(np.int64) * SUMMARY_STEP_MS[resolution],
        mean.view(np.float64), least, most, last,
        count, count - records["bad"], records["quality"].copy(),
    )  # fmt: skip


class SummaryFile:
    """The summary file in a store's folder. Several threads read, one writes."""

    def __init__(self, folder: Path, read_only: bool = False) -> None:
        self._path = folder / NAME
        self._read_only = read_only
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        if not read_only:
            with self._connection() as connection:
                connection.executescript(_SCHEMA)

    def _open(self) -> sqlite3.Connection:
        mode = "ro" if self._read_only else "rwc"
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True, timeout=10, isolation_level=None, check_same_thread=False,
        )  # fmt: skip
        if not self._read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        return connection

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                connection = self._open()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._idle.put(connection)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error

    def closed(self) -> dict[int, int]:
        """For each day that has summaries, the number of the last raw part in them."""
        with self._connection() as connection:
            return dict(connection.execute("SELECT day, through FROM closed").fetchall())

    def read(self, resolution: Resolution, series: int, start_ms: int, end_ms: int) -> Summaries:
        """Summaries of one series with start_ms <= time < end_ms, sorted by time."""
        if start_ms >= end_ms:
            return summaries.concat([])
        first, last = segment_of(resolution, start_ms), segment_of(resolution, end_ms - 1)
        lowest, highest = -_SEGMENT_ZERO, _SEGMENT_ZERO - 1
        span = [key_of(resolution, series, min(max(p, lowest), highest)) for p in (first, last)]
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT key, data FROM pieces WHERE key BETWEEN ? AND ? ORDER BY key", span
            ).fetchall()
        mask = (1 << _SEGMENT_BITS) - 1
        found = unpack(
            [(series, (key & mask) - _SEGMENT_ZERO, data) for key, data in rows], resolution
        )
        inside = (found.time_ms >= start_ms) & (found.time_ms < end_ms)
        return found if inside.all() else found.select(inside)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, committed at the end."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def put(
        self,
        connection: sqlite3.Connection,
        resolution: Resolution,
        day: int,
        new: Summaries,
        adding: bool = False,
        circular: Collection[int] = (),
    ) -> None:
        """Replace the summaries of the series in ``new`` on ``day``, or with ``adding`` merge them."""
        segment = segment_of(resolution, day * DAY_MS)
        start_ms = segment * SEGMENT_DAYS[resolution] * DAY_MS
        merged = new
        if adding or SEGMENT_DAYS[resolution] > 1:
            old = self._pieces(connection, resolution, np.unique(new.series), segment)
            if not adding:
                old = old.select(old.time_ms // DAY_MS != day)
            merged = summaries.concat([s for s in (old, new) if len(s)])
            merged = merged.select(np.lexsort((merged.time_ms, merged.series)))
            merged = (
                summaries.coarsen(merged, SUMMARY_STEP_MS[resolution], 0, circular)
                if adding
                else merged
            )
        records = encode(merged, start_ms, resolution)
        series, first = np.unique(merged.series, return_index=True)
        ends = np.append(first[1:], len(merged))
        connection.executemany(
            "INSERT OR REPLACE INTO pieces VALUES (?, ?)",
            (
                (key_of(resolution, s, segment), pack(records[a:b]))
                for s, a, b in zip(series.tolist(), first.tolist(), ends.tolist(), strict=True)
            ),
        )

    @staticmethod
    def _pieces(
        connection: sqlite3.Connection, resolution: Resolution, series: Int64, segment: int
    ) -> Summaries:
        found = []
        for s in series.tolist():
            key = key_of(resolution, s, segment)
            row = connection.execute("SELECT data FROM pieces WHERE key = ?", [key]).fetchone()
            if row:
                found.append((s, segment, row[0]))
        return unpack(found, resolution)

    def delete_before(self, resolution: Resolution, before_ms: int) -> None:
        """Delete the segments in which everything is older than ``before_ms``."""
        segment = max(segment_of(resolution, before_ms), -_SEGMENT_ZERO)
        here, beyond = key_of(resolution, 0, -_SEGMENT_ZERO), key_of(resolution, (1 << 31) - 1, 0)
        with self.writing() as connection:
            while True:
                [found] = connection.execute(
                    "SELECT min(key) FROM pieces WHERE key >= ?", [here]
                ).fetchone()
                if found is None or found > beyond + _SEGMENT_ZERO:
                    return
                series = (found >> _SEGMENT_BITS) & ((1 << 31) - 1)
                connection.execute(
                    "DELETE FROM pieces WHERE key >= ? AND key < ?",
                    [found, key_of(resolution, series, segment)],
                )
                here = key_of(resolution, series, _SEGMENT_ZERO - 1) + 1

    def close(self) -> None:
        """Close the idle connections."""
        while not self._idle.empty():
            self._idle.get().close()


def mark_closed(connection: sqlite3.Connection, day: int, through: int) -> None:
    """Store that the summaries of ``day`` include all raw parts up to this number."""
    connection.execute("INSERT OR REPLACE INTO closed VALUES (?, ?)", [day, through])
