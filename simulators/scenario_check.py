"""Checks a scenario: its file, and the profiles and recordings that it names."""

from collections.abc import Iterator
from pathlib import Path

from device_profiles import Profile, ProfileNotFound, load_profile
from simulators.replay.recording import read_recording
from simulators.scenarios import Scenario, find_scenario, load_scenario
from simulators.scenarios.model import SimBus, SimDevice, SimStation
from telemetry.yaml_files import FieldPath, FileProblem, YamlFileError, line_of, parse_yaml_tree


def check_scenario(reference: str) -> list[str]:
    """A summary of the scenario in lines; YamlFileError with every error in it."""
    path = find_scenario(reference)
    scenario = load_scenario(path)
    wrong = [
        (("stations", i, "buses", j, *place), message)
        for i, station in enumerate(scenario.stations)
        for j, bus in enumerate(station.buses)
        for place, message in _bus_problems(bus)
    ]
    if wrong:
        raise YamlFileError(_with_lines(path, wrong))
    lines = [f"{scenario.scenario}: {scenario.title}"]
    lines += [_bus_line(s, b) for s in scenario.stations for b in s.buses]
    return [*lines, *_other_lines(scenario)]


def _with_lines(path: Path, wrong: list[tuple[FieldPath, str]]) -> list[FileProblem]:
    tree = parse_yaml_tree(path.read_text(encoding="utf-8"), str(path))
    problems = []
    for place, message in wrong:
        field = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).lstrip(".")
        problems.append(FileProblem(str(path), line_of(tree, place), field, message))
    return problems


def _bus_problems(bus: SimBus) -> Iterator[tuple[FieldPath, str]]:
    profiles: list[Profile] = []
    for k, device in enumerate(bus.devices):
        try:
            profile = load_profile(device.profile)
        except (ProfileNotFound, YamlFileError) as error:
            yield ("devices", k, "profile"), str(error)
            continue
        profiles.append(profile)
        for place, message in _device_problems(device, profile):
            yield ("devices", k, *place), message
    if any(p.is_stream for p in profiles) and (len(bus.devices) > 1 or bus.tcp is not None):
        yield ("devices",), "a device with a stream protocol needs a serial bus of its own"
    units = [
        p.unit if d.unit is None else d.unit for p, d in zip(profiles, bus.devices, strict=False)
    ]
    for unit in sorted({u for u in units if units.count(u) > 1}):
        yield ("devices",), f"two devices have the unit {unit}"


def _device_problems(device: SimDevice, profile: Profile) -> Iterator[tuple[FieldPath, str]]:
    names = [m.name for m in profile.metrics]
    columns = device.replay.columns if device.replay else {}
    for place, named in ((("sensors",), device.sensors), (("replay", "columns"), columns)):
        for name in named:
            if name not in names:
                message = f"{profile.id} has no metric {name!r}; it has {', '.join(names)}"
                yield (*place, name), message
    if device.replay is not None:
        try:
            wanted = list(device.replay.columns.values())
            read_recording(device.replay.file, wanted, device.replay.time)
        except YamlFileError as error:
            yield ("replay",), error.problems[0].message


def _bus_line(station: SimStation, bus: SimBus) -> str:
    devices = ", ".join(f"{d.name} ({d.profile})" for d in bus.devices)
    return f"  {station.gateway} {bus.name} {'tcp' if bus.tcp else 'serial'}: {devices}"


def _other_lines(scenario: Scenario) -> Iterator[str]:
    if scenario.episodes:
        yield f"  episodes: {', '.join(e.name for e in scenario.episodes)}"
    if scenario.faults:
        yield f"  faults: {', '.join(f.kind for f in scenario.faults)}"
    if scenario.publish:
        yield f"  publishes straight to the broker, x{scenario.speed:g}"
    if scenario.fleet:
        yield f"  fleet: {scenario.fleet.gateways:,} gateways x {scenario.fleet.metrics} metrics"
    yield "  valid"
