"""Buses run against devices on real pseudo-terminals and sockets."""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from telemetry.crc import with_crc
from telemetry.quality import Flag
from tests.edge_agent.acquisition.running_bus import (
    Running,
    clock,
    gateway,
    go,
    meter,
    serial,
    words,
)
from tests.edge_agent.acquisition.slaves import PtySlave, pymodbus_rtu, pymodbus_tcp
from tests.servers import free_port


def test_values_arrive_in_canonical_units_with_the_middle_of_their_transaction(
    tmp_path: Path,
) -> None:
    slave = PtySlave({1: words()})

    async def story() -> None:
        began = clock(time.monotonic())
        async with Running(serial(tmp_path, slave.port, meter("m", 1)))() as r:
            await r.until(lambda: len(r.heard.values("m", "power")) >= 3)
            assert r.heard.values("m", "voltage")[0] == pytest.approx(231.5)
            assert r.heard.values("m", "current")[0] == pytest.approx(1.2)
            assert r.heard.values("m", "power")[0] == 500.0
            times = [s.time_ms for s in r.heard.samples["m"] if s.metric == "power"]
            assert began <= times[0] <= clock(time.monotonic())
            assert times == sorted(set(times))
            assert r.counters["m"]["polls"] == r.counters["m"]["answers"] >= 3
        assert len({f[2:6] for f in slave.requests}) == 1, "one merged read a turn"

    go(story())
    slave.close()


def test_a_missing_value_is_a_sample_without_value(tmp_path: Path) -> None:
    slave = PtySlave({1: words(voltage=65535)})

    async def story() -> None:
        async with Running(serial(tmp_path, slave.port, meter("m", 1)))() as r:
            await r.until(lambda: r.heard.samples["m"])
            first = next(s for s in r.heard.samples["m"] if s.metric == "voltage")
            assert (first.value, first.flag) == (None, Flag.MISSING)

    go(story())
    slave.close()


def test_a_silent_device_does_not_spoil_the_others(tmp_path: Path) -> None:
    slave = PtySlave({1: words(), 3: words()})
    bus = serial(tmp_path, slave.port, meter("a", 1), meter("gone", 2), meter("b", 3))

    async def story() -> None:
        async with Running(bus)() as r:
            await r.until(lambda: r.counters["gone"]["timeouts"] >= 3)
            for name in ("a", "b"):
                assert len(r.heard.values(name, "power")) >= 2 * r.counters["gone"]["timeouts"]
            assert r.heard.state == {"a": True, "b": True, "gone": False} or (
                "gone" not in r.heard.state
            )
            assert not r.heard.samples["gone"]
            slave.units[2] = words()
            await r.until(lambda: r.heard.samples["gone"])

    go(story())
    slave.close()


def test_a_late_reply_is_never_taken_for_another_value(tmp_path: Path) -> None:
    slave = PtySlave({1: words(power=100.0), 2: words(power=200.0)})
    turn = 0

    def late(s: PtySlave, frame: bytes) -> bytes | None:
        nonlocal turn
        turn += 1
        if turn % 5 == 0:
            time.sleep(0.16)
        return s.honest(frame)

    slave.answer = late
    bus = serial(tmp_path, slave.port, meter("a", 1), meter("b", 2))

    async def story() -> None:
        async with Running(bus)() as r:
            await r.until(lambda: len(r.heard.values("b", "power")) > 12)
            assert set(r.heard.values("a", "power")) == {100.0}
            assert set(r.heard.values("b", "power")) == {200.0}
            assert sum(c["late_replies"] for c in r.counters.values()) > 0

    go(story())
    slave.close()


def test_a_register_the_device_lacks_is_found_once_and_remembered(tmp_path: Path) -> None:
    registers = words()
    del registers[3]
    slave = PtySlave({1: registers})

    async def story() -> None:
        async with Running(serial(tmp_path, slave.port, meter("m", 1)))() as r:
            await r.until(lambda: len(r.heard.values("m", "power")) >= 5)
            assert len(r.heard.values("m", "voltage")) >= 5
            assert r.counters["m"]["exceptions"] == 2, "the read and its gap, once"

    go(story())
    slave.close()


def test_a_metric_the_device_lacks_costs_only_itself(tmp_path: Path) -> None:
    registers = words()
    del registers[1]
    slave = PtySlave({1: registers})

    async def story() -> None:
        async with Running(serial(tmp_path, slave.port, meter("m", 1)))() as r:
            await r.until(lambda: len(r.heard.values("m", "power")) >= 3)
            assert len(r.heard.values("m", "voltage")) >= 3
            assert not r.heard.values("m", "current")
            assert "no current" in str(r.counters["m"].last_error)

    go(story())
    slave.close()


