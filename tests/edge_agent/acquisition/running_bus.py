"""Buses of a gateway with one kind of meter, and a bus at work with a listener."""

import asyncio
import contextlib
import struct
import textwrap
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from edge_agent.acquisition.bus_counters import DeviceCounters
from edge_agent.acquisition.modbus.poller import Poller
from edge_agent.acquisition.modbus_bus import ModbusBus
from edge_agent.acquisition.stream_bus import StreamBus
from edge_agent.agent import precise_loop
from edge_agent.configuration import load_gateway
from edge_agent.devices import Bus, Device, resolve
from telemetry.samples import Sample

PROFILE = """\
id: test-meter
manufacturer: Test
model: Meter
domain: power
protocol: modbus
limits: {max_registers: 60, gap: 8, timeout: 120ms}
metrics:
  - {name: voltage, quantity: voltage, unit: mV, table: holding, address: 0, type: uint16, scale: 100, missing: [65535], valid: [0, 500000]}
  - {name: current, quantity: current, unit: A, table: holding, address: 1, type: int16, scale: 0.1}
  - {name: power, quantity: active_power, unit: W, table: holding, address: 4, type: float32}
source: made up for tests
"""


def gateway(folder: Path, buses: str) -> tuple[Bus, ...]:
    (folder / "meter.yaml").write_text(PROFILE, encoding="utf-8")
    path = folder / "gateway.yaml"
    head = (
        "gateway: g\ngroup: g\nstation: {id: s, name: S, latitude: 10, longitude: 106}\n"
        "broker: {url: mqtt://127.0.0.1:1}\nbuses:\n"
    )
    path.write_text(head + textwrap.indent(textwrap.dedent(buses), "  "), encoding="utf-8")
    return resolve(load_gateway(path, {}), path)


def serial(folder: Path, port: str, *devices: str, baudrate: int = 115200) -> Bus:
    lines = "".join(f"    - {{{d}}}\n" for d in devices)
    text = f"- name: line\n  serial: {{port: {port}, baudrate: {baudrate}}}\n  devices:\n{lines}"
    return gateway(folder, text)[0]


def meter(name: str, unit: int, interval: str = "50ms") -> str:
    return f"name: {name}, profile: ./meter.yaml, unit: {unit}, interval: {interval}"


def words(voltage: int = 2315, current: int = 12, power: float = 500.0) -> dict[int, int]:
    high, low = struct.unpack(">HH", struct.pack(">f", power))
    return {0: voltage, 1: current & 0xFFFF, 2: 0, 3: 0, 4: high, 5: low}


class Listener:
    """Stands in for the agent."""

    def __init__(self) -> None:
        self.samples: dict[str, list[Sample]] = defaultdict(list)
        self.state: dict[str, bool] = {}
        self.changes: list[tuple[str, bool]] = []

    def online(self, device: Device) -> None:
        self._set(device.name, True)

    def offline(self, device: Device, why: str) -> None:
        self._set(device.name, False)

    async def take(self, device: Device, samples: Sequence[Sample]) -> None:
        self.samples[device.name] += samples

    def values(self, device: str, metric: str) -> list[float | None]:
        return [s.value for s in self.samples[device] if s.metric == metric]

    def _set(self, name: str, online: bool) -> None:
        if self.state.get(name) != online:
            self.state[name] = online
            self.changes.append((name, online))


def clock(monotonic_s: float) -> int:
    return round(monotonic_s * 1000)


class Running:
    """A bus at work."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.heard = Listener()
        self.counters = {d.name: DeviceCounters() for d in bus.devices}

    @contextlib.asynccontextmanager
    async def __call__(self) -> AsyncIterator["Running"]:
        runner: StreamBus | ModbusBus
        if self.bus.is_stream:
            name = self.bus.devices[0].name
            runner = StreamBus(self.bus, self.counters[name], self.heard, clock)
        else:
            pollers = {d.name: Poller(d, self.counters[d.name], clock) for d in self.bus.devices}
            runner = ModbusBus(self.bus, pollers, self.heard)
        task = asyncio.create_task(runner.run())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, condition: Callable[[], object], timeout_s: float = 60.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "not in time"
            await asyncio.sleep(0.005)


def times_open(path: str) -> int:
    """How often this process has a file open."""
    found = 0
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += str(fd.readlink()) == path
    return found


def go(coroutine: object) -> None:
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(coroutine)  # type: ignore[arg-type]
