"""The ledger by day: samples of each gateway that were measured, stored, late or given up."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cloud_ingest.database.rows import put_rows
from cloud_ingest.database.schema import ledger_days
from cloud_ingest.intake.work import GatewayCount, Receipt, UnnumberedSamples
from telemetry.batches import Int64
from telemetry.time.local_time import to_local_ms

LATE_MS = 60_000
"""A report that arrives more than this after its first sample was measured is late."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Day:
    stored: int = 0
    late: int = 0
    measured: int = 0
    given_up: int = 0


class DailyCounts:
    """Counts by gateway and day that are not saved yet."""

    def __init__(self) -> None:
        self._days: dict[tuple[str, int], _Day] = {}  # by gateway and day number

    def __bool__(self) -> bool:
        return bool(self._days)

    def store(self, entry: Receipt | UnnumberedSamples) -> None:
        """Count stored samples for the day of their own time."""
        if not entry.samples:
            return
        time_ms = entry.arrived_ms if entry.time_ms is None else entry.time_ms
        late = entry.samples if entry.arrived_ms - time_ms > LATE_MS else 0
        self.add(entry.gateway, day_number(time_ms), entry.samples, late)

    def add(self, gateway: str, day_number: int, stored: int, late: int) -> None:
        """Count stored samples of one day, ``late`` of them late."""
        if not stored:
            return
        day = self._days.get((gateway, day_number))
        if day is None:
            self._days[gateway, day_number] = _Day(stored, late)
        else:
            day.stored += stored
            day.late += late

    def count(self, entry: GatewayCount) -> None:
        """Count what a gateway reports of itself, for the day on which the report arrived."""
        day = self._day(entry.gateway, day_number(entry.arrived_ms))
        if entry.what == "measured":
            day.measured += entry.samples
        else:
            day.given_up += entry.samples

    def _day(self, gateway: str, number: int) -> _Day:
        key = (gateway, number)
        day = self._days.get(key)
        if day is None:
            day = self._days[key] = _Day()
        return day

    def save(self, connection: Connection) -> None:
        """Add the counts to the rows of the database. Call ``clear`` after the commit."""
        if not self._days:
            return
        rows = [
            (gateway, _name_of(day), d.stored, d.late, d.measured, d.given_up)
            for (gateway, day), d in self._days.items()
        ]
        put_rows(connection, ledger_days, rows, added=("stored", "late", "measured", "given_up"))

    def clear(self) -> None:
        """Forget the counts: they are committed."""
        self._days.clear()


_DAY_MS = 86_400_000
_LAST_DAY = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH).days


@lru_cache(maxsize=4096)
def _name_of(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")


def day_number(time_ms: int) -> int:
    """The local day of a time, counted since 1970 and limited to the year 9999."""
    return max(0, min(to_local_ms(time_ms) // _DAY_MS, _LAST_DAY))


def day_numbers(time_ms: Int64) -> Int64:
    """``day_number`` of many times."""
    return np.clip(to_local_ms(time_ms) // _DAY_MS, 0, _LAST_DAY)


def read_days(connection: Connection, gateway: str, count: int) -> list[dict[str, Any]]:
    """The last ``count`` days of a gateway, newest first."""
    c = ledger_days.c
    statement = (
        sa.select(c.day, c.measured, c.stored, c.late, c.given_up)
        .where(c.gateway_id == gateway)
        .order_by(c.day.desc())
        .limit(count)
    )
    return [{str(k): v for k, v in row.items()} for row in connection.execute(statement).mappings()]