def test_a_busy_device_is_asked_again_and_is_not_called_dead(tmp_path: Path) -> None:
    slave = PtySlave({1: words()})
    refused = 0

    def busy(s: PtySlave, frame: bytes) -> bytes | None:
        nonlocal refused
        refused += 1
        return with_crc(bytes((1, 0x83, 6))) if refused <= 2 else s.honest(frame)

    slave.answer = busy

    async def story() -> None:
        bus = serial(tmp_path, slave.port, meter("m", 1, "10s"))
        async with Running(bus)() as r:
            await r.until(lambda: r.heard.samples["m"])
            assert r.counters["m"]["exceptions"] == 2

    go(story())
    slave.close()


@pytest.mark.parametrize(
    ("spoil", "counter"),
    [
        (lambda frame: frame[:-1] + bytes((frame[-1] ^ 1,)), "crc_errors"),
        (lambda frame: frame[:6], "short_frames"),
        (lambda frame: with_crc(bytes((9, *frame[1:-2]))), "foreign_frames"),
    ],
    ids=["crc", "short", "foreign"],
)
def test_a_device_that_answers_wrongly_is_counted_and_gives_no_sample(
    tmp_path: Path, spoil: Callable[[bytes], bytes], counter: str
) -> None:
    slave = PtySlave({1: words(), 2: words()})

    def answer(s: PtySlave, frame: bytes) -> bytes | None:
        reply = s.honest(frame)
        assert reply is not None
        return spoil(reply) if frame[0] == 1 else reply

    slave.answer = answer
    bus = serial(tmp_path, slave.port, meter("bad", 1), meter("good", 2))

    async def story() -> None:
        async with Running(bus)() as r:
            await r.until(lambda: r.counters["bad"][counter] >= 2)
            await r.until(lambda: len(r.heard.samples["good"]) > 3)
            assert not r.heard.samples["bad"]

    go(story())
    slave.close()


def test_an_adapter_that_echoes_is_understood(tmp_path: Path) -> None:
    slave = PtySlave({1: words()})
    slave.answer = lambda s, frame: frame + (s.honest(frame) or b"")

    async def story() -> None:
        async with Running(serial(tmp_path, slave.port, meter("m", 1)))() as r:
            await r.until(lambda: len(r.heard.values("m", "power")) >= 3)

    go(story())
    slave.close()


def test_an_adapter_that_is_pulled_and_plugged_in_again_goes_on_by_itself(tmp_path: Path) -> None:
    link = tmp_path / "ttyUSB0"
    slave = PtySlave({1: words()}, link)
    bus = serial(tmp_path, str(link), meter("m", 1))

    async def story() -> None:
        nonlocal slave
        async with Running(bus)() as r:
            await r.until(lambda: r.heard.samples["m"])
            slave.unplug()
            link.unlink()
            await r.until(lambda: r.heard.state["m"] is False)
            assert r.counters["m"]["bus_errors"] >= 1
            before = len(r.heard.samples["m"])
            slave = PtySlave({1: words()}, link)
            await r.until(lambda: len(r.heard.samples["m"]) > before)
            assert r.heard.changes == [("m", True), ("m", False), ("m", True)]

    go(story())
    slave.close()


def test_an_independent_rtu_slave_is_read(tmp_path: Path) -> None:
    with pymodbus_rtu(5, 0, list(words().values())) as port:

        async def story() -> None:
            async with Running(serial(tmp_path, port, meter("m", 5), baudrate=9600))() as r:
                await r.until(lambda: r.heard.values("m", "power"))
                assert r.heard.values("m", "power")[0] == 500.0

        go(story())


def test_an_independent_tcp_server_is_read(tmp_path: Path) -> None:
    with pymodbus_tcp(5, 0, list(words().values())) as port:
        device = meter("m", 5)
        text = f"- name: t\n  tcp: {{host: 127.0.0.1, port: {port}}}\n  devices: [{{{device}}}]\n"
        (bus,) = gateway(tmp_path, text)

        async def story() -> None:
            async with Running(bus)() as r:
                await r.until(lambda: r.heard.values("m", "power"))
                assert r.heard.values("m", "current")[0] == pytest.approx(1.2)

        go(story())


def test_rtu_frames_travel_over_tcp(tmp_path: Path) -> None:
    port = free_port()
    text = (
        f"- name: t\n  tcp: {{host: 127.0.0.1, port: {port}, framing: rtu}}\n"
        f"  devices: [{{{meter('m', 1)}}}]\n"
    )
    (bus,) = gateway(tmp_path, text)
    honest = PtySlave({1: words()})

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while frame := await reader.read(8):
            writer.write(honest.honest(frame) or b"")

    async def story() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", port)
        async with server, Running(bus)() as r:
            await r.until(lambda: r.heard.values("m", "power"))

    go(story())
    honest.close()


