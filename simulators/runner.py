"""Runs a scenario from start to end: signals, progress, summary."""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simulators.fleets.fleet import Fleet
from simulators.fleets.published import PublishedStations
from simulators.progress import Progress
from simulators.scenario_check import check_scenario
from simulators.scenarios import Scenario, find_scenario, load_scenario
from simulators.scenarios.ports import ports_in
from simulators.scenarios.stations import stations_of
from simulators.simulation import Simulation
from simulators.truth import TruthFile
from telemetry.yaml_files import FileProblem, YamlFileError

_SHOW_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the command line."""

    folder: Path
    stations: int | None = None
    speed: float | None = None
    seed: int | None = None
    duration_ms: int | None = None
    truth: Path | None = None
    tcp_port: int | None = None
    broker: str | None = None
    gateways: int | None = None


async def run_scenario(reference: str, options: Options) -> None:
    """Run until the duration is over or a signal comes; raises YamlFileError before it starts."""
    check_scenario(reference)
    scenario = load_scenario(find_scenario(reference))
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    truth = TruthFile(options.truth) if options.truth is not None else None
    try:
        simulation = _simulation(scenario, options, truth)
        fleet = _fleet(reference, scenario, options, truth)
        duration_ms = options.duration_ms or scenario.duration
        if duration_ms is not None and scenario.publish is None:
            speed = simulation.clock.speed if simulation else 1.0
            loop.call_later(duration_ms / 1000.0 / speed, stopped.set)
        published = _published(reference, scenario, options, simulation, truth)
        began = time.monotonic()
        with Progress(scenario, simulation, fleet, published) as progress:
            wire = None if published is not None else simulation
            await _run_all(
                [r for r in (wire, fleet, published) if r is not None], progress, stopped
            )
        sys.stdout.write(progress.summary(time.monotonic() - began) + "\n")
    finally:
        if truth is not None:
            truth.close()


async def _run_all(
    parts: Sequence[Simulation | Fleet | PublishedStations],
    progress: Progress,
    stopped: asyncio.Event,
) -> None:
    showing = asyncio.create_task(_show(progress))
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part.run(stopped))
    finally:
        showing.cancel()


def _simulation(scenario: Scenario, options: Options, truth: TruthFile | None) -> Simulation | None:
    stations = stations_of(scenario, options.stations)
    if not stations:
        return None
    ports = ports_in(options.folder, stations, options.tcp_port)
    return Simulation(
        scenario, stations, options.folder, ports,
        seed=options.seed, speed=options.speed, truth=truth,
    )  # fmt: skip


def _published(
    reference: str,
    scenario: Scenario,
    options: Options,
    simulation: Simulation | None,
    truth: TruthFile | None,
) -> PublishedStations | None:
    if scenario.publish is None or simulation is None:
        return None
    if options.broker is None:
        message = "its stations publish to a broker: give --broker mqtt://host:port"
        raise YamlFileError([FileProblem(reference, 0, "publish", message)])
    duration_ms = options.duration_ms or scenario.duration
    start_ms = simulation.clock.start_ms
    return PublishedStations(
        scenario,
        [(s, simulation.instruments(s)) for s in simulation.stations],
        options.broker,
        simulation.clock,
        flat_out=simulation.flat_out,
        end_ms=None if duration_ms is None else start_ms + duration_ms,
        truth=truth,
    )


def _fleet(
    reference: str, scenario: Scenario, options: Options, truth: TruthFile | None
) -> Fleet | None:
    if scenario.fleet is None:
        return None
    if options.broker is None:
        message = "its fleet needs a broker: give --broker mqtt://host:port"
        raise YamlFileError([FileProblem(reference, 0, "fleet", message)])
    model = scenario.fleet
    if options.gateways is not None:
        model = model.model_copy(update={"gateways": options.gateways})
    return Fleet(scenario, model, options.broker, seed=options.seed, truth=truth)


async def _show(progress: Progress) -> None:
    while True:
        progress.update()
        await asyncio.sleep(_SHOW_EVERY_S)
