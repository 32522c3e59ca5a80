"""Silences: spans in which alerts notify nobody, with the person who added them and the reason."""

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
    """One silence. A field that is None matches everything; ``end_ms`` None: until it is ended.

    ``maintenance`` and ``calibration`` also fail the samples of their span that arrive after it was
    entered and not more than 30 days after its end; samples that are already stored keep their flag.
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
        """Whether it covers ``alert`` at ``now_ms``."""
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
    """The silences in force, kept in memory and read again after a change.

    ``change`` may be called from any thread, everything else from the thread of the rules. What was
    read or checked is remembered only after it succeeded, so that a failed statement loses no change.
    """

    def __init__(self) -> None:
        self._silences: list[Silence] = []
        self._version = 1
        self._read_version = 0
        self._checked_version = 0
        self._checked_ms = 0
        self._lock = threading.Lock()

    def change(self) -> None:
        """Note that a silence was added or ended."""
        with self._lock:
            self._version += 1

    def refresh(self, connection: Connection, now_ms: int) -> None:
        """Read the silences, if one was added or ended since the last time."""
        with self._lock:
            version = self._version
        if version == self._read_version:
            return
        t = tables.silences
        query = sa.select(t).where(t.c.end_ms.is_(None) | (t.c.end_ms > now_ms))
        self._silences = [silence_of(row) for row in connection.execute(query).mappings()]
        self._read_version = version

    def covers(self, alert: Alert, now_ms: int) -> bool:
        """Whether a silence covers ``alert`` at ``now_ms``."""
        return any(silence.covers(alert, now_ms) for silence in self._silences)

    def needs_check(self, now_ms: int) -> bool:
        """Whether a silence was added, began or ended since ``checked``."""
        with self._lock:
            if self._version != self._checked_version:
                return True
        return any(
            self._checked_ms < edge <= now_ms
            for silence in self._silences
            for edge in (silence.start_ms, silence.end_ms)
            if edge is not None
        )

    def checked(self, now_ms: int) -> None:
        """Note that the open alerts agree with the silences that were read last."""
        self._checked_version = self._read_version
        self._checked_ms = now_ms


def silence_of(row: Any) -> Silence:
    """A silence from its row."""
    return Silence(**{name: row[name] for name in Silence.__dataclass_fields__})


def end_with_alert(connection: Connection, alert_id: int, now_ms: int) -> bool:
    """End the silences that last until this alert is resolved. Returns whether there was one."""
    t = tables.silences
    ended = connection.execute(
        sa.update(t)
        .where((t.c.until_resolved == alert_id) & t.c.end_ms.is_(None))
        .values(end_ms=now_ms)
    )
    return bool(ended.rowcount)