def test_a_tcp_device_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    port = free_port()
    device = meter("m", 5)
    text = f"- name: t\n  tcp: {{host: 127.0.0.1, port: {port}}}\n  devices: [{{{device}}}]\n"
    (bus,) = gateway(tmp_path, text)

    async def story() -> None:
        async with Running(bus)() as r:
            await r.until(lambda: r.counters["m"]["bus_errors"] >= 1)
            assert "Connection refused" in str(r.counters["m"].last_error)
            with pymodbus_tcp_at(port):
                await r.until(lambda: r.heard.samples["m"])

    go(story())


@pytest.mark.parametrize("abort", [False, True])
def test_readings_before_a_lost_connection_are_kept(tmp_path: Path, *, abort: bool) -> None:
    """The meter needs two reads and 20 ms between them; the server closes after each answer."""
    port = free_port()
    text = (
        f"- name: t\n  tcp: {{host: 127.0.0.1, port: {port}}}\n"
        "  devices: [{name: m, profile: eastron-sdm120, unit: 1, interval: 50ms}]\n"
    )
    (bus,) = gateway(tmp_path, text)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await reader.readexactly(12)
            data = struct.pack(">f", 50.0) * (int.from_bytes(request[10:12], "big") // 2)
            size = (len(data) + 3).to_bytes(2, "big")
            writer.write(request[:4] + size + request[6:8] + bytes((len(data),)) + data)
            await writer.drain()
            if abort:
                await asyncio.sleep(0.005)
                set_to_reset(writer)
        writer.close()

    async def story() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", port)
        async with server, Running(bus)() as r:
            await r.until(lambda: len(r.heard.values("m", "voltage")) >= 3)
            assert r.heard.values("m", "power_factor")[:3] == [50.0] * 3
            assert not r.heard.values("m", "frequency"), "it belongs to the second read"
            why = f"127.0.0.1:{port}: the other side closed the connection"
            await r.until(lambda: r.counters["m"].last_error == why)
            assert r.counters["m"]["bus_errors"] >= 2

    go(story())


def set_to_reset(writer: asyncio.StreamWriter) -> None:
    """Closing then sends RST instead of FIN."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def pymodbus_tcp_at(port: int) -> contextlib.AbstractContextManager[int]:
    return pymodbus_tcp(5, 0, list(words().values()), port=port)


def test_a_device_silent_behind_a_gateway_rests_like_any_silent_one(tmp_path: Path) -> None:
    slave = PtySlave({1: words(), 2: words()})
    slave.answer = lambda s, frame: (
        with_crc(bytes((2, 0x83, 0x0B))) if frame[0] == 2 else s.honest(frame)
    )
    bus = serial(tmp_path, slave.port, meter("a", 1), meter("b", 2))

    async def story() -> None:
        async with Running(bus)() as r:
            await r.until(lambda: len(r.heard.values("a", "power")) >= 20)
            assert 2 <= r.counters["b"]["exceptions"] <= 8
            assert r.counters["b"].last_error == "gateway target silent (0x0B)"

    go(story())
    slave.close()


BITS = """\
id: test-io
manufacturer: Test
model: IO
domain: industry
protocol: modbus
limits: {timeout: 120ms}
metrics:
  - {name: door, quantity: status, unit: "1", table: discrete, address: 3, type: bool}
  - {name: pump, quantity: status, unit: "1", table: coil, address: 9, type: bool}
  - {name: mode, quantity: status, unit: "1", table: input, address: 0, type: uint16, bits: "4-6", enum: {5: auto}}
  - {name: big, quantity: energy, unit: kW.h, table: input, address: 1, type: uint32, word_order: little}
source: made up for tests
"""


def test_bits_and_fields_and_orders_are_read_from_every_table(tmp_path: Path) -> None:
    slave = PtySlave({1: {0: 0b1010000, 1: 0x0002, 2: 0x0001}})

    def answer(s: PtySlave, frame: bytes) -> bytes | None:
        if frame[1] in (1, 2):
            return with_crc(bytes((frame[0], frame[1], 1, 1 if frame[1] == 2 else 0)))
        return s.honest(frame)

    slave.answer = answer
    (tmp_path / "io.yaml").write_text(BITS)
    bus = serial(tmp_path, slave.port, "name: io, profile: ./io.yaml, interval: 50ms")

    async def story() -> None:
        async with Running(bus)() as r:
            await r.until(lambda: len(r.heard.samples["io"]) >= 4)
            found = {s.metric: s.value for s in r.heard.samples["io"]}
            assert found == {"door": 1.0, "pump": 0.0, "mode": 5.0, "big": 65538.0}

    go(story())
    slave.close()
