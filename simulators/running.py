"""Runs a scenario from beginning to end: signals, progress, summary."""

import asyncio
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from simulators.progress import Progress
from simulators.scenarios import Scenario, find_scenario, load_scenario
from simulators.scenarios.ports import ports_in
from simulators.scenarios.stations import stations_of
from simulators.simulation import Simulation
from simulators.truth import TruthFile

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


async def run_scenario(reference: str, options: Options) -> None:
    """Run until the duration is over or a signal comes; DocumentError where it cannot start."""
    scenario = load_scenario(find_scenario(reference))
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    speed = options.speed or scenario.speed
    duration_ms = options.duration_ms or scenario.duration
    if duration_ms is not None:
        loop.call_later(duration_ms / 1000.0 / speed, stopped.set)
    truth = TruthFile(options.truth) if options.truth is not None else None
    try:
        await _run_stations(scenario, options, truth, stopped)
    finally:
        if truth is not None:
            truth.close()


async def _run_stations(
    scenario: Scenario, options: Options, truth: TruthFile | None, stopped: asyncio.Event
) -> None:
    stations = stations_of(scenario, options.stations)
    ports = ports_in(options.folder, stations, options.tcp_port)
    simulation = Simulation(
        scenario, stations, options.folder, ports,
        seed=options.seed, speed=options.speed, truth=truth,
    )  # fmt: skip
    began = time.monotonic()
    with Progress(scenario, simulation) as progress:
        showing = asyncio.create_task(_show(progress))
        try:
            await simulation.run(stopped)
        finally:
            showing.cancel()
    sys.stdout.write(progress.summary(time.monotonic() - began) + "\n")


async def _show(progress: Progress) -> None:
    while True:
        progress.update()
        await asyncio.sleep(_SHOW_EVERY_S)
