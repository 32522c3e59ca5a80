"""Whether 31 units keep their period on a line on which a 32nd is silent."""

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.edge.bench_wire_efficiency import profile
from benchmarks.result import Result
from edge_agent.acquisition.bus_counters import DeviceCounters
from edge_agent.acquisition.lines.serial_line import SerialSettings
from edge_agent.acquisition.modbus.poller import Poller
from edge_agent.acquisition.modbus_bus import ModbusBus
from edge_agent.agent import precise_loop
from edge_agent.configuration import DeviceConfiguration
from edge_agent.devices import Bus, Device
from telemetry.samples import Sample

UNITS, SILENT, BAUDRATE = 32, 7, 19200
INTERVAL_S, SECONDS = 2.0, 30.0
MOST_PERCENT = 5.0


class _Times:
    """Stands in for the agent; keeps when each device was read, in microseconds."""

    def __init__(self) -> None:
        self.read: dict[str, list[int]] = defaultdict(list)

    def online(self, device: Device) -> None:
        """Nothing to do."""

    def offline(self, device: Device, why: str) -> None:
        """Nothing to do."""

    async def take(self, device: Device, samples: Sequence[Sample]) -> None:
        """Keep the time of a device's turn."""
        self.read[device.name].append(samples[0].time_ms)


def run() -> list[Result]:
    """Measure the distance of every reading from an even grid, in % of the interval."""
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "line"
        command = [sys.executable, "-m", "benchmarks.edge.modbus_devices", "line"]
        server = subprocess.Popen([*command, str(link), str(BAUDRATE), str(SILENT)])
        try:
            while not link.exists():
                time.sleep(0.02)
            with asyncio.Runner(loop_factory=precise_loop) as runner:
                times = runner.run(_poll(str(link)))
        finally:
            server.kill()
            server.wait()
    jitter = sorted(j for t in times.values() for j in _jitter(t[2:]))
    return [
        Result(
            name="edge_period_jitter",
            what=f"95% of the readings of 31 units beside a silent one, every {INTERVAL_S:g} s at "
            f"{BAUDRATE} baud, come within (worst {jitter[-1]:.1f}%: behind a time-out)",
            value=jitter[int(0.95 * len(jitter))],
            unit="% of the interval",
            reference="allowed",
            reference_value=MOST_PERCENT,
            target=1.0,
            higher_is_better=False,
        ),
        Result(
            name="edge_period_kept",
            what="readings made by the slowest of the 31 units, of those due",
            value=min(len(t) for t in times.values()),
            unit="readings",
            reference="due",
            reference_value=SECONDS / INTERVAL_S - 1,
            target=1.0,
        ),
    ]


def _jitter(times_us: list[int]) -> list[float]:
    interval = INTERVAL_S * 1e6
    off = [(t - times_us[0]) - round((t - times_us[0]) / interval) * interval for t in times_us]
    middle = statistics.median(off)
    return [100 * abs(o - middle) / interval for o in off]


async def _poll(port: str) -> dict[str, list[int]]:
    kind, interval_ms = profile(), round(INTERVAL_S * 1000)
    devices = tuple(
        Device(
            f"d{i}",
            "line",
            kind,
            i,
            interval_ms,
            0.5,
            DeviceConfiguration(name=f"d{i}", profile="b"),
        )
        for i in range(1, UNITS + 1)
    )
    bus = Bus("line", port, SerialSettings(port, BAUDRATE), None, devices)
    times = _Times()
    pollers = {d.name: Poller(d, DeviceCounters(), lambda s: round(s * 1e6)) for d in devices}
    runner = ModbusBus(bus, pollers, times)
    task = asyncio.create_task(runner.run())
    await asyncio.sleep(SECONDS)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return dict(times.read)


if __name__ == "__main__":
    for result in run():
        print(f"{result.what}: {result.value:.2f} {result.unit} ok={result.ok}")
