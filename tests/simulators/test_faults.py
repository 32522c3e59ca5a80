"""What goes wrong, and what a master at the other end of a real line sees of it."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import ModbusTcpClient
from serial import Serial

from simulators.faults.answers import rtu_answer, stream_frames, tcp_answer
from simulators.faults.plan import DEFAULTS, Fault, FaultKind, FaultPlan
from simulators.scenarios import Scenario
from simulators.scenarios.ports import ports_in
from simulators.scenarios.stations import stations_of
from simulators.simulation import Simulation
from simulators.truth import TruthFile, read_truth
from telemetry.crc import has_valid_crc, with_crc
from tests.servers import wait_until

READ = bytes.fromhex("04 0000 0002")
SAID = bytes.fromhex("04 04 0001 0002")

MINUTE_MS = 60_000


def station(**more: Any) -> Scenario:
    return Scenario.model_validate(
        {
            "scenario": "t", "title": "t", "seed": 5,
            "stations": [{
                "id": "s", "name": "S", "latitude": 10.98, "longitude": 106.65, "gateway": "g",
                "buses": [
                    {"name": "rs485", "serial": {}, "devices": [
                        {"name": "weather", "profile": "seeed-sensecap-one", "unit": 1},
                        {"name": "sonde", "profile": "yosemitech-y4000", "unit": 2}]},
                    {"name": "dust", "serial": {}, "devices": [
                        {"name": "pm", "profile": "plantower-pms5003"}]},
                    {"name": "cabinet", "tcp": {}, "devices": [
                        {"name": "meter", "profile": "eastron-sdm120", "unit": 1}]},
                ],
            }],
            **more,
        }
    )  # fmt: skip


@contextmanager
def running(scenario: Scenario, folder: Path) -> Iterator[Simulation]:
    stations = stations_of(scenario)
    truth = TruthFile(folder / "truth.csv")
    simulation = Simulation(scenario, stations, folder, ports_in(folder, stations), truth=truth)
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(simulation.run(stopped)))
    thread.start()
    wait_until((folder / "s-dust").exists, "the ports appear")
    try:
        yield simulation
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(5)
        loop.close()
        truth.close()


def move_clock(simulation: Simulation, by_ms: int) -> None:
    """Move the time by which ports are plugged; that of the devices goes on."""
    clock = simulation.clock
    simulation.clock = replace(clock, start_ms=clock.start_ms + by_ms)


def connects(port: int) -> bool:
    with ModbusTcpClient("127.0.0.1", port=port, timeout=0.1) as client:
        return bool(client.connected)


def read_to_the_end(port: int) -> None:
    while os.read(port, 4096):
        pass
    raise OSError("Input/output error: end of file")


def ask(line: Serial, unit: int = 1, pdu: bytes = READ, timeout_s: float = 60.0) -> bytes:
    """The answer to a read as soon as it is complete, or what arrives within ``timeout_s``."""
    line.reset_input_buffer()
    line.timeout = timeout_s
    line.write(with_crc(bytes((unit,)) + pdu))
    return bytes(line.read(5 + 2 * int.from_bytes(pdu[3:5], "big")))


def test_the_seed_decides_where_chance_falls() -> None:
    fault = Fault(FaultKind.CRC_ERROR, probability=0.2)
    struck = [
        [
            bool(FaultPlan([fault], seed, "d").active(frozenset(FaultKind), 0, i))
            for i in range(2000)
        ]
        for seed in (1, 1, 2)
    ]
    assert struck[0] == struck[1] != struck[2]
    assert 300 < sum(struck[0]) < 500


def test_spans_come_back_every_so_often() -> None:
    fault = Fault(FaultKind.NO_ANSWER, start_ms=100, end_ms=110, every_ms=50)
    assert [t for t in range(90, 220, 5) if fault.span_ms(t)] == [100, 105, 150, 155, 200, 205]
    assert fault.span_ms(157) == (150, 160)


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_kind_of_fault_leaves_frames_that_can_be_sent(kind: FaultKind) -> None:
    for out in (
        rtu_answer(1, READ, SAID, b"", [Fault(kind)], 1),
        tcp_answer(7, 1, READ, SAID, [Fault(kind)]),
        stream_frames(b"$frame*00\r\n", b"$before*00\r\n", [Fault(kind)], 1),
    ):
        assert out is None or len(out.data) >= 1
    assert Fault(kind).amount == DEFAULTS.get(kind, 0.0)


def test_answers_are_damaged_as_their_fault_says() -> None:
    good = with_crc(b"\x01" + SAID)

    def answer_with(kind: FaultKind) -> bytes:
        out = rtu_answer(1, READ, SAID, good, [Fault(kind)], 3)
        assert out is not None
        return out.data

    assert rtu_answer(1, READ, SAID, b"", [Fault(FaultKind.NO_ANSWER)], 1) is None
    assert not has_valid_crc(answer_with(FaultKind.CRC_ERROR))
    assert good.startswith(answer_with(FaultKind.TRUNCATED))
    assert answer_with(FaultKind.MERGED) == good + good
    assert answer_with(FaultKind.WRONG_UNIT)[0] == 2
    assert has_valid_crc(answer_with(FaultKind.WRONG_UNIT))
    assert answer_with(FaultKind.EXCEPTION)[:3] == bytes((1, 0x84, 4))
    assert answer_with(FaultKind.GARBAGE).endswith(good)
    assert answer_with(FaultKind.ECHO) == with_crc(b"\x01" + READ) + good


def test_one_dead_unit_does_not_silence_the_other(tmp_path: Path) -> None:
    made = station(faults=[{"kind": "no_answer", "device": "g/weather"}])
    with running(made, tmp_path), Serial(str(tmp_path / "s-rs485"), 9600) as line:
        assert ask(line, timeout_s=0.4) == b""
        assert has_valid_crc(ask(line, 2, bytes.fromhex("03 2601 0002")))


def test_bytes_take_their_time_on_the_line(tmp_path: Path) -> None:
    with running(station(), tmp_path), Serial(str(tmp_path / "s-rs485"), 9600) as line:
        line.timeout = 1
        times = []
        for _ in range(3):
            began = time.monotonic()
            line.write(with_crc(b"\x01" + bytes.fromhex("04 0000 0014")))
            assert len(line.read(45)) == 45
            times.append(time.monotonic() - began)
        # 8 + 45 bytes of 10 bits at 9,600 baud, and 50 ms in which the device thinks
        assert min(times) >= 0.105


def test_a_port_at_another_rate_is_not_understood(tmp_path: Path) -> None:
    with running(station(), tmp_path) as simulation:
        with Serial(str(tmp_path / "s-rs485"), 19200) as line:
            assert ask(line, timeout_s=0.2) == b""
        with Serial(str(tmp_path / "s-rs485"), 9600) as line:
            assert has_valid_crc(ask(line))
        assert simulation.buses[0].counters.not_understood == 1


def test_an_adapter_that_is_pulled_vanishes_and_comes_back(tmp_path: Path) -> None:
    made = station(faults=[{"kind": "unplugged", "bus": "g/dust", "at": "1h", "lasts": "1h"}])
    link = tmp_path / "s-dust"
    with running(made, tmp_path) as simulation:
        first = os.open(link, os.O_RDWR | os.O_NOCTTY)
        move_clock(simulation, 90 * MINUTE_MS)
        wait_until(lambda: not link.is_symlink(), "the link vanishes")
        with pytest.raises(OSError, match="error"):
            read_to_the_end(first)
        os.close(first)
        move_clock(simulation, -90 * MINUTE_MS)
        wait_until(link.exists, "the link comes back")
        with Serial(str(link), 9600, timeout=2) as again:
            assert b"\x42\x4d" in again.read(64)


def test_a_power_cut_takes_all_buses_of_a_gateway(tmp_path: Path) -> None:
    made = station(faults=[{"kind": "power_cut", "gateway": "g", "at": "1h", "lasts": "1h"}])
    with running(made, tmp_path) as simulation:
        port = simulation.buses[2].port.port
        with ModbusTcpClient("127.0.0.1", port=port) as meter:
            assert not meter.read_input_registers(0, count=2).isError()
        move_clock(simulation, 90 * MINUTE_MS)
        wait_until(lambda: not (tmp_path / "s-rs485").is_symlink(), "the line vanishes")
        wait_until(lambda: not connects(port), "the TCP port closes")
        move_clock(simulation, -90 * MINUTE_MS)
        wait_until((tmp_path / "s-rs485").exists, "the line comes back")
        wait_until(lambda: connects(port), "the TCP port opens")
        with ModbusTcpClient("127.0.0.1", port=port) as meter:
            assert not meter.read_input_registers(0, count=2).isError()


@pytest.mark.parametrize(
    ("fault", "holds"),
    [
        ({"kind": "spike", "value": 3.0}, lambda sound, reported: reported == pytest.approx(3 * sound, rel=0.02)),
        ({"kind": "unit_swapped"}, lambda sound, reported: reported == pytest.approx(1.8 * sound + 32, rel=0.02)),
        ({"kind": "clock_wrong", "value": -9 * 3600}, lambda sound, reported: abs(reported - sound) > 1),
        ({"kind": "drift", "value": 3600.0}, lambda sound, reported: reported > sound),
    ],
)  # fmt: skip
def test_values_are_wrong_as_their_fault_says(
    fault: dict[str, Any], holds: Any, tmp_path: Path
) -> None:
    start = {"start": "2026-03-10T14:00+07:00"}
    made = station(faults=[{**fault, "device": "g/weather", "metrics": ["temperature"]}], **start)
    stations = stations_of(made)
    faulty, sound = (
        Simulation(s, stations, tmp_path, {"s-cabinet": 1}).instruments(stations[0])[0]
        for s in (made, station(**start))
    )
    moment = sound.on_since_ms + 60_000
    reported, right = (i.readings(moment)["temperature"] for i in (faulty, sound))
    assert holds(right, reported)
    if fault["kind"] != "clock_wrong":
        assert faulty.readings(moment)["humidity"] == sound.readings(moment)["humidity"]


def test_a_stuck_value_stays_what_it_was_when_it_began(tmp_path: Path) -> None:
    made = station(faults=[{"kind": "stuck", "device": "g/sonde", "at": "10s", "lasts": "1h"}])
    stations = stations_of(made)
    sonde = Simulation(made, stations, tmp_path, {"s-cabinet": 1}).instruments(stations[0])[1]
    began = sonde.on_since_ms
    stuck = [sonde.readings(began + s * 1000)["ph"] for s in (20, 200, 2000)]
    assert len(set(stuck)) == 1
    assert sonde.readings(began + 3_700_000)["ph"] != stuck[0]


def test_only_what_could_be_read_counts_as_answered(tmp_path: Path) -> None:
    made = station(faults=[{"kind": "crc_error", "device": "g/weather", "probability": 0.5}])
    with running(made, tmp_path), Serial(str(tmp_path / "s-rs485"), 9600) as line:
        good = sum(has_valid_crc(ask(line)) for _ in range(12))
    assert 0 < good < 12
    served = [s for s in read_truth(tmp_path / "truth.csv") if s.series == "g/weather/temperature"]
    assert len(served) == good
