"""The buses and devices of a gateway with their profiles, ready to run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from device_profiles import Metric, Profile, ProfileNotFound, load_profile
from edge_agent.acquisition.lines.serial_line import SerialSettings
from edge_agent.acquisition.modbus.timing import LineTiming
from edge_agent.configuration import (
    BusConfiguration,
    DeviceConfiguration,
    GatewayConfiguration,
    TcpConfiguration,
    problems_at,
)
from telemetry.yaml_files import FieldPath, FileProblem, YamlFileError

DEFAULT_TIMEOUT_S = 0.5
DEFAULT_TCP_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Device:
    """One device, ready to be read."""

    name: str
    bus: str
    profile: Profile
    unit: int
    interval_ms: int
    timeout_s: float
    configuration: DeviceConfiguration

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What the device measures."""
        return self.profile.metrics

    @property
    def pause_s(self) -> float:
        """The silence on the line that the device needs before a request."""
        return self.profile.limits.turnaround_ms / 1000


@dataclass(frozen=True, slots=True)
class Bus:
    """One bus, ready to be opened. Exactly one of ``serial`` and ``tcp`` is set."""

    name: str
    where: str
    serial: SerialSettings | None
    tcp: TcpConfiguration | None
    devices: tuple[Device, ...]

    @property
    def is_stream(self) -> bool:
        """Whether its only device sends by itself."""
        return self.devices[0].profile.is_stream

    @property
    def timing(self) -> LineTiming | None:
        """The timing of the serial line; None for TCP."""
        if self.serial is None:
            return None
        s = self.serial
        return LineTiming.of(s.baudrate, s.bytesize, s.parity, s.stopbits)


def resolve(configuration: GatewayConfiguration, path: Path) -> tuple[Bus, ...]:
    """The buses of the gateway file at ``path``, with every profile loaded.

    Raises YamlFileError that names every device whose profile is missing or does not fit.
    """
    problems: list[tuple[FieldPath, str]] = []
    wrong_profiles: list[FileProblem] = []
    buses = []
    for i, bus in enumerate(configuration.buses):
        devices: list[Device] = []
        for j, device in enumerate(bus.devices):
            place: FieldPath = ("buses", i, "devices", j)
            try:
                profile = load_profile(device.profile, path.resolve().parent)
            except ProfileNotFound as error:
                problems.append(((*place, "profile"), str(error)))
                continue
            except YamlFileError as error:
                wrong_profiles += error.problems
                continue
            problems += [((*place, *p), text) for p, text in _device_errors(bus, device, profile)]
            devices.append(_device(bus, device, profile))
        problems += [(("buses", i, *p), text) for p, text in _bus_errors(devices)]
        if devices:
            buses.append(
                Bus(bus.name, bus.where, _serial(bus, devices[0]), bus.tcp, tuple(devices))
            )
    if problems or wrong_profiles:
        raise YamlFileError(problems_at(path, problems) + wrong_profiles)
    return tuple(buses)


def _device(bus: BusConfiguration, device: DeviceConfiguration, profile: Profile) -> Device:
    default_s = DEFAULT_TCP_TIMEOUT_S if bus.tcp is not None else DEFAULT_TIMEOUT_S
    timeout_ms = device.timeout_ms or profile.limits.timeout_ms or default_s * 1000
    return Device(
        name=device.name,
        bus=bus.name,
        profile=profile,
        unit=profile.unit if device.unit is None else device.unit,
        interval_ms=device.interval_ms or profile.stream.interval_ms,
        timeout_s=timeout_ms / 1000,
        configuration=device,
    )


def _serial(bus: BusConfiguration, first: Device) -> SerialSettings | None:
    if bus.serial is None:
        return None
    wanted, usual = bus.serial, first.profile.serial
    return SerialSettings(
        port=wanted.port,
        baudrate=wanted.baudrate or usual.baudrate,
        bytesize=wanted.bytesize or usual.bytesize,
        parity=wanted.parity or usual.parity,
        stopbits=wanted.stopbits or usual.stopbits,
    )


def _device_errors(
    bus: BusConfiguration, device: DeviceConfiguration, profile: Profile
) -> Iterator[tuple[FieldPath, str]]:
    if profile.is_stream:
        if device.interval is not None:
            yield ("interval",), f"{profile.id} sends by itself; a stream has no interval"
        if device.unit is not None:
            yield ("unit",), f"{profile.id} is a stream; it has no Modbus unit"
        if len(bus.devices) > 1:
            yield ("profile",), f"{profile.id} sends by itself and needs a bus of its own"
        return
    if device.interval is None:
        yield ("interval",), "is missing; say how often to read the device, such as 5s"
    unit = profile.unit if device.unit is None else device.unit
    on_line = bus.serial is not None or (bus.tcp is not None and bus.tcp.framing == "rtu")
    if on_line and unit == 0:
        yield (
            ("unit",),
            "0 speaks to all units on a serial line, and none may answer; write 1 to 247",
        )
    names = {m.name for m in profile.metrics}
    for name in device.report:
        if name != "*" and name not in names:
            known = ", ".join(sorted(names))
            yield ("report", name), f"{profile.id} has no metric {name!r}; it has {known}"


def _bus_errors(devices: list[Device]) -> Iterator[tuple[FieldPath, str]]:
    seen: dict[tuple[int, str], str] = {}
    for j, device in enumerate(devices):
        if device.profile.is_stream:
            continue
        key = (device.unit, device.profile.id)
        if key in seen:
            text = f"unit {device.unit} with this profile is already device {seen[key]!r}"
            yield ("devices", j, "unit"), text
        seen[key] = device.name
