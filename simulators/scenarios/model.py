"""The scenario file."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from simulators.scenarios.events import EpisodeModel, FaultModel
from simulators.scenarios.fields import StrictModel, identifier
from simulators.scenarios.fleets import FleetModel, PublishModel
from telemetry.quantities import QUANTITIES
from telemetry.time.durations import DurationMs, parse_duration_ms
from telemetry.time.local_time import UTC_OFFSET_H
from telemetry.yaml_files import FieldPath, read_yaml_file


class Surroundings(StrictModel):
    """The surroundings of a station (see simulators.signals.places.Place)."""

    traffic: float = Field(default=0.6, ge=0, le=3)
    vehicles_per_h: float = Field(default=2400.0, ge=0, le=20000)
    capacity_per_h: float = Field(default=2600.0, gt=0, le=20000)
    free_speed_km_h: float = Field(default=45.0, gt=5, le=130)
    industry: float = Field(default=0.3, ge=0, le=5)
    discharge_m3_h: float = Field(default=30.0, ge=0, le=5000)


class SensorTraits(StrictModel):
    """The errors of a sensor (see simulators.signals.sensors.Sensor)."""

    noise: float | None = Field(default=None, ge=0)
    noise_share: float | None = Field(default=None, ge=0, le=1)
    offset: float = 0.0
    gain: float = Field(default=1.0, gt=0)
    drift_per_day: float = 0.0
    warm_up: DurationMs = 0
    cold: float = 0.0
    low: float | None = None
    high: float | None = None


class ReplayModel(StrictModel):
    """Recorded data that the device replays instead of simulated values.

    ``columns`` names the column (in an export, the series) of each metric. Gaps of the recording
    are kept. ``loop`` starts again at its end.
    """

    file: Path
    columns: dict[str, str] = Field(min_length=1)
    time: str = "timestamp"
    loop: bool = False
    speed: float = Field(default=1.0, gt=0)
    missing: tuple[float, ...] = ()


class SimDevice(StrictModel):
    """A device on a bus. ``interval`` is the interval at which a gateway reads it."""

    name: str
    profile: str = Field(min_length=1)
    unit: int | None = Field(default=None, ge=0, le=255)
    interval: DurationMs | None = None
    refresh: DurationMs = 1000
    sensors: dict[str, SensorTraits] = Field(default_factory=dict)
    replay: ReplayModel | None = None

    _name = field_validator("name")(identifier)


class SimSerial(StrictModel):
    """A serial line. The defaults are those of its first device."""

    baudrate: int | None = Field(default=None, ge=50, le=4_000_000)
    bytesize: Literal[7, 8] | None = None
    parity: Literal["N", "E", "O"] | None = None
    stopbits: Literal[1, 2] | None = None


class SimTcp(StrictModel):
    """A Modbus TCP server; port 0 selects a free one."""

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)


class SimBus(StrictModel):
    """A serial line or a TCP endpoint with its devices."""

    name: str
    serial: SimSerial | None = None
    tcp: SimTcp | None = None
    devices: tuple[SimDevice, ...] = Field(min_length=1)

    _name = field_validator("name")(identifier)

    @model_validator(mode="after")
    def _one_kind(self) -> "SimBus":
        if (self.serial is None) == (self.tcp is None):
            raise ValueError("a bus has either 'serial' or 'tcp' ({} takes what is usual)")
        return self


class SimStation(StrictModel):
    """A station: a place with a gateway and its buses."""

    id: str
    name: str
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    gateway: str
    surroundings: Surroundings = Surroundings()
    buses: tuple[SimBus, ...] = Field(min_length=1)

    _ids = field_validator("id", "gateway")(identifier)


class Scenario(StrictModel):
    """A scenario file.

    ``speed`` 0, for stations that publish, is as fast as the host acknowledges.
    """

    scenario: str
    title: str
    about: str = ""
    seed: int = 1
    start: str = "now"
    speed: float = Field(default=1.0, ge=0, le=100_000)
    duration: DurationMs | None = None
    utc_offset_h: float = Field(default=UTC_OFFSET_H, ge=-12, le=14)
    group: str = "binh-duong"
    host: str | None = "quantrac"
    count: int | None = Field(default=None, ge=1, le=1000)
    stations: tuple[SimStation, ...] = ()
    episodes: tuple[EpisodeModel, ...] = ()
    faults: tuple[FaultModel, ...] = ()
    publish: PublishModel | None = None
    fleet: FleetModel | None = None

    _ids = field_validator("scenario", "group")(identifier)

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
        """The start of simulated time, UTC ms."""
        if self.start == "now":
            return now_ms
        if self.start.startswith("now-"):
            return now_ms - parse_duration_ms(self.start[4:])
        return round(datetime.fromisoformat(self.start).astimezone(UTC).timestamp() * 1000)

    def validation_errors(self) -> Iterator[tuple[FieldPath, str]]:
        """Errors across fields, each with the path of its field (see telemetry.yaml_files)."""
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
            yield from _bus_errors(i, station)
        for i, episode in enumerate(self.episodes):
            leaking = episode.leak.grams_per_s if episode.leak else {}
            for field, names in (("add", episode.add), ("times", episode.times), ("leak", leaking)):
                for name in names:
                    if name not in QUANTITIES:
                        yield ("episodes", i, field), f"unknown quantity {name!r}"
            for name in episode.stations:
                if self.stations and name not in {s.id for s in self.stations}:
                    yield ("episodes", i, "stations"), f"there is no station {name!r}"


def _bus_errors(i: int, station: SimStation) -> Iterator[tuple[FieldPath, str]]:
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
    """Read a scenario file; YamlFileError with every error in it."""
    scenario = read_yaml_file(path, Scenario)
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
