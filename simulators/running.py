"""Runs a scenario from beginning to end: signals, progress, summary."""

import asyncio
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from simulators.fleets.fleet import Fleet
from simulators.progress import Progress
from simulators.scenarios import Scenario, find_scenario, load_scenario
from simulators.scenarios.ports import ports_in
from simulators.scenarios.stations import stations_of
from simulators.simulation import Simulation
from simulators.truth import TruthFile
from telemetry.documents import DocumentError, Problem

_SHOW_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beside the scenario."""

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
    """Run until the duration is over or a signal comes; DocumentError where it cannot start."""
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
        if duration_ms is not None:
            speed = simulation.clock.speed if simulation else 1.0
            loop.call_later(duration_ms / 1000.0 / speed, stopped.set)
        began = time.monotonic()
        with Progress(scenario, simulation, fleet) as progress:
            await _together(simulation, fleet, progress, stopped)
        sys.stdout.write(progress.summary(time.monotonic() - began) + "\n")
    finally:
        if truth is not None:
            truth.close()


async def _together(
    simulation: Simulation | None, fleet: Fleet | None, progress: Progress, stopped: asyncio.Event
) -> None:
    showing = asyncio.create_task(_show(progress))
    try:
        async with asyncio.TaskGroup() as group:
            if simulation is not None:
                group.create_task(simulation.run(stopped))
            if fleet is not None:
                group.create_task(fleet.run(stopped))
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


def _fleet(
    reference: str, scenario: Scenario, options: Options, truth: TruthFile | None
) -> Fleet | None:
    if scenario.fleet is None:
        return None
    if options.broker is None:
        message = "its fleet needs a broker: give --broker mqtt://host:port"
        raise DocumentError([Problem(reference, 0, "fleet", message)])
    model = scenario.fleet
    if options.gateways is not None:
        model = model.model_copy(update={"gateways": options.gateways})
    return Fleet(scenario, model, options.broker, seed=options.seed, truth=truth)


async def _show(progress: Progress) -> None:
    while True:
        progress.update()
        await asyncio.sleep(_SHOW_EVERY_S)
