"""The schema of ``gateway.yaml`` (contract C2), read once into frozen values."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from telemetry.time.durations import DurationMs
from telemetry.yaml_files import (
    FieldPath,
    FileProblem,
    YamlFileError,
    line_of,
    parse_yaml_tree,
    process_environment,
    read_yaml_file,
)

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_USB = re.compile(r"usb:[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}(:[^\s:]+)?")
_BROKER_SCHEMES = ("mqtt", "mqtts")
_BROKER_FILES = ("password_file", "ca_file", "cert_file", "key_file")
_RESERVED_DEVICES = ("-",)


def _identifier(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError("use A-Z a-z 0-9 _ - only, 1 to 64 of them")
    return value


class _FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Confirm(StrEnum):
    """When the outbox may delete a report: the cloud has stored it, or the broker has taken it."""

    STORED = "stored"
    STANDARD = "standard"


class StationConfiguration(_FrozenModel):
    """The place on the map where the gateway is."""

    id: str
    name: str
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)

    _id = field_validator("id")(_identifier)


class BrokerConfiguration(_FrozenModel):
    """The MQTT broker and the credentials for it."""

    url: str
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in _BROKER_SCHEMES or not parts.hostname:
            raise ValueError("write mqtt://host:port, or mqtts://host:port for TLS")
        if parts.username or parts.password:
            raise ValueError("give the name in 'username' and the password in 'password_file'")
        _ = parts.port  # ValueError where it is no port number
        return value


class OutboxConfiguration(_FrozenModel):
    """The file in which samples wait until the cloud has stored them, and its bounds."""

    path: Path = Path("outbox.db")
    max_bytes: int = Field(default=1_000_000_000, ge=1_000_000)
    max_age: DurationMs | None = None

    @property
    def max_age_ms(self) -> int | None:
        """The age beyond which samples are evicted; None: never."""
        return self.max_age


class SerialConfiguration(_FrozenModel):
    """A serial port and its settings. Omitted settings come from the device profile."""

    port: str
    baudrate: int | None = Field(default=None, ge=50, le=4_000_000)
    bytesize: Literal[5, 6, 7, 8] | None = None
    parity: Literal["N", "E", "O"] | None = None
    stopbits: Literal[1, 2] | None = None

    @field_validator("port")
    @classmethod
    def _check_port(cls, value: str) -> str:
        if value.startswith("usb:") and not _USB.fullmatch(value):
            raise ValueError(
                "write usb:VID:PID or usb:VID:PID:SERIAL, such as usb:0403:6001:A50285BI"
            )
        if not value:
            raise ValueError("name a port, such as /dev/ttyUSB0")
        return value


class TcpConfiguration(_FrozenModel):
    """A Modbus TCP endpoint, or (``framing: rtu``) a serial server that passes RTU frames on."""

    host: str = Field(min_length=1)
    port: int = Field(default=502, ge=1, le=65535)
    framing: Literal["tcp", "rtu"] = "tcp"


class ReportFilter(_FrozenModel):
    """Which samples of a metric are reported; without a filter, all are."""

    dead_band: float | None = Field(default=None, gt=0)
    dead_band_percent: float | None = Field(default=None, gt=0, le=100)
    heartbeat: DurationMs = 600_000

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.dead_band is not None and self.dead_band_percent is not None:
            raise ValueError("give dead_band or dead_band_percent, not both")
        if self.dead_band is None and self.dead_band_percent is None:
            raise ValueError(
                "give dead_band or dead_band_percent (heartbeat alone filters nothing)"
            )
        return self


class Aggregation(_FrozenModel):
    """Aggregates the samples of a fast sensor over windows of length ``every``.

    The other fields are for radars that report single vehicles (edge_agent.reporting.traffic).
    """

    every: DurationMs = Field(ge=1000)
    hold: DurationMs = 1000
    zone_m: float = Field(default=2.0, gt=0, le=50)
    vehicle_length_m: float = Field(default=3.0, gt=0, le=50)


class DeviceConfiguration(_FrozenModel):
    """One sensor or meter on a bus."""

    name: str
    profile: str = Field(min_length=1)
    unit: int | None = Field(default=None, ge=0, le=255)
    interval: DurationMs | None = None
    timeout: DurationMs | None = None
    report: dict[str, ReportFilter] = Field(default_factory=dict)
    aggregate: Aggregation | None = None

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if value in _RESERVED_DEVICES:
            raise ValueError("'-' stands for the gateway itself; give the device another name")
        return _identifier(value)

    @field_validator("interval", "timeout")
    @classmethod
    def _check_positive(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value == 0:
            raise ValueError(f"the {info.field_name} must be at least 1ms")
        return value

    @property
    def interval_ms(self) -> int | None:
        """How often the device is read; None for a stream, which sends by itself."""
        return self.interval

    @property
    def timeout_ms(self) -> int | None:
        """How long to wait for its answer; None: as in the profile, or the default."""
        return self.timeout


class BusConfiguration(_FrozenModel):
    """A serial line or a TCP endpoint, and the devices on it."""

    name: Annotated[str, Field(min_length=1)]
    serial: SerialConfiguration | None = None
    tcp: TcpConfiguration | None = None
    devices: tuple[DeviceConfiguration, ...]

    _name = field_validator("name")(_identifier)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.serial is None) == (self.tcp is None):
            raise ValueError("a bus has either 'serial' or 'tcp'")
        if not self.devices:
            raise ValueError("a bus has at least one device")
        return self

    @property
    def where(self) -> str:
        """The port, or host and port, for people."""
        if self.serial is not None:
            return self.serial.port
        assert self.tcp is not None  # the validator saw to it
        return f"{self.tcp.host}:{self.tcp.port}"


class GatewayConfiguration(_FrozenModel):
    """A whole ``gateway.yaml``."""

    gateway: str
    group: str
    station: StationConfiguration
    broker: BrokerConfiguration
    host: str | None = None
    confirm: Confirm = Confirm.STORED
    outbox: OutboxConfiguration = OutboxConfiguration()
    buses: tuple[BusConfiguration, ...]

    _ids = field_validator("gateway", "group")(_identifier)

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str | None) -> str | None:
        return None if value is None else _identifier(value)

    def validation_errors(self) -> Iterable[tuple[FieldPath, str]]:
        """What is missing or used twice."""
        if not self.buses:
            yield ("buses",), "name at least one bus"
        yield from _repeated("buses", [(("buses", i), b.name) for i, b in enumerate(self.buses)])
        devices: list[tuple[FieldPath, str]] = [
            (("buses", i, "devices", j), device.name)
            for i, bus in enumerate(self.buses)
            for j, device in enumerate(bus.devices)
        ]
        yield from _repeated("devices", devices)
        yield from self._shared_ports()

    def _shared_ports(self) -> Iterable[tuple[FieldPath, str]]:
        seen: dict[str, str] = {}
        for i, bus in enumerate(self.buses):
            if bus.serial is None:
                continue
            if bus.serial.port in seen:
                message = f"port {bus.serial.port} is already bus {seen[bus.serial.port]!r}"
                yield ("buses", i, "serial", "port"), message
            seen[bus.serial.port] = bus.name


def _repeated(what: str, names: list[tuple[FieldPath, str]]) -> Iterable[tuple[FieldPath, str]]:
    seen: set[str] = set()
    for place, name in names:
        if name.casefold() in seen:
            yield (
                (*place, "name"),
                f"{name!r} is used twice; {what} of a gateway need their own names",
            )
        seen.add(name.casefold())


def load_gateway(path: Path, environment: Mapping[str, str] | None = None) -> GatewayConfiguration:
    """Read a ``gateway.yaml``; relative paths in it become relative to its folder.

    ``${NAME}`` is filled in from ``environment`` (default: that of this process). Raises
    YamlFileError, which names every problem with file, line and field.
    """
    environment = process_environment() if environment is None else environment
    read = read_yaml_file(path, GatewayConfiguration, environment)
    base = path.resolve().parent
    broker = read.broker.model_copy(
        update={name: _from(base, getattr(read.broker, name)) for name in _BROKER_FILES}
    )
    missing: list[tuple[FieldPath, str]] = [
        (("broker", name), f"there is no file {getattr(broker, name)}")
        for name in _BROKER_FILES
        if getattr(broker, name) is not None and not getattr(broker, name).is_file()
    ]
    if missing:
        raise YamlFileError(problems_at(path, missing))
    outbox = read.outbox.model_copy(update={"path": _from(base, read.outbox.path)})
    buses = tuple(_bus_from(base, bus) for bus in read.buses)
    return read.model_copy(update={"broker": broker, "outbox": outbox, "buses": buses})


def _bus_from(base: Path, bus: BusConfiguration) -> BusConfiguration:
    """Serial ports may be relative paths too (links that a simulator makes beside the file)."""
    if bus.serial is None or bus.serial.port.startswith(("usb:", "/")):
        return bus
    serial = bus.serial.model_copy(update={"port": str(base / bus.serial.port)})
    return bus.model_copy(update={"serial": serial})


def _from(base: Path, path: Path | None) -> Path | None:
    return None if path is None else base / path.expanduser()


def problems_at(path: Path, found: list[tuple[FieldPath, str]]) -> list[FileProblem]:
    """Validation errors of a file, each with its line."""
    tree = parse_yaml_tree(path.read_text(encoding="utf-8"), str(path))
    problems = []
    for place, message in found:
        dotted = "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in place)
        problems.append(FileProblem(str(path), line_of(tree, place), dotted.lstrip("."), message))
    return problems
