"""Writes ``gateway.yaml`` files (contract C2) for the stations of a scenario."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from device_profiles import Profile, load_profile
from simulators.devices.line import LineSettings
from simulators.scenarios.model import Scenario, SimBus, SimStation
from simulators.scenarios.stations import link_name

_USUAL_INTERVAL_MS = 5000


def line_settings(bus: SimBus, profile: Profile) -> LineSettings:
    """The settings of a serial bus; the defaults are those of its first device."""
    assert bus.serial is not None
    given = bus.serial
    return LineSettings(
        given.baudrate or profile.serial.baudrate,
        given.bytesize or profile.serial.bytesize,
        given.parity or profile.serial.parity,
        given.stopbits or profile.serial.stopbits,
    )


def gateway_document(
    scenario: Scenario, station: SimStation, folder: Path, broker: str, ports: dict[str, int]
) -> dict[str, Any]:
    """The content of ``gateway.yaml`` for a station."""
    return {
        "gateway": station.gateway,
        "group": scenario.group,
        "station": {
            "id": station.id, "name": station.name,
            "latitude": station.latitude, "longitude": station.longitude,
        },
        "broker": {"url": broker},
        "host": scenario.host,
        "confirm": "stored",
        "outbox": {"path": f"./{station.gateway}-outbox.db"},
        "buses": [_bus(bus, station, folder, ports) for bus in station.buses],
    }  # fmt: skip


def write_gateways(
    scenario: Scenario,
    stations: list[SimStation],
    folder: Path,
    broker: str,
    ports: dict[str, int],
) -> list[Path]:
    """Write one file for each station; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    yaml = YAML()
    yaml.default_flow_style = False
    paths = []
    for station in stations:
        path = folder / f"{station.gateway}.yaml"
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(gateway_document(scenario, station, folder, broker, ports), file)
        paths.append(path)
    return paths


def _bus(bus: SimBus, station: SimStation, folder: Path, ports: dict[str, int]) -> dict[str, Any]:
    profiles = [load_profile(d.profile) for d in bus.devices]
    document: dict[str, Any] = {"name": bus.name}
    link = link_name(station, bus.name)
    if bus.tcp is not None:
        document["tcp"] = {"host": bus.tcp.host, "port": ports[link]}
    else:
        line = line_settings(bus, profiles[0])
        document["serial"] = {
            "port": str(folder.resolve() / link), "baudrate": line.baudrate,
            "bytesize": line.bytesize, "parity": line.parity, "stopbits": line.stopbits,
        }  # fmt: skip
    document["devices"] = [
        _device(d.name, d.profile, d.unit, d.interval, p)
        for d, p in zip(bus.devices, profiles, strict=True)
    ]
    return document


def _device(
    name: str, reference: str, unit: int | None, interval_ms: int | None, profile: Profile
) -> dict[str, Any]:
    document: dict[str, Any] = {"name": name, "profile": reference}
    if not profile.is_stream:
        document["unit"] = profile.unit if unit is None else unit
    if not profile.is_stream or interval_ms is not None:
        document["interval"] = f"{interval_ms or _USUAL_INTERVAL_MS}ms"
    return document
