"""Stations, gateways and devices as the inventory holds them."""

from dataclasses import dataclass, field
from typing import Any

from telemetry.series import SeriesKey


@dataclass(slots=True)
class Station:
    """A place on the map, with its administrative unit before and since July 2025."""

    id: str
    name: str
    group: str
    latitude: float | None = None
    longitude: float | None = None
    former_unit: str | None = None
    current_unit: str | None = None


@dataclass(slots=True)
class Gateway:
    """A gateway and its state. ``since_ms``: when it went online or offline.

    ``backlog`` is the number of samples in its outbox, ``samples_measured`` all that it ever
    measured, both as the gateway reports them (None: it does not).
    """

    id: str
    group: str
    station: str
    online: bool = False
    acknowledges: bool = False
    since_ms: int = 0
    last_seen_ms: int | None = None
    born_ms: int | None = None
    bdseq: int | None = None
    backlog: int | None = None
    backlog_oldest_ms: int | None = None
    samples_measured: int | None = None
    samples_given_up: int | None = None
    next_batch: int | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    rebirths_asked: int = 0
    sequence_gaps: int = 0


@dataclass(slots=True)
class Device:
    """A sensor or meter at a gateway, with its state and its bus counters."""

    gateway: str
    name: str
    online: bool = False
    since_ms: int = 0
    last_seen_ms: int | None = None
    profile: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    diagnostics: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeriesDescription:
    """A series as a birth describes it, before it has an index."""

    key: SeriesKey
    group: str
    station: str
    quantity: str
    unit: str
    interval_ms: int = 0
    valid: tuple[float, float] | None = None
    profile: str = ""
    tags: tuple[str, ...] = ()
