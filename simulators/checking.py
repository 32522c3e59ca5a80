"""Whether a scenario can run: its file, the profiles and recordings that it names."""

from collections.abc import Iterator

from device_profiles import Profile, ProfileNotFound, load_profile
from simulators.replay.recording import read_recording
from simulators.scenarios import Scenario, find_scenario, load_scenario
from simulators.scenarios.model import SimBus, SimDevice, SimStation
from telemetry.documents import DocumentError, Problem


def check_scenario(reference: str) -> list[str]:
    """Lines that say what the scenario holds; DocumentError with everything that is wrong."""
    path = find_scenario(reference)
    scenario = load_scenario(path)
    problems: list[Problem] = []
    lines = [f"{scenario.scenario}: {scenario.title}"]
    for i, station in enumerate(scenario.stations):
        for j, bus in enumerate(station.buses):
            place = f"stations[{i}].buses[{j}]"
            problems += [
                Problem(str(path), 0, f"{place}{where}", message)
                for where, message in _bus_problems(bus)
            ]
            lines.append(_bus_line(station, bus))
    if problems:
        raise DocumentError(problems)
    return [*lines, *_rest(scenario)]


def _bus_problems(bus: SimBus) -> Iterator[tuple[str, str]]:
    profiles: list[Profile] = []
    for k, device in enumerate(bus.devices):
        where = f".devices[{k}]"
        try:
            profile = load_profile(device.profile)
        except (ProfileNotFound, DocumentError) as error:
            yield f"{where}.profile", str(error)
            continue
        profiles.append(profile)
        yield from _device_problems(where, device, profile)
    if any(p.is_stream for p in profiles) and (len(bus.devices) > 1 or bus.tcp is not None):
        yield "", "a device that streams has a serial bus of its own"
    units = [
        p.unit if d.unit is None else d.unit for p, d in zip(profiles, bus.devices, strict=False)
    ]
    for unit in {u for u in units if units.count(u) > 1}:
        yield ".devices", f"two devices have the unit {unit}"


def _device_problems(where: str, device: SimDevice, profile: Profile) -> Iterator[tuple[str, str]]:
    names = [m.name for m in profile.metrics]
    named = {**device.sensors, **(device.replay.columns if device.replay else {})}
    for name in named:
        if name not in names:
            yield where, f"{profile.id} has no metric {name!r}; it has {', '.join(names)}"
    if device.replay is not None:
        try:
            wanted = list(device.replay.columns.values())
            read_recording(device.replay.file, wanted, device.replay.time)
        except DocumentError as error:
            yield f"{where}.replay", error.problems[0].message


def _bus_line(station: SimStation, bus: SimBus) -> str:
    devices = ", ".join(f"{d.name} ({d.profile})" for d in bus.devices)
    return f"  {station.gateway} {bus.name} {'tcp' if bus.tcp else 'serial'}: {devices}"


def _rest(scenario: Scenario) -> Iterator[str]:
    if scenario.episodes:
        yield f"  episodes: {', '.join(e.name for e in scenario.episodes)}"
    if scenario.faults:
        yield f"  faults: {', '.join(f.kind for f in scenario.faults)}"
    if scenario.fleet:
        yield f"  fleet: {scenario.fleet.gateways:,} gateways x {scenario.fleet.metrics} metrics"
    yield "  all right"
