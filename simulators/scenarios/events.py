"""The events of a scenario: episodes of the world, faults of the equipment."""

from fnmatch import fnmatchcase

from pydantic import Field, model_validator

from simulators.faults.plan import OF_PORTS, FaultKind
from simulators.scenarios.fields import StrictModel, When
from telemetry.time.durations import DurationMs


class LeakModel(StrictModel):
    """A source on the map (see simulators.signals.episodes.Leak)."""

    latitude: float
    longitude: float
    height_m: float = Field(default=10.0, ge=0)
    grams_per_s: dict[str, float] = Field(min_length=1)


class EpisodeModel(StrictModel):
    """An episode of the world (see simulators.signals.episodes.Episode)."""

    name: str
    at: When
    rise: DurationMs = 60_000
    hold: DurationMs = 300_000
    fall: DurationMs = 120_000
    stations: tuple[str, ...] = ()
    add: dict[str, float] = Field(default_factory=dict)
    times: dict[str, float] = Field(default_factory=dict)
    leak: LeakModel | None = None
    wind_from_deg: float | None = Field(default=None, ge=0, le=360)
    wind_m_s: float | None = Field(default=None, ge=0, le=60)
    rain_mm_h: float | None = Field(default=None, ge=0, le=300)
    flow_times: float = Field(default=1.0, ge=0)
    capacity_times: float = Field(default=1.0, ge=0)


class FaultModel(StrictModel):
    """A fault of devices, buses or gateways; ``*`` matches any name.

    ``device`` is gateway/device, ``bus`` is gateway/bus. See simulators.faults.plan.FaultKind.
    """

    kind: FaultKind
    device: str | None = None
    bus: str | None = None
    gateway: str | None = None
    at: When = When(after_ms=0)
    lasts: DurationMs | None = None
    every: DurationMs | None = None
    probability: float = Field(default=1.0, gt=0, le=1)
    value: float | None = None
    metrics: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_target(self) -> "FaultModel":
        given = [n for n in ("device", "bus", "gateway") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError("say whose fault it is: one of device, bus or gateway")
        if self.kind in OF_PORTS and self.device is not None:
            raise ValueError(f"{self.kind} happens to a bus or a gateway")
        if self.kind is FaultKind.POWER_CUT and self.gateway is None:
            raise ValueError("power_cut happens to a gateway")
        if self.every is not None and (self.lasts is None or self.lasts >= self.every):
            raise ValueError("'every' needs 'lasts', which must be shorter")
        if self.probability < 1 and self.kind in OF_PORTS:
            raise ValueError(f"{self.kind} happens by schedule ('at', 'lasts', 'every')")
        return self

    def applies_to(self, gateway: str, bus: str, device: str | None = None) -> bool:
        """True if the fault affects this bus, or this device on it."""
        if self.gateway is not None:
            return fnmatchcase(gateway, self.gateway)
        if self.bus is not None:
            return fnmatchcase(f"{gateway}/{bus}", self.bus)
        return device is not None and fnmatchcase(f"{gateway}/{device}", self.device or "")
