"""The form of a scenario file."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from simulators.faults.plan import OF_PORTS, Kind
from telemetry.documents import Place, read_document
from telemetry.durations import DurationMs, parse_duration_ms
from telemetry.quantities import QUANTITIES

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


def _identifier(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError("use A-Z a-z 0-9 _ - only, 1 to 64 of them")
    return value


Identifier = Annotated[str, Field(min_length=1), BeforeValidator(str)]


def _moment(value: object) -> object:
    """A clock time ``14:20`` stays text; YAML reads 14:20 as a number of minutes, so ask for quotes."""
    if isinstance(value, int) and not isinstance(value, bool) and value != 0:
        raise ValueError(
            "write a duration with its unit (75s), or a time of day in quotes ('14:20')"
        )
    return str(value)


class When(_Part):
    """A moment: so long after the start, or the next time that the local clock shows it."""

    after_ms: int | None = None
    clock_s: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        if isinstance(value, dict):
            return value
        text = str(_moment(value))
        clock = _CLOCK.fullmatch(text)
        if clock:
            hour, minute, second = (int(g or 0) for g in clock.groups())
            return {"clock_s": hour * 3600 + minute * 60 + second}
        return {"after_ms": _Span.model_validate({"span": text if text != "0" else 0}).span}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _core: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "type": ["string", "integer"],
            "description": "a duration after the start, or a time of day",
            "examples": ["75s", "14:20"],
        }

    def resolve_ms(self, start_ms: int, offset_s: float) -> int:
        """The moment, UTC milliseconds, of a simulation that starts at ``start_ms``."""
        if self.clock_s is None:
            return start_ms + (self.after_ms or 0)
        local_s = start_ms / 1000.0 + offset_s
        midnight = local_s - local_s % 86400.0
        moment = midnight + self.clock_s
        if moment < local_s:
            moment += 86400.0
        return round((moment - offset_s) * 1000.0)


class _Span(_Part):
    span: DurationMs


class Surroundings(_Part):
    """What is around a station (see simulators.signals.places.Place)."""

    traffic: float = Field(default=0.6, ge=0, le=3)
    vehicles_per_h: float = Field(default=2400.0, ge=0, le=20000)
    capacity_per_h: float = Field(default=2600.0, gt=0, le=20000)
    free_speed_km_h: float = Field(default=45.0, gt=5, le=130)
    industry: float = Field(default=0.3, ge=0, le=5)
    discharge_m3_h: float = Field(default=30.0, ge=0, le=5000)


class SensorTraits(_Part):
    """How a metric deviates from the truth (see simulators.signals.sensors.Sensor)."""

    noise: float | None = Field(default=None, ge=0)
    noise_share: float | None = Field(default=None, ge=0, le=1)
    offset: float = 0.0
    gain: float = Field(default=1.0, gt=0)
    drift_per_day: float = 0.0
    warm_up: DurationMs = 0
    cold: float = 0.0
    low: float | None = None
    high: float | None = None


class ReplayModel(_Part):
    """Recorded data that the device shows instead of the simulated world's.

    ``columns`` names the file's column (or, in an export, the series) of each metric. The
    recording's own gaps stay. ``loop`` starts again at its end.
    """

    file: Path
    columns: dict[str, str] = Field(min_length=1)
    time: str = "timestamp"
    loop: bool = False
    speed: float = Field(default=1.0, gt=0)
    missing: tuple[float, ...] = ()


class SimDevice(_Part):
    """A device on a bus. ``interval`` is how often a gateway shall read it."""

    name: str
    profile: str = Field(min_length=1)
    unit: int | None = Field(default=None, ge=0, le=255)
    interval: DurationMs | None = None
    refresh: DurationMs = 1000
    sensors: dict[str, SensorTraits] = Field(default_factory=dict)
    replay: ReplayModel | None = None

    _name = field_validator("name")(_identifier)


class SimSerial(_Part):
    """A serial line. What is left out comes from the profile of its first device."""

    baudrate: int | None = Field(default=None, ge=50, le=4_000_000)
    bytesize: Literal[7, 8] | None = None
    parity: Literal["N", "E", "O"] | None = None
    stopbits: Literal[1, 2] | None = None


class SimTcp(_Part):
    """A Modbus TCP server; port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)


