"""The ledger by day: how much of each gateway was measured, stored, late, given up."""

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
from telemetry.local_time import to_local_ms

LATE_MS = 60_000
"""A report that comes later than this after its first sample was measured is late."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Day:
    stored: int = 0
    late: int = 0
    measured: int = 0
    given_up: int = 0


class DailyCounts:
    """What is to be added to the days of the ledger."""

    def __init__(self) -> None:
        self._days: dict[tuple[str, int], _Day] = {}  # by gateway and number of the day

    def __bool__(self) -> bool:
        return bool(self._days)

    def store(self, entry: Receipt | UnnumberedSamples) -> None:
        """Stored samples count for the day of their own time."""
        if not entry.samples:
            return
        time_ms = entry.arrived_ms if entry.time_ms is None else entry.time_ms
        late = entry.samples if entry.arrived_ms - time_ms > LATE_MS else 0
        self.add(entry.gateway, day_number(time_ms), entry.samples, late)

    def add(self, gateway: str, day_number: int, stored: int, late: int) -> None:
        """Add what was stored of one day, and how much of it came late."""
        if not stored:
            return
        day = self._days.get((gateway, day_number))
        if day is None:
            self._days[gateway, day_number] = _Day(stored, late)
        else:
            day.stored += stored
            day.late += late

    def count(self, entry: GatewayCount) -> None:
        """What a gateway counts itself belongs to the day on which it said so."""
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
        """Add to the days in the database; ``clear`` must follow once it is committed."""
        if not self._days:
            return
        rows = [
            (gateway, _name_of(day), d.stored, d.late, d.measured, d.given_up)
            for (gateway, day), d in self._days.items()
        ]
        put_rows(connection, ledger_days, rows, added=("stored", "late", "measured", "given_up"))

    def clear(self) -> None:
        """They are committed."""
        self._days.clear()


_DAY_MS = 86_400_000
_LAST_DAY = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH).days


@lru_cache(maxsize=4096)
def _name_of(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")


def day_number(time_ms: int) -> int:
    """The local day of a moment, counted since 1970; beyond all calendars, the last day of them."""
    return max(0, min(to_local_ms(time_ms) // _DAY_MS, _LAST_DAY))


def day_numbers(time_ms: Int64) -> Int64:
    """``day_number`` of many moments."""
    return np.clip(to_local_ms(time_ms) // _DAY_MS, 0, _LAST_DAY)


def day_of(time_ms: int) -> str:
    """The local day of a moment, as YYYY-MM-DD; beyond all calendars, the last day of them."""
    return _name_of(day_number(time_ms))


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
