"""Local time at the stations: the zone by which days, hours and reports are counted.

All stations are in Viet Nam, which is seven hours ahead of UTC all year. All Python code that needs
the zone takes it from here. The web page has a copy in ``cloud_ingest/web/src/parts/localTime.ts``,
and tests/telemetry/test_local_time.py compares the two.
"""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from telemetry.batches import Int64

TIME_ZONE = "Asia/Ho_Chi_Minh"
UTC_OFFSET_H = 7.0
UTC_OFFSET_NAME = f"UTC{UTC_OFFSET_H:+g}"
LOCAL_ZONE = timezone(timedelta(hours=UTC_OFFSET_H))

_OFFSET_MS = round(UTC_OFFSET_H * 3_600_000)
_DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Ms = TypeVar("Ms", int, "Int64")


def to_local_ms(time_ms: Ms) -> Ms:
    """Milliseconds that a local clock has counted since 1970, for UTC milliseconds."""
    return time_ms + _OFFSET_MS


def from_local_ms(local_ms: Ms) -> Ms:
    """UTC milliseconds for what ``to_local_ms`` returns."""
    return local_ms - _OFFSET_MS


def ms_of_day(time_ms: Ms) -> Ms:
    """Milliseconds since local midnight."""
    return (time_ms + _OFFSET_MS) % _DAY_MS


def day_start_ms(time_ms: int) -> int:
    """UTC milliseconds of the local midnight at or before ``time_ms``."""
    return time_ms - ms_of_day(time_ms)


def midnight_ms(day: date) -> int:
    """UTC milliseconds at which a local day begins."""
    return from_local_ms((day - _EPOCH.date()).days * _DAY_MS)


def local_datetime(time_ms: int) -> datetime:
    """Date and time on a local clock, with the zone."""
    return (_EPOCH + timedelta(milliseconds=time_ms)).astimezone(LOCAL_ZONE)
