"""Stations, gateways, devices and series, and the ledger of a gateway."""

from typing import Any

from typing_extensions import TypedDict

from cloud_ingest.api.responses.declaration import example


@example(
    name="pm2_5", unit="ug/m3", domain="air", en="PM2.5", vi="Bụi PM2.5",
    cumulative=False, circular=False,
)  # fmt: skip
class Quantity(TypedDict):
    """A measurable quantity. ``cumulative``: a counter that only grows; ``circular``: an angle."""

    name: str
    unit: str
    domain: str
    en: str
    vi: str
    cumulative: bool
    circular: bool


class Administrative(TypedDict):
    """The administrative units before and since July 2025."""

    former: str | None
    current: str | None


@example(
    id="tdm", name="Thủ Dầu Một", latitude=10.98, longitude=106.652, group="binh-duong",
    gateways=["bd-tdm-001"], online=True, last_seen_ms=1795470465258,
    administrative={"former": "Bình Dương", "current": "TP. Hồ Chí Minh"},
)  # fmt: skip
class Station(TypedDict):
    """A place on the map. It is online while any of its gateways is."""

    id: str
    name: str
    latitude: float | None
    longitude: float | None
    group: str
    gateways: list[str]
    online: bool
    last_seen_ms: int | None
    administrative: Administrative


@example(
    id="bd-tdm-001", group="binh-duong", station="tdm", station_name="Thủ Dầu Một", online=True,
    last_seen_ms=1795470465258, since_ms=1795470359580, born_ms=1795470359580, backlog=7,
    backlog_oldest_ms=1795470459593, samples_measured=556, samples_stored=549, samples_given_up=0,
    acknowledges=True, ack_through=1795470357492, next_batch=1795470357493, agent_version="0.1.0",
    devices=3, devices_online=3, rebirths_asked=0, sequence_gaps=0,
    properties={"Agent Version": "0.1.0"},
)  # fmt: skip
class Gateway(TypedDict):
    """A gateway. ``backlog`` and ``samples_measured`` are null until the gateway reports them."""

    id: str
    group: str
    station: str
    station_name: str
    online: bool
    last_seen_ms: int | None
    since_ms: int
    born_ms: int | None
    backlog: int | None
    backlog_oldest_ms: int | None
    samples_measured: int | None
    samples_stored: int
    samples_given_up: int | None
    acknowledges: bool
    ack_through: int | None
    next_batch: int | None
    agent_version: str
    devices: int
    devices_online: int
    rebirths_asked: int
    sequence_gaps: int
    properties: dict[str, Any]


@example(
    id="bd-tdm-001/noise", gateway="bd-tdm-001", device="noise", station="tdm", group="binh-duong",
    online=True, last_seen_ms=1795470465258, since_ms=1795470359580, profile="wirenboard-wb-mcm8",
    manufacturer="Wiren Board", model="WB-MCM8", bus="rs485", series=7,
    diagnostics={"polls": 60, "answers": 59, "timeouts": 1}, properties={"Bus": "rs485"},
)  # fmt: skip
class Device(TypedDict):
    """A device with the counters of its bus."""

    id: str
    gateway: str
    device: str
    station: str
    group: str
    online: bool
    last_seen_ms: int | None
    since_ms: int
    profile: str
    manufacturer: str
    model: str
    bus: str
    series: int
    diagnostics: dict[str, float]
    properties: dict[str, Any]


@example(
    id="bd-tdm-001/pm/pm2_5", gateway="bd-tdm-001", device="pm", metric="pm2_5", group="binh-duong",
    station="tdm", quantity="pm2_5", unit="ug/m3", interval_ms=1000, valid=[0.0, 1000.0],
    profile="plantower-pms5003", cumulative=False, circular=False,
)  # fmt: skip
class Series(TypedDict):
    """One metric of one device over time. ``valid``: lowest and highest possible value."""

    id: str
    gateway: str
    device: str
    metric: str
    group: str
    station: str
    quantity: str
    unit: str
    interval_ms: int
    valid: list[float] | None
    profile: str
    cumulative: bool
    circular: bool


class Gap(TypedDict):
    """Reports, from ``first`` to ``last`` number, that will not arrive, and why."""

    first: int
    last: int
    reason: str
    time_ms: int
    count: int


class LedgerDay(TypedDict):
    """The numbers of samples of a local day: measured, stored, stored late, given up."""

    day: str
    measured: int
    stored: int
    late: int
    given_up: int


@example(
    gateway="bd-tdm-001", acknowledges=True, through=1795470357716, ranges=[], missing=[],
    samples_stored=815, gaps=[],
    days=[{"day": "2026-11-24", "measured": 815, "stored": 815, "late": 0, "given_up": 0}],
)  # fmt: skip
class GatewayLedger(TypedDict):
    """The stored and the missing reports of a gateway, and the counts of each day."""

    gateway: str
    acknowledges: bool
    through: int | None
    ranges: list[list[int]]
    missing: list[list[int]]
    samples_stored: int
    gaps: list[Gap]
    days: list[LedgerDay]