class SimBus(_Part):
    """A serial line or a TCP endpoint with its devices."""

    name: str
    serial: SimSerial | None = None
    tcp: SimTcp | None = None
    devices: tuple[SimDevice, ...] = Field(min_length=1)

    _name = field_validator("name")(_identifier)

    @model_validator(mode="after")
    def _one_kind(self) -> "SimBus":
        if (self.serial is None) == (self.tcp is None):
            raise ValueError("a bus has either 'serial' or 'tcp' ({} takes what is usual)")
        return self


class SimStation(_Part):
    """A place with a gateway and its buses."""

    id: str
    name: str
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    gateway: str
    surroundings: Surroundings = Surroundings()
    buses: tuple[SimBus, ...] = Field(min_length=1)

    _ids = field_validator("id", "gateway")(_identifier)


class LeakModel(_Part):
    """A source on the map (see simulators.signals.episodes.Leak)."""

    latitude: float
    longitude: float
    height_m: float = Field(default=10.0, ge=0)
    grams_per_s: dict[str, float] = Field(min_length=1)


class EpisodeModel(_Part):
    """Something that happens (see simulators.signals.episodes.Episode)."""

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


class FaultModel(_Part):
    """A fault of devices, buses or gateways; ``*`` stands for any name.

    ``device`` is gateway/device, ``bus`` is gateway/bus. See simulators.faults.plan.Kind.
    """

    kind: Kind
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
        if self.kind is Kind.POWER_CUT and self.gateway is None:
            raise ValueError("power_cut happens to a gateway")
        if self.every is not None and (self.lasts is None or self.lasts >= self.every):
            raise ValueError("'every' needs 'lasts', which must be shorter")
        if self.probability < 1 and self.kind in OF_PORTS:
            raise ValueError(f"{self.kind} happens by schedule ('at', 'lasts', 'every')")
        return self

    def strikes(self, gateway: str, bus: str, device: str | None = None) -> bool:
        """Whether it happens to this bus, or to this device on it."""
        if self.gateway is not None:
            return fnmatchcase(gateway, self.gateway)
        if self.bus is not None:
            return fnmatchcase(f"{gateway}/{bus}", self.bus)
        return device is not None and fnmatchcase(f"{gateway}/{device}", self.device or "")


class FleetModel(_Part):
    """Gateways at MQTT level: how many, what each measures, how they behave."""

    gateways: int = Field(default=100, ge=1, le=100_000)
    metrics: int = Field(default=20, ge=1, le=500)
    interval: DurationMs = Field(default=10_000, gt=0)
    prefix: str = "fleet"
    acknowledged: bool = True
    ramp_up: DurationMs = 10_000
    metrics_per_device: int = Field(default=20, ge=1, le=500)
    joins_per_minute: float = Field(default=0.0, ge=0)
    drop_probability: float = Field(default=0.0, ge=0, le=1)
    storms: tuple["StormModel", ...] = ()

    _prefix = field_validator("prefix")(_identifier)


class StormModel(_Part):
    """A share of the fleet loses its connection at once and comes back within ``return_within``."""

    at: When
    share: float = Field(default=1.0, gt=0, le=1)
    down: DurationMs = 5_000
    return_within: DurationMs = 10_000
    graceful: bool = False


class PublishModel(_Part):
    """Stations publish to the broker themselves, without buses and edge agents.

    One message of a device holds ``per_message`` moments, ``step`` apart; at most ``window``
    messages of a device wait for their confirmation.
    """

    step: DurationMs = Field(default=60_000, ge=1)
    per_message: int = Field(default=10, ge=1, le=3600)
    window: int = Field(default=8, ge=1, le=1000)


