"""How much of a serial line's time is used: 10 devices of 20 registers each on one line."""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.result import Result
from device_profiles import Profile
from edge_agent.acquisition.bus_counters import DeviceCounters
from edge_agent.acquisition.lines.serial_line import SerialSettings
from edge_agent.acquisition.modbus.poller import Poller
from edge_agent.acquisition.modbus_bus import ModbusBus
from edge_agent.agent import precise_loop
from edge_agent.configuration import DeviceConfiguration
from edge_agent.devices import Bus, Device
from telemetry.samples import Sample
from telemetry.yaml_files import parse_yaml

DEVICES, REGISTERS = 10, 20
SECONDS = 8.0
TARGETS = {9600: 0.95, 115200: 0.85}


def profile() -> Profile:
    """A meter with 20 neighbouring registers."""
    metrics = "".join(
        f"  - {{name: m{i}, quantity: voltage, unit: mV, address: {i}, type: uint16}}\n"
        for i in range(REGISTERS)
    )
    text = (
        "id: bench\nmanufacturer: B\nmodel: B\ndomain: power\nprotocol: modbus\nsource: made up\n"
        f"metrics:\n{metrics}"
    )
    return parse_yaml(text, "bench.yaml", Profile)


class _Counting:
    """Stands in for the agent; counts what arrives."""

    def __init__(self) -> None:
        self.turns = 0
        self.began = asyncio.Event()

    def online(self, device: Device) -> None:
        """Nothing to do."""

    def offline(self, device: Device, why: str) -> None:
        """Nothing to do."""

    async def take(self, device: Device, samples: Sequence[Sample]) -> None:  # noqa: ARG002  # as BusObserver
        """Count a device's turn."""
        self.turns += 1
        self.began.set()


def run() -> list[Result]:
    """Measure both speeds."""
    return [_measure(baudrate, target) for baudrate, target in TARGETS.items()]


def _measure(baudrate: int, target: float) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "line"
        command = [
            sys.executable,
            "-m",
            "benchmarks.edge.modbus_devices",
            "line",
            str(link),
            str(baudrate),
        ]
        server = subprocess.Popen(command)
        try:
            while not link.exists():
                time.sleep(0.02)
            with asyncio.Runner(loop_factory=precise_loop) as runner:
                needed_s, taken_s = runner.run(_poll(str(link), baudrate))
        finally:
            server.kill()
            server.wait()
    return Result(
        name=f"wire_efficiency_{baudrate}",
        what=f"time the wire must take over time taken, {DEVICES} devices of {REGISTERS} registers at {baudrate} baud",
        value=needed_s / taken_s,
        unit="ratio",
        reference="the wire alone",
        reference_value=1.0,
        target=target,
    )


async def _poll(port: str, baudrate: int) -> tuple[float, float]:
    kind, clock = profile(), time.monotonic
    devices = tuple(
        Device(f"d{i}", "line", kind, i, 10, 0.5, DeviceConfiguration(name=f"d{i}", profile="b"))
        for i in range(1, DEVICES + 1)
    )
    bus = Bus("line", port, SerialSettings(port, baudrate), None, devices)
    counting = _Counting()
    pollers = {d.name: Poller(d, DeviceCounters(), lambda s: round(s * 1000)) for d in devices}
    task = asyncio.create_task(ModbusBus(bus, pollers, counting).run())
    await counting.began.wait()
    first, began_s = counting.turns, clock()
    await asyncio.sleep(SECONDS)
    turns, taken_s = counting.turns - first, clock() - began_s
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    timing = bus.timing
    assert timing is not None
    return turns * timing.read_s(pollers["d1"].reads[0]), taken_s


if __name__ == "__main__":
    for result in run():
        print(f"{result.what}: {result.ratio:.3f} (target {result.target}) ok={result.ok}")
