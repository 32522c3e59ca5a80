"""Alerts, silences, rules, notifications, and the report of a period."""

from typing import Literal

from typing_extensions import TypedDict

from cloud_ingest.api.responses.declaration import Texts, example

SeverityName = Literal["info", "warning", "critical"]
AlertState = Literal["pending", "firing", "acknowledged", "resolved"]
_ALERT = {
    "id": 2, "rule": "vn-air/pm2_5-24h", "kind": "mean", "state": "firing", "severity": "warning",
    "scope": "metric", "subject": "bd-tdm-001/pm/pm2_5", "series": "bd-tdm-001/pm/pm2_5",
    "station": "tdm", "gateway": "bd-tdm-001", "device": "pm", "metric": "pm2_5",
    "quantity": "pm2_5", "unit": "ug/m3", "start_ms": 1795470452861, "fired_ms": 1795470452861,
    "end_ms": None, "updated_ms": 1795470453132, "value": 52.0, "peak": 57.3, "limit": 45.0,
    "comparison": "above", "retrospective": False, "fires": 1, "flapping": False, "muted_by": None,
    "silenced": False, "acknowledged_by": None, "acknowledged_ms": None, "assignee": None,
    "name": {"vi": "PM2.5 trung bình 24 giờ", "en": "PM2.5, mean of 24 hours"},
    "text": {"vi": "Thủ Dầu Một: 52 µg/m³.", "en": "Thủ Dầu Một: 52 µg/m³."}, "legal": None,
}  # fmt: skip


_SPANS: list[list[int | None]] = [[1795470452861, None]]
_FIRED = {"time_ms": 1795470452861, "kind": "fired", "by": None, "text": None, "value": 52.0}
_SENT = {
    "channel": "telegram", "kind": "fired", "state": "sent", "created_ms": 1795470453132,
    "sent_ms": 1795470453420, "attempts": 1, "error": None,
}  # fmt: skip


class Legal(TypedDict):
    """The legal basis of a limit: document, dates between which it is in force, and verification."""

    document: str
    clause: str
    area: str
    averaging: str
    effective_from: str | None
    effective_to: str | None
    verified: bool
    source: str


@example(**_ALERT)
class AlertNews(TypedDict):
    """The present state of an alert: a span in which a rule was true for a series, device, gateway ...

    ``peak``: the value furthest beyond the limit. ``muted_by``: the wider alert that explains it.
    ``retrospective``: found in late data.
    """

    id: int
    rule: str
    kind: str
    state: AlertState
    severity: SeverityName
    scope: Literal["metric", "device", "bus", "gateway", "broker"]
    subject: str
    series: str | None
    station: str | None
    gateway: str | None
    device: str | None
    metric: str | None
    quantity: str | None
    unit: str | None
    start_ms: int
    fired_ms: int | None
    end_ms: int | None
    updated_ms: int
    value: float | None
    peak: float | None
    limit: float | None
    comparison: str | None
    retrospective: bool
    fires: int
    flapping: bool
    muted_by: int | None
    silenced: bool
    acknowledged_by: str | None
    acknowledged_ms: int | None
    assignee: str | None
    name: Texts
    text: Texts
    legal: Legal | None


class HistoryEntry(TypedDict):
    """An entry of an alert's history."""

    time_ms: int
    kind: str
    by: str | None
    text: str | None
    value: float | None


@example(**_ALERT, spans=_SPANS, history=[_FIRED])
class Alert(AlertNews):
    """An alert with the spans [start, end or null] in which it was active, and its history."""

    spans: list[tuple[int, int | None]]
    history: list[HistoryEntry]


class Delivery(TypedDict):
    """A message about an alert: channel, state and error."""

    channel: str
    kind: str
    state: Literal["waiting", "sent", "failed", "dropped"]
    created_ms: int
    sent_ms: int | None
    attempts: int
    error: str | None


@example(**_ALERT, spans=_SPANS, history=[_FIRED], deliveries=[_SENT])
class AlertDetail(Alert):
    """An alert with its history and the messages sent about it."""

    deliveries: list[Delivery]


class Refused(TypedDict):
    """An alert for which an action was not possible, and why."""

    id: int
    detail: str


@example(items=[], refused=[{"id": 9, "detail": "alert 9 is resolved, not firing"}])
class Acknowledged(TypedDict):
    """The alerts that were acknowledged, and those for which it was not possible."""

    items: list[Alert]
    refused: list[Refused]