class Scenario(_Part):
    """A whole scenario file.

    ``speed`` 0 is for stations that publish: as fast as the host confirms.
    """

    scenario: str
    title: str
    about: str = ""
    seed: int = 1
    start: str = "now"
    speed: float = Field(default=1.0, ge=0, le=100_000)
    duration: DurationMs | None = None
    utc_offset_h: float = Field(default=7.0, ge=-12, le=14)
    group: str = "binh-duong"
    host: str | None = "quantrac"
    count: int | None = Field(default=None, ge=1, le=1000)
    stations: tuple[SimStation, ...] = ()
    episodes: tuple[EpisodeModel, ...] = ()
    faults: tuple[FaultModel, ...] = ()
    publish: PublishModel | None = None
    fleet: FleetModel | None = None

    _ids = field_validator("scenario", "group")(_identifier)

    @field_validator("start", mode="before")
    @classmethod
    def _check_start(cls, value: object) -> object:
        if value == "now" or (isinstance(value, str) and value.startswith("now-")):
            if value != "now":
                parse_duration_ms(str(value)[4:])
            return value
        if isinstance(value, datetime):
            value = value.isoformat()
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            raise ValueError(
                "write 'now', 'now-7d', or a time such as '2026-03-02T06:00+07:00'"
            ) from None
        if moment.tzinfo is None:
            raise ValueError("a time needs its zone: '2026-03-02T06:00+07:00'")
        return str(value)

    def start_ms(self, now_ms: int) -> int:
        """When simulated time starts."""
        if self.start == "now":
            return now_ms
        if self.start.startswith("now-"):
            return now_ms - parse_duration_ms(self.start[4:])
        return round(datetime.fromisoformat(self.start).astimezone(UTC).timestamp() * 1000)

    def complaints(self) -> Iterator[tuple[Place, str]]:
        """What is wrong between fields, each with its place (see telemetry.documents)."""
        if not self.stations and self.fleet is None:
            yield ("scenario",), "nothing is simulated: give stations or a fleet"
        if self.speed == 0 and self.publish is None:
            yield ("speed",), "0 (as fast as possible) is for stations that publish"
        ids: set[str] = set()
        for i, station in enumerate(self.stations):
            for name in (station.id, station.gateway):
                if name in ids:
                    yield ("stations", i, "id"), f"{name!r} is used twice"
            ids |= {station.id, station.gateway}
            yield from _bus_complaints(i, station)
        for i, episode in enumerate(self.episodes):
            leaking = episode.leak.grams_per_s if episode.leak else {}
            for field, names in (("add", episode.add), ("times", episode.times), ("leak", leaking)):
                for name in names:
                    if name not in QUANTITIES:
                        yield ("episodes", i, field), f"unknown quantity {name!r}"
            for name in episode.stations:
                if self.stations and name not in {s.id for s in self.stations}:
                    yield ("episodes", i, "stations"), f"there is no station {name!r}"


def _bus_complaints(i: int, station: SimStation) -> Iterator[tuple[Place, str]]:
    buses: set[str] = set()
    devices: set[str] = set()
    for j, bus in enumerate(station.buses):
        if bus.name in buses:
            yield ("stations", i, "buses", j, "name"), f"{bus.name!r} is used twice"
        buses.add(bus.name)
        for k, device in enumerate(bus.devices):
            if device.name in devices:
                yield (
                    ("stations", i, "buses", j, "devices", k, "name"),
                    f"{device.name!r} is used twice; devices of a gateway need their own names",
                )
            devices.add(device.name)


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file; DocumentError names everything that is wrong with it."""
    scenario = read_document(path, Scenario)
    base = path.resolve().parent
    return scenario.model_copy(
        update={"stations": tuple(_from(base, s) for s in scenario.stations)}
    )


def _from(base: Path, station: SimStation) -> SimStation:
    """Recordings and profiles that are files are found beside the scenario."""

    def device(d: SimDevice) -> SimDevice:
        update: dict[str, object] = {}
        if d.replay is not None:
            file = base / d.replay.file.expanduser()
            update["replay"] = d.replay.model_copy(update={"file": file})
        if "/" in d.profile or d.profile.endswith((".yaml", ".yml")):
            update["profile"] = str(base / d.profile)
        return d.model_copy(update=update)

    buses = tuple(
        b.model_copy(update={"devices": tuple(device(d) for d in b.devices)}) for b in station.buses
    )
    return station.model_copy(update={"buses": buses})
