"""Every model in the library can be simulated, and what is read back is what was shown."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from pymodbus.client import ModbusTcpClient

from device_profiles import Profile, library
from device_profiles.modbus import decode_metric
from device_profiles.modbus.identify import matches
from device_profiles.streams import decoder, encoder
from simulators.clock import SimulationClock
from simulators.devices.instrument import Instrument, WorldSource
from simulators.devices.modbus_unit import ModbusUnit
from simulators.devices.serial_line import LineUnit
from simulators.devices.tcp_server import TcpServer
from simulators.faults.plan import FaultPlan
from simulators.signals.places import Place
from simulators.signals.world import World

NOON_MS = 1_795_492_800_000 - 1_795_492_800_000 % 86_400_000 + 5 * 3_600_000  # 12:00 in Việt Nam
PLACE = Place("tdm", 10.98, 106.65, traffic=0.9)
WORLD = World(3, NOON_MS / 1000.0 - 3600.0)
PROFILES = [library.load(i) for i in library.ids()]
MODBUS = [p for p in PROFILES if not p.is_stream]
STREAMS = [p for p in PROFILES if p.is_stream]


def instrument(profile: Profile) -> Instrument:
    source = WorldSource(WORLD, PLACE, profile)
    return Instrument(profile, profile.id, source, seed=3, refresh_ms=600_000)


@pytest.fixture(scope="module")
def server() -> Iterator[TcpServer]:
    """All Modbus models as units of one server."""
    units = {
        i + 1: LineUnit(p.id, ModbusUnit(instrument(p)), FaultPlan((), 0, p.id))
        for i, p in enumerate(MODBUS)
    }
    served = TcpServer("127.0.0.1", 0, units, SimulationClock(NOON_MS))
    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def serve() -> None:
        await served.plug_in()
        started.set()

    thread = threading.Thread(target=lambda: (loop.run_until_complete(serve()), loop.run_forever()))
    thread.start()
    assert started.wait(60)
    yield served
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.run_until_complete(served.unplug())
    loop.close()


@pytest.mark.parametrize("profile", MODBUS, ids=lambda p: p.id)
def test_a_foreign_master_reads_what_the_device_shows(profile: Profile, server: TcpServer) -> None:
    unit = MODBUS.index(profile) + 1
    shown = instrument(profile).readings(NOON_MS)
    with ModbusTcpClient("127.0.0.1", port=server.port) as master:
        read = {
            "holding": lambda a, n: master.read_holding_registers(a, count=n, device_id=unit).registers,
            "input": lambda a, n: master.read_input_registers(a, count=n, device_id=unit).registers,
            "coil": lambda a, n: master.read_coils(a, count=n, device_id=unit).bits[:n],
            "discrete": lambda a, n: master.read_discrete_inputs(a, count=n, device_id=unit).bits[:n],
        }  # fmt: skip
        for metric in profile.metrics:
            words = read[metric.table](metric.address, metric.register_count)
            value = decode_metric(metric, words)
            wanted = shown[metric.name]
            assert value is not None, metric.name
            assert wanted is not None, metric.name
            step = abs(metric.scale) if metric.type is None or not metric.type.is_float else 0
            step = max(step, 0.01 if metric.decimals_address is not None else 0)
            assert value == pytest.approx(wanted, abs=0.51 * step + 1e-9, rel=2e-7), metric.name
            low, high = metric.valid or (float("-inf"), float("inf"))
            assert low - step <= value <= high + step, metric.name
        for rule in profile.identify:
            words = read[rule.table](rule.address, rule.register_count)
            assert matches(rule, words)


@pytest.mark.parametrize("profile", STREAMS, ids=lambda p: p.id)
def test_a_stream_is_decoded_to_what_the_device_shows(profile: Profile) -> None:
    shown = instrument(profile).readings(NOON_MS)
    one_way = {n: v for n, v in shown.items() if n not in ("speed", "outbound_speed")}
    values = one_way if any("bound" in n for n in shown) else shown
    reader = decoder(profile)
    frame = encoder(profile).encode(values)
    with_value = [s for s in reader.feed(frame, NOON_MS) if s.value is not None]
    samples = {s.metric: s.value for s in with_value}
    assert reader.frames >= 1
    for name, wanted in values.items():
        assert name in samples, name
        step = abs(profile.metric(name).scale)
        assert samples[name] == pytest.approx(wanted, abs=max(1.0, 0.51 * step), rel=1e-3), name


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.id)
def test_a_day_of_a_device_stays_within_what_it_can_show(profile: Profile) -> None:
    source = WorldSource(WORLD, PLACE, profile)
    device = Instrument(profile, profile.id, source, seed=3, refresh_ms=900_000)
    unit = None if profile.is_stream else ModbusUnit(device)
    for i in range(0, 96, 7):
        time_ms = NOON_MS + i * 900_000
        readings = device.readings(time_ms)
        assert set(readings) == {m.name for m in profile.metrics}
        assert all(v is not None for v in readings.values())
        if unit is not None:
            unit.refresh(time_ms)