@example(
    id=1, kind="maintenance", rule=None, station="tdm", gateway=None, device=None, metric=None,
    start_ms=1795470452861, end_ms=1795474052861, until_resolved=None, reason="Thay đầu đo",
    created_by="Trần Thị Bình", created_ms=1795470452861, ended_by=None,
)  # fmt: skip
class Silence(TypedDict):
    """A span in which matching alerts notify nobody; a field that is null matches everything.

    ``end_ms`` null: until it is ended by hand, or until the alert ``until_resolved`` is resolved.
    Maintenance and calibration also mark the samples of their span as failed, as far as they arrive
    after it was entered and within 30 days of its end. Samples already stored keep their flag.
    """

    id: int
    kind: Literal["silence", "maintenance", "calibration"]
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


class Limit(TypedDict):
    """A limit of a rule, and the label of its line in a chart."""

    value: float
    comparison: str | None
    severity: SeverityName
    unit: str
    label: Texts


@example(
    rule="vn-air/so2-1h", kind="mean", name={"vi": "SO2 trung bình 1 giờ", "en": "SO2, 1 hour"},
    severity="warning", enabled=True, verified=True, demonstration=False, quantity=["so2"],
    limits=[{"value": 350.0, "comparison": "above", "severity": "warning", "unit": "ug/m3",
             "label": {"vi": "SO2: 350 µg/m³", "en": "SO2: 350 µg/m³"}}],
    averaging="1h", hold_ms=0,
    legal={"document": "QCVN 05:2023/BTNMT", "clause": "table 1", "area": "", "averaging": "1 hour",
           "effective_from": "2023-09-12", "effective_to": None, "verified": True, "source": "…"},
    series=["bd-tdm-001/gas/so2"],
)  # fmt: skip
class Rule(TypedDict):
    """A rule with its limits, its legal basis, and its series."""

    rule: str
    kind: str
    name: Texts
    severity: SeverityName
    enabled: bool
    verified: bool | None
    demonstration: bool
    quantity: list[str]
    limits: list[Limit]
    averaging: str | None
    hold_ms: int
    legal: Legal | None
    series: list[str]


@example(
    name="telegram", service="tgram", severity=["critical"], station=[], rule=[], language="vi",
    quiet_hours="22:00-06:00", quiet_below="critical", escalate_after_ms=None, resolved=True,
    per_minute=20,
)  # fmt: skip
class Channel(TypedDict):
    """A channel of ``notify`` in cloud.yaml without its address; an empty list matches everything."""

    name: str
    service: str
    severity: list[SeverityName]
    station: list[str]
    rule: list[str]
    language: Literal["vi", "en"]
    quiet_hours: str | None
    quiet_below: SeverityName
    escalate_after_ms: int | None
    resolved: bool
    per_minute: int


@example(
    id=31, alert_id=2, name={"vi": "Bụi cao", "en": "High dust"}, station="tdm", channel="telegram",
    kind="fired", severity="critical", state="waiting", created_ms=1795470453132,
    due_ms=1795470458132, sent_ms=None, attempts=1, error="503 Service Unavailable",
)  # fmt: skip
class Notification(Delivery):
    """A message with its alert. ``due_ms``: the time of its next attempt."""

    id: int
    alert_id: int
    name: Texts
    station: str | None
    severity: SeverityName
    due_ms: int


@example(
    channel="telegram", ok=False, detail="429",
    error={"vi": "Nhận quá nhiều tin", "en": "Too many messages"},
)  # fmt: skip
class ChannelTest(TypedDict):
    """The result of a test message; if it failed, the reason and the message of the service."""

    channel: str
    ok: bool
    error: Texts | None
    detail: str | None


@example(
    id=2, rule="vn-air/pm2_5-24h", name={"vi": "PM2.5 trung bình 24 giờ", "en": "PM2.5, 24 hours"},
    severity="warning", state="resolved", station="tdm", station_name="Thủ Dầu Một",
    subject="bd-tdm-001/pm/pm2_5", start_ms=1795470452861, end_ms=1795474052861, peak=57.3,
    limit=45.0, comparison="above", unit="ug/m3", legal=None, demonstration=False,
    retrospective=False, muted_by=None, acknowledged_by="Trần Thị Bình",
    acknowledged_ms=1795470552861, assignee=None,
)  # fmt: skip
class ReportedAlert(TypedDict):
    """One line of the report: alert, place, span, peak, limit, who acknowledged it."""

    id: int
    rule: str
    name: Texts
    severity: SeverityName
    state: AlertState
    station: str | None
    station_name: str | None
    subject: str
    start_ms: int
    end_ms: int | None
    peak: float | None
    limit: float | None
    comparison: str | None
    unit: str | None
    legal: Legal | None
    demonstration: bool
    retrospective: bool
    muted_by: int | None
    acknowledged_by: str | None
    acknowledged_ms: int | None
    assignee: str | None


class AlertReport(TypedDict):
    """The alerts that were active in a period, oldest first. ``shortened``: there are more."""

    since_ms: int
    until_ms: int
    items: list[ReportedAlert]
    shortened: bool
