"""Silences: spans in which alerts notify nobody, with who asked for them and why."""

import threading
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cloud_ingest.alerts import tables
from cloud_ingest.alerts.model import Alert

SilenceKind = Literal["silence", "maintenance", "calibration"]


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence. Fields that are None match anything; ``end_ms`` None: until it is ended.

    ``maintenance`` and ``calibration`` also mark the samples of their span as not for use.
    """

    id: int
    kind: SilenceKind
    rule: str | None
    station: str | None
    gateway: str | None
    device: str | None
    metric: str | None
    start_ms: int
    end_ms: int | None
    until_resolved: int | None
    reason: str
    created_by: str
    created_ms: int
    ended_by: str | None

    def covers(self, alert: Alert, now_ms: int) -> bool:
        """Whether it keeps ``alert`` quiet at ``now_ms``."""
        if not self.start_ms <= now_ms or (self.end_ms is not None and now_ms >= self.end_ms):
            return False
        return all(
            mine is None or mine == theirs
            for mine, theirs in (
                (self.rule, alert.rule), (self.station, alert.station),
                (self.gateway, alert.gateway), (self.device, alert.device),
                (self.metric, alert.metric),
            )
        )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class Silences:
    """The silences that matter now, read anew when one was made or ended."""

    def __init__(self) -> None:
        self._spans: list[Silence] = []
        self._changed = True
        self._checked_ms = 0
        self._lock = threading.Lock()

    def change(self) -> None:
        """A silence was made or ended."""
        with self._lock:
            self._changed = True

    def refresh(self, connection: Connection, now_ms: int) -> None:
        """Read them, if anything changed."""
        with self._lock:
            if not self._changed:
                return
            self._changed = False
        t = tables.silences
        query = sa.select(t).where(t.c.end_ms.is_(None) | (t.c.end_ms > now_ms))
        self._spans = [silence_of(row) for row in connection.execute(query).mappings()]

    def covers(self, alert: Alert, now_ms: int) -> bool:
        """Whether a silence keeps ``alert`` quiet at ``now_ms``."""
        return any(span.covers(alert, now_ms) for span in self._spans)

    def may_end(self, now_ms: int) -> bool:
        """Whether a silence was changed, or began or ended since this was last asked."""
        since, self._checked_ms = self._checked_ms, now_ms
        with self._lock:
            if self._changed:
                return True
        return any(
            since < edge <= now_ms
            for span in self._spans
            for edge in (span.start_ms, span.end_ms)
            if edge is not None
        )


def silence_of(row: Any) -> Silence:
    """A silence from its row."""
    return Silence(**{name: row[name] for name in Silence.__dataclass_fields__})


def end_with_alert(connection: Connection, alert_id: int, now_ms: int) -> None:
    """End the silences that were to last until this alert is resolved."""
    t = tables.silences
    connection.execute(
        sa.update(t)
        .where((t.c.until_resolved == alert_id) & t.c.end_ms.is_(None))
        .values(end_ms=now_ms)
    )
