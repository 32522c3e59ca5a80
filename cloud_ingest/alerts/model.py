"""An alert, its history, and the events about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal


class AlertState(StrEnum):
    """The states of an alert (see ``lifecycle``). The values are those of the API and database."""

    PENDING = "pending"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


OPEN = (AlertState.PENDING, AlertState.FIRING, AlertState.ACKNOWLEDGED)
ScopeName = Literal["metric", "device", "bus", "gateway", "broker"]


class AlertError(Exception):
    """A request about alerts that cannot be fulfilled."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class AlertNotFound(AlertError):  # noqa: N818  # named by what went wrong
    """There is no such alert (or silence)."""


class AlertConflict(AlertError):  # noqa: N818  # named by what went wrong
    """The state of the alert does not allow the request."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an alert's history. ``time_ms`` is the sample's time, or when a person acted."""

    time_ms: int
    kind: str
    by: str | None = None
    text: str | None = None
    value: float | None = None

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "time_ms": self.time_ms, "kind": self.kind, "by": self.by, "text": self.text,
            "value": self.value,
        }  # fmt: skip


@dataclass(slots=True)
class Alert:
    """A time during which a rule held for one subject. ``id`` 0: not in the database yet.

    ``inhibited_by`` is the alert about a wider outage that explains this one.
    """

    rule: str
    kind: str
    subject: str
    scope: ScopeName
    severity: str
    state: AlertState
    start_ms: int
    updated_ms: int
    id: int = 0
    station: str | None = None
    gateway: str | None = None
    device: str | None = None
    metric: str | None = None
    quantity: str | None = None
    unit: str | None = None
    fired_ms: int | None = None
    end_ms: int | None = None
    value: float | None = None
    peak: float | None = None
    limit_value: float | None = None
    comparison: str | None = None
    retrospective: bool = False
    fires: int = 0
    flapping: bool = False
    inhibited_by: int | None = None
    silenced: bool = False
    acknowledged_by: str | None = None
    acknowledged_ms: int | None = None
    assignee: str | None = None
    name: Mapping[str, str] = field(default_factory=dict)
    text: Mapping[str, str] = field(default_factory=dict)
    legal: Mapping[str, Any] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is not resolved."""
        return self.state in OPEN

    @property
    def series(self) -> str | None:
        """The key of the series; None for an alert about a device, bus, gateway or broker."""
        return self.subject if self.scope == "metric" else None

    def as_json(
        self, spans: list[list[int | None]] | None = None, history: list[Entry] | None = None
    ) -> dict[str, Any]:
        """As the API and the event stream show it."""
        shown: dict[str, Any] = {
            "id": self.id, "rule": self.rule, "kind": self.kind, "state": self.state.value,
            "severity": self.severity, "scope": self.scope, "subject": self.subject,
            "series": self.series, "station": self.station, "gateway": self.gateway,
            "device": self.device, "metric": self.metric, "quantity": self.quantity,
            "unit": self.unit, "start_ms": self.start_ms, "fired_ms": self.fired_ms,
            "end_ms": self.end_ms, "updated_ms": self.updated_ms, "value": self.value,
            "peak": self.peak, "limit": self.limit_value, "comparison": self.comparison,
            "retrospective": self.retrospective, "fires": self.fires, "flapping": self.flapping,
            "muted_by": self.inhibited_by, "silenced": self.silenced,
            "acknowledged_by": self.acknowledged_by, "acknowledged_ms": self.acknowledged_ms,
            "assignee": self.assignee, "name": dict(self.name), "text": dict(self.text),
            "legal": dict(self.legal) if self.legal is not None else None,
        }  # fmt: skip
        if spans is not None:
            shown["spans"] = spans
        if history is not None:
            shown["history"] = [e.as_json() for e in history]
        return shown


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """A change of an alert for live updates. ``alert`` is its JSON form."""

    kind: str
    alert: dict[str, Any]
