"""The Modbus server codec: requests cut, joined and damaged; answers as the standard says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.wire.functions import Identity, UnitLimits, answer
from simulators.wire.registers import RegisterBank
from simulators.wire.rtu import RtuListener
from simulators.wire.tcp import TcpFrameError, TcpListener, tcp_frame
from telemetry.crc import with_crc

READ = bytes.fromhex("03 0000 0002")


def bank() -> RegisterBank:
    made = RegisterBank()
    made.define("holding", [*range(10), 20, 21])
    made.set_words("holding", {0: 0x1234, 1: 0xFFFF, 21: 7})
    made.define("coil", range(12))
    made.set_bits("coil", {0: True, 9: True})
    return made


@given(st.lists(st.sampled_from([READ, bytes.fromhex("10 0000 0001 02 0007")]), max_size=5),
       st.lists(st.integers(1, 7), min_size=1))  # fmt: skip
def test_requests_are_found_however_they_are_cut(pdus: list[bytes], cuts: list[int]) -> None:
    line = b"".join(with_crc(b"\x05" + pdu) for pdu in pdus)
    listener = RtuListener(0.01)
    found = []
    at = 0
    turn = 0
    while at < len(line):
        size = cuts[turn % len(cuts)]
        found += listener.feed(line[at : at + size], 0.001 * turn)
        at += size
        turn += 1
    assert [r.pdu for r in found] == pdus
    assert {r.unit for r in found} <= {5}


@given(st.binary(max_size=40))
def test_garbage_is_forgotten_after_silence(garbage: bytes) -> None:
    listener = RtuListener(0.01)
    listener.feed(garbage, 1.0)
    assert [r.pdu for r in listener.feed(with_crc(b"\x01" + READ), 2.0)][-1:] == [READ]


def test_a_frame_of_an_unknown_function_ends_with_silence() -> None:
    listener = RtuListener(0.01)
    assert listener.feed(with_crc(b"\x01\x66\x01\x02\x03"), 1.0) == []
    assert [r.pdu for r in listener.flush(1.1)] == [b"\x66\x01\x02\x03"]


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=6), st.integers(1, 50))
def test_tcp_requests_are_found_however_they_are_cut(pdus: list[bytes], size: int) -> None:
    stream = b"".join(tcp_frame(i, 7, pdu) for i, pdu in enumerate(pdus))
    listener = TcpListener()
    found = [r for i in range(0, len(stream), size) for r in listener.feed(stream[i : i + size])]
    assert [(r.transaction, r.unit, r.pdu) for r in found] == [
        (i, 7, pdu) for i, pdu in enumerate(pdus)
    ]


def test_what_is_no_modbus_is_refused() -> None:
    with pytest.raises(TcpFrameError):
        TcpListener().feed(b"GET / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("03 0000 0002", "03 04 1234 ffff"),
        ("03 0014 0002", "03 04 0000 0007"),
        ("03 0009 0002", "83 02"),  # register 10 does not exist
        ("03 ffff 0002", "83 02"),
        ("03 0000 0000", "83 03"),
        ("03 0000 007e", "83 03"),
        ("04 0000 0001", "84 02"),
        ("01 0000 000a", "01 02 0102"),
        ("01 0000 000d", "81 02"),
        ("05 0003 ff00", "05 0003 ff00"),
        ("05 0003 1200", "85 03"),
        ("06 0002 abcd", "06 0002 abcd"),
        ("06 0030 abcd", "86 02"),
        ("0f 0000 0003 01 05", "0f 0000 0003"),
        ("0f 0000 0003 02 05 00", "8f 03"),
        ("10 0000 0002 04 0001 0002", "10 0000 0002"),
        ("10 0000 0002 03 0001 00", "90 03"),
        ("16 0000 00f2 0025", "16 0000 00f2 0025"),
        ("17 0000 0001 0001 0001 02 0009", "17 02 1234"),
        ("08 0000 a537", "08 0000 a537"),
        ("63", "e3 01"),
    ],
)  # fmt: skip
def test_functions_answer_as_the_standard_says(request_: str, expected: str) -> None:
    assert answer(bank(), bytes.fromhex(request_)) == bytes.fromhex(expected)


def test_a_device_takes_no_more_registers_than_its_limit() -> None:
    limits = UnitLimits(max_registers=4)
    assert answer(bank(), bytes.fromhex("03 0000 0004"), limits)[0] == 3
    assert answer(bank(), bytes.fromhex("03 0000 0005"), limits) == bytes.fromhex("83 03")


def test_a_device_says_who_it_is() -> None:
    who = Identity("Maker", "M1", "2.0")
    reply = answer(bank(), bytes.fromhex("2b 0e 01 00"), identity=who)
    assert b"Maker" in reply
    assert b"M1" in reply
    assert answer(bank(), bytes.fromhex("2b 0e 04 07"), identity=who) == bytes.fromhex("ab 02")


@given(st.binary(min_size=1, max_size=253))
def test_no_request_breaks_a_device(pdu: bytes) -> None:
    reply = answer(bank(), pdu)
    assert 1 <= len(reply) <= 253
    assert reply[0] & 0x7F == pdu[0] & 0x7F or pdu[0] >= 0x80
