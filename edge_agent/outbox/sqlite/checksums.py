"""Checksums of the rows of the outbox: silent changes by the disk are noticed when read."""

import sqlite3
import struct
import zlib
from typing import Any

_HEAD = struct.Struct("<qqqqq")

ReportRow = tuple[int, int, int, int, int, bytes | None, int | None]
"""A row of the report table: batch, shape, time_ms, count, measured, data, checksum."""


class Damage(sqlite3.DatabaseError):
    """A row is not what was written; the file cannot be trusted."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def report_row(
    batch: int, shape: int, time_ms: int, count: int, measured: int, data: bytes | None
) -> ReportRow:
    """The row with its checksum."""
    checksum = _of_report(batch, shape, time_ms, count, measured, data)
    return batch, shape, time_ms, count, measured, data, checksum


def is_sound(row: ReportRow) -> bool:
    """Whether a row of the report table is what was written.

    Rows without a checksum are from a version that wrote none; they count as sound.
    """
    batch, shape, time_ms, count, measured, data, checksum = row
    if checksum is None:
        return True
    try:
        return _of_report(batch, shape, time_ms, count, measured, data) == checksum
    except (struct.error, TypeError):  # a value of another type than was written
        return False


def checksum_of(*fields: Any) -> int:
    """The checksum of a row of any other table."""
    return zlib.crc32(repr(fields).encode("utf-8", "surrogatepass"))


def check(checksum: int | None, *fields: Any) -> None:
    """Raise Damage if ``fields`` are not what was written."""
    if checksum is not None and checksum != checksum_of(*fields):
        raise Damage("a row was changed by the disk")


def _of_report(
    batch: int, shape: int, time_ms: int, count: int, measured: int, data: bytes | None
) -> int:
    return zlib.crc32(data or b"", zlib.crc32(_HEAD.pack(batch, shape, time_ms, count, measured)))
