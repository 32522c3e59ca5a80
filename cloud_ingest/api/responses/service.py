"""Health, quarantine and events of the service."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from cloud_ingest.api.responses.declaration import ProblemDocument, example
from telemetry.time.local_time import TIME_ZONE


@example(
    name="Quantrac", version="0.1.0", host="quantrac", store="embedded", time_ms=1795470465324,
    time_zone=TIME_ZONE,
)  # fmt: skip
class About(TypedDict):
    """Name and version. ``host``: Sparkplug host application; ``time_zone``: of the web page."""

    name: str
    version: str
    host: str
    store: str
    time_ms: int
    time_zone: str


class Check(TypedDict):
    """True if a part answers; otherwise ``detail`` is the reason."""

    ok: bool
    detail: str
    kind: NotRequired[str]


@example(
    status="ok", version="0.1.0", time_ms=1795470465343, uptime_s=105.9,
    checks={"broker": {"ok": True, "detail": ""}},
)  # fmt: skip
class Health(TypedDict):
    """Broker, store, database, pipeline and notification all work."""

    status: Literal["ok"]
    version: str
    time_ms: int
    uptime_s: float
    checks: dict[str, Check]


class HealthProblem(ProblemDocument):
    """A part does not work; ``checks`` says which."""

    version: str
    time_ms: int
    uptime_s: float
    checks: dict[str, Check]


@example(
    id=7, time_ms=1795470465324, topic="spBv1.0/binh-duong/DDATA/bd-tdm-001/pm",
    gateway="bd-tdm-001", reason="unknown unit 'bananas'", size=57, count=1, form="message",
    replayable=True, payload_base64="CAESAA==",
)  # fmt: skip
class Quarantined(TypedDict):
    """A rejected message with the first 4 kB of its payload. ``count``: how often it arrived."""

    id: int
    time_ms: int
    topic: str
    gateway: str | None
    reason: str
    size: int
    count: int
    form: Literal["message", "samples"]
    replayable: bool
    payload_base64: str


@example(total=3, by_reason={"unknown unit 'bananas'": 3})
class QuarantineSummary(TypedDict):
    """The number of rejected messages since the first start."""

    total: int
    by_reason: dict[str, int]


@example(id=7, replayed=True)
class Replayed(TypedDict):
    """The message is queued again; if it fails again, it returns to the quarantine."""

    id: int
    replayed: Literal[True]


@example(
    id=13, time_ms=1795470359580, kind="device_online", group="binh-duong", gateway="bd-da-002",
    device="radar", message="bd-da-002/radar is online", details={},
)  # fmt: skip
class Event(TypedDict):
    """An event of a gateway or a device."""

    id: int
    time_ms: int
    kind: str
    group: str
    gateway: str
    device: str | None
    message: str
    details: Any
