"""The ledger by day: how much of each gateway was measured, stored, late, given up."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from cloud_ingest.database.schema import ledger_days
from cloud_ingest.intake.work import Counted, Receipt, Unnumbered

LATE_MS = 60_000
"""A report that comes later than this after its first sample was measured is late."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Day:
    stored: int = 0
    late: int = 0
    measured: int = 0
    given_up: int = 0


class Days:
    """What is to be added to the days of the ledger."""

    def __init__(self) -> None:
        self._days: dict[tuple[str, str], _Day] = {}

    def __bool__(self) -> bool:
        return bool(self._days)

    def store(self, entry: Receipt | Unnumbered) -> None:
        """Stored samples count for the day of their own time."""
        if not entry.samples:
            return
        time_ms = entry.arrived_ms if entry.time_ms is None else entry.time_ms
        day = self._day(entry.gateway, time_ms)
        day.stored += entry.samples
        if entry.arrived_ms - time_ms > LATE_MS:
            day.late += entry.samples

    def count(self, entry: Counted) -> None:
        """What a gateway counts itself belongs to the day on which it said so."""
        day = self._day(entry.gateway, entry.arrived_ms)
        if entry.what == "measured":
            day.measured += entry.samples
        else:
            day.given_up += entry.samples

    def _day(self, gateway: str, time_ms: int) -> _Day:
        key = (gateway, day_of(time_ms))
        day = self._days.get(key)
        if day is None:
            day = self._days[key] = _Day()
        return day

    def save(self, connection: Connection) -> None:
        """Add to the days in the database; ``clear`` must follow once it is committed."""
        if not self._days:
            return
        rows = [
            {"gateway_id": gateway, "day": day, "stored": d.stored, "late": d.late,
             "measured": d.measured, "given_up": d.given_up}
            for (gateway, day), d in self._days.items()
        ]  # fmt: skip
        is_postgresql = connection.dialect.name == "postgresql"
        new: Any = (postgresql if is_postgresql else sqlite).insert(ledger_days)
        counts = ("stored", "late", "measured", "given_up")
        added = {name: ledger_days.c[name] + new.excluded[name] for name in counts}
        connection.execute(
            new.on_conflict_do_update(index_elements=["gateway_id", "day"], set_=added), rows
        )

    def clear(self) -> None:
        """They are committed."""
        self._days.clear()


_DAY_MS = 86_400_000
_OFFSET_MS = 7 * 3_600_000  # days are those of Vietnam, which has no summer time
_LAST_DAY = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH).days


@lru_cache(maxsize=4096)
def _name_of(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")


def day_of(time_ms: int) -> str:
    """The local day of a moment, as YYYY-MM-DD; beyond all calendars, the last day of them."""
    return _name_of(max(0, min((time_ms + _OFFSET_MS) // _DAY_MS, _LAST_DAY)))


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
