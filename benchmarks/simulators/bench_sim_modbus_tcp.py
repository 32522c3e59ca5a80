"""Transactions a second of our simulated Modbus TCP devices, beside pymodbus's own simulator.

Both servers run in a process of their own and answer the same requests (20 input registers) on
sixteen connections. Ours serves a live weather station whose values change every second.
"""

import asyncio
import multiprocessing as mp
import selectors
import socket
import statistics
import time
from multiprocessing.synchronize import Event

import psutil
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from benchmarks.result import Result
from device_profiles import load_profile
from simulators.clock import SimulationClock
from simulators.devices.instrument import Instrument, WorldSource
from simulators.devices.modbus_unit import ModbusUnit
from simulators.devices.serial_line import LineUnit
from simulators.devices.tcp_server import TcpServer
from simulators.faults.plan import FaultPlan
from simulators.signals.places import Place
from simulators.signals.world import World
from telemetry.time.clock import utc_now_ms

_REQUEST = bytes.fromhex("0001 0000 0006 01 04 0000 0014")
_ANSWER_SIZE = 9 + 40
_CONNECTIONS = 16
_SECONDS = 1.5
_ROUNDS = 3


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _ours(port: int, ready: Event) -> None:
    async def serve() -> None:
        profile = load_profile("seeed-sensecap-one")
        world = World(1, time.time())
        source = WorldSource(world, Place("p", 10.98, 106.65), profile)
        unit = ModbusUnit(Instrument(profile, "p", source))
        units = {1: LineUnit("p", unit, FaultPlan((), 1, "p"))}
        server = TcpServer("127.0.0.1", port, units, SimulationClock(utc_now_ms()))
        await server.plug_in()
        ready.set()
        await asyncio.Event().wait()

    asyncio.run(serve())


def _pymodbus(port: int, ready: Event) -> None:
    async def serve() -> None:
        device = SimDevice(1, [SimData(0, count=100, values=17, datatype=DataType.REGISTERS)])
        server = ModbusTcpServer(device, address=("127.0.0.1", port))
        asyncio.get_running_loop().call_later(0.5, ready.set)
        await server.serve_forever()

    asyncio.run(serve())


def _measure(port: int, seconds: float) -> int:
    """Transactions within ``seconds``: each connection asks again as soon as it has its answer."""
    selector = selectors.DefaultSelector()
    got: dict[socket.socket, int] = {}
    for _ in range(_CONNECTIONS):
        s = socket.create_connection(("127.0.0.1", port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(s, selectors.EVENT_READ)
        got[s] = 0
        s.send(_REQUEST)
    done = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in selector.select(0.5):
            ready = key.fileobj
            assert isinstance(ready, socket.socket)
            got[ready] += len(ready.recv(4096))
            while got[ready] >= _ANSWER_SIZE:
                got[ready] -= _ANSWER_SIZE
                done += 1
                ready.send(_REQUEST)
    for s in got:
        s.close()
    selector.close()
    return done


def run() -> list[Result]:
    """Interleaved rounds, medians."""
    context = mp.get_context("spawn")
    servers = {}
    for name, target in (("ours", _ours), ("pymodbus", _pymodbus)):
        port, ready = _free_port(), context.Event()
        process = context.Process(target=target, args=(port, ready), daemon=True)
        process.start()
        servers[name] = (process, port, ready)
    rates: dict[str, list[float]] = {n: [] for n in servers}
    costs: dict[str, list[float]] = {n: [] for n in servers}
    try:
        for _process, port, ready in servers.values():
            if not ready.wait(20):
                raise RuntimeError("a server did not start")
            _measure(port, 0.3)
        for _ in range(_ROUNDS):
            for name, (process, port, _) in servers.items():
                watched = psutil.Process(process.pid)
                before = sum(watched.cpu_times()[:2])
                done = _measure(port, _SECONDS)
                rates[name].append(done / _SECONDS)
                costs[name].append((sum(watched.cpu_times()[:2]) - before) / max(done, 1) * 1e6)
    finally:
        for process, _, _ in servers.values():
            process.kill()
            process.join()
    median = statistics.median
    return [
        Result(
            "sim_modbus_tcp", "Modbus TCP transactions of one simulated server (20 registers)",
            median(rates["ours"]), "1/s", "pymodbus simulator", median(rates["pymodbus"]), 3.0,
        ),
        Result(
            "sim_modbus_tcp_cpu", "CPU of the server for a transaction", median(costs["ours"]),
            "us", "pymodbus simulator", median(costs["pymodbus"]), None, higher_is_better=False,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    for result in run():
        print(result, f"ratio {result.ratio:.2f}")
