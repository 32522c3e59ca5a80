"""What counts as an answer on a Modbus line, and what never may."""

import os
import random
from collections import Counter, deque
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.registers import Table
from edge_agent.acquisition.modbus import requests
from edge_agent.acquisition.modbus.outcomes import Answer, Confused, LineEvent, Outcome, Refusal
from edge_agent.acquisition.modbus.requests import Request
from edge_agent.acquisition.modbus.rtu_framer import RtuFramer, probes_for
from edge_agent.acquisition.modbus.tcp_reply_matcher import TcpReplyMatcher
from telemetry.crc import with_crc

FAULTS = int(os.environ.get("QUANTRAC_FAULTS", "150000"))


def rtu() -> tuple[RtuFramer, Counter[LineEvent]]:
    seen: Counter[LineEvent] = Counter()
    return RtuFramer(lambda event, unit: seen.update([event])), seen


def reply(unit: int, function: int, *registers: int) -> bytes:
    data = b"".join(r.to_bytes(2, "big") for r in registers)
    return with_crc(bytes((unit, function, len(data))) + data)


READ = requests.read(1, Table.HOLDING, 0, 2)


def test_an_answer_is_taken_whole() -> None:
    matcher, seen = rtu()
    assert matcher.ask(READ) == with_crc(bytes.fromhex("010300000002"))
    assert matcher.feed(reply(1, 3, 7, 8), 0.1) == Answer(bytes.fromhex("030400070008"))
    assert not seen


def test_an_answer_is_taken_in_any_pieces() -> None:
    matcher, _ = rtu()
    matcher.ask(READ)
    frame = reply(1, 3, 7, 8)
    for byte in frame[:-1]:
        assert matcher.feed(bytes((byte,)), 0.1) is None
    assert isinstance(matcher.feed(frame[-1:], 0.1), Answer)


@pytest.mark.parametrize(
    "frame",
    [reply(2, 3, 7, 8), reply(1, 4, 7, 8), reply(1, 3, 7), reply(1, 3, 7, 8, 9)],
    ids=["unit", "function", "shorter", "longer"],
)
def test_a_frame_that_was_not_asked_for_is_foreign_and_stepped_over(frame: bytes) -> None:
    matcher, seen = rtu()
    matcher.ask(READ)
    assert matcher.feed(frame, 0.1) is None
    assert seen[LineEvent.FOREIGN_FRAME] == 1
    assert matcher.feed(reply(1, 3, 5, 6), 0.2) == Answer(bytes.fromhex("030400050006"))


def test_an_exception_is_a_refusal_with_its_code() -> None:
    matcher, _ = rtu()
    matcher.ask(READ)
    assert matcher.feed(with_crc(bytes((1, 0x83, 2))), 0.1) == Refusal(2)


def test_an_echo_is_not_the_answer() -> None:
    matcher, seen = rtu()
    frame = matcher.ask(READ)
    assert matcher.feed(frame, 0.1) is None
    assert matcher.echoing
    assert isinstance(matcher.feed(reply(1, 3, 1, 2), 0.1), Answer)
    assert not seen


def test_an_adapter_known_to_echo_does_not_confirm_a_write_by_itself() -> None:
    matcher, _ = rtu()
    matcher.feed(matcher.ask(READ) + reply(1, 3, 1, 2), 0.1)
    write = requests.write_register(1, 5, 77)
    frame = matcher.ask(write)
    assert matcher.feed(frame, 0.2) is None
    assert isinstance(matcher.feed(frame, 0.3), Answer)


def test_noise_before_an_answer_is_skipped() -> None:
    matcher, seen = rtu()
    matcher.ask(READ)
    assert isinstance(matcher.feed(b"\x00\xff" + reply(1, 3, 1, 2), 0.1), Answer)
    assert seen == {LineEvent.RESYNC: 1}


def test_a_damaged_answer_is_counted_and_not_taken() -> None:
    matcher, seen = rtu()
    matcher.ask(READ)
    frame = bytearray(reply(1, 3, 1, 2))
    frame[4] ^= 1
    assert matcher.feed(bytes(frame), 0.1) is None
    assert matcher.incomplete
    matcher.time_out(0.5)
    assert seen == {LineEvent.CRC_ERROR: 1}


def test_a_short_answer_is_counted_and_not_taken() -> None:
    matcher, seen = rtu()
    matcher.ask(READ)
    assert matcher.feed(reply(1, 3, 1, 2)[:5], 0.1) is None
    matcher.time_out(0.5)
    assert seen == {LineEvent.SHORT_FRAME: 1}


def test_a_late_answer_is_not_taken_for_that_of_the_same_shape() -> None:
    matcher, seen = rtu()
    matcher.ask(READ)
    matcher.time_out(0.5)
    other = requests.read(1, Table.HOLDING, 100, 2)
    assert matcher.ambiguous(other, 0.6)
    matcher.ask(other)
    assert matcher.feed(reply(1, 3, 7, 8), 0.7) is None
    assert seen[LineEvent.LATE_REPLY] == 1


def test_a_probe_of_another_length_makes_the_line_clear_again() -> None:
    matcher, seen = rtu()
    matcher.ask(READ)
    matcher.time_out(0.5)
    probe = matcher.probe(READ, 0.6)
    assert probe is not None
    assert not matcher.ambiguous(probe, 0.6)
    matcher.ask(probe)
    assert matcher.feed(reply(1, 3, 7, 8), 0.7) is None, "the late one"
    assert isinstance(matcher.feed(reply(1, 3, 7), 0.7), Answer)
    assert not matcher.ambiguous(READ, 0.8)
    assert seen == {LineEvent.LATE_REPLY: 1}


def test_each_probe_has_a_length_that_is_not_outstanding() -> None:
    matcher, _ = rtu()
    read = requests.read(1, Table.HOLDING, 0, 6)
    matcher.ask(read)
    matcher.time_out(0.1)
    lengths = []
    for i in range(8):
        probe = matcher.probe(read, 0.2 + i / 10)
        assert probe is not None
        lengths.append(int.from_bytes(probe.pdu[3:5], "big"))
        matcher.ask(probe)
        matcher.time_out(0.3 + i / 10)
    assert lengths == [5, 4, 3, 2, 1, 7, 8, 9]
    assert not list(probes_for(requests.write_register(1, 1, 1)))


def test_the_refusal_of_a_probe_settles_it_where_the_read_was_answered_before() -> None:
    matcher, _ = rtu()
    one = requests.read(1, Table.HOLDING, 9, 1)
    matcher.ask(one)
    assert isinstance(matcher.feed(reply(1, 3, 5), 0.1), Answer)
    matcher.ask(one)
    matcher.time_out(0.5)
    probe = matcher.probe(one, 0.6)
    assert probe is not None
    matcher.ask(probe)
    assert matcher.feed(with_crc(bytes((1, 0x83, 2))), 0.7) == Refusal(2, certain=True)
    assert not matcher.ambiguous(one, 0.8)


def test_a_late_answer_of_another_unit_is_counted_as_late() -> None:
    matcher, seen = rtu()
    matcher.ask(READ)
    matcher.time_out(0.5)
    matcher.ask(requests.read(2, Table.HOLDING, 0, 2))
    matcher.feed(reply(1, 3, 7, 8), 0.6)
    assert seen == {LineEvent.LATE_REPLY: 1}


def test_a_refusal_that_could_be_a_late_one_is_not_certain() -> None:
    matcher, _ = rtu()
    matcher.ask(READ)
    matcher.time_out(0.5)
    matcher.ask(requests.read(1, Table.HOLDING, 0, 3))
    assert matcher.feed(with_crc(bytes((1, 0x83, 2))), 0.7) == Refusal(2, certain=False)


def test_what_is_left_on_the_line_is_drained_before_the_next_request() -> None:
    matcher, seen = rtu()
    matcher.feed(reply(9, 3, 1) + b"xyz", 0.0)
    matcher.ask(READ)
    assert seen == {LineEvent.FOREIGN_FRAME: 1, LineEvent.RESYNC: 1}
    assert isinstance(matcher.feed(reply(1, 3, 7, 8), 0.7), Answer)


ALL_REQUESTS = [
    (requests.read(1, Table.COIL, 0, 12), "0102ff0f"),
    (requests.read(1, Table.DISCRETE, 0, 3), "020105"),
    (requests.read(1, Table.HOLDING, 0, 1), "03020001"),
    (requests.read(1, Table.INPUT, 0, 1), "04020001"),
    (requests.write_coil(1, 2, True), "050002ff00"),
    (requests.write_register(1, 2, 3), "0600020003"),
    (requests.write_coils(1, 2, [True] * 9), "0f00020009"),
    (requests.write_registers(1, 2, [1, 2]), "1000020002"),
    (requests.mask_write_register(1, 4, 0xF2, 0x25), "16000400f20025"),
    (requests.read_write_registers(1, 3, 2, 14, [255]), "170400fe0acd"),
    (requests.report_server_id(1), "1103 10ff 77"),
    (requests.read_device_identification(1), "2b0e010100000200034162630102312e"),
]


@pytest.mark.parametrize(("request_", "answer"), ALL_REQUESTS)
def test_every_function_is_asked_and_answered_on_both_wires(request_: Request, answer: str) -> None:
    pdu = bytes.fromhex(answer)
    matcher, _ = rtu()
    matcher.ask(request_)
    assert matcher.feed(with_crc(b"\x01" + pdu), 0.1) == Answer(pdu)
    tcp = TcpReplyMatcher(lambda event, unit: None)
    head = tcp.ask(request_)[:4]
    frame = head + (len(pdu) + 1).to_bytes(2, "big") + b"\x01" + pdu
    assert tcp.feed(frame, 0.1) == Answer(pdu)


def test_the_objects_of_an_identification_are_read() -> None:
    pdu = bytes.fromhex("2b0e010100000200034162630102312e")
    assert requests.identification_of(pdu) == {0: "Abc", 1: "1."}


def test_bits_and_registers_are_read_from_answers() -> None:
    assert requests.bits_of(bytes.fromhex("0102ff0f"), 12) == [True] * 12
    assert requests.registers_of(bytes.fromhex("030400070008")) == [7, 8]


@pytest.mark.parametrize(("address", "count"), [(0, 0), (0, 126), (65535, 2)])
def test_a_read_beyond_the_protocol_is_refused(address: int, count: int) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        requests.read(1, Table.HOLDING, address, count)


# Modbus TCP


def tcp_reply(number: int, unit: int, pdu: bytes) -> bytes:
    return (
        number.to_bytes(2, "big")
        + b"\0\0"
        + (len(pdu) + 1).to_bytes(2, "big")
        + bytes((unit,))
        + pdu
    )


def test_tcp_takes_the_transaction_that_was_asked_for() -> None:
    seen: Counter[LineEvent] = Counter()
    matcher = TcpReplyMatcher(lambda event, unit: seen.update([event]))
    matcher.ask(READ)
    matcher.time_out(1.0)
    matcher.ask(READ)
    assert matcher.feed(tcp_reply(1, 1, bytes.fromhex("030400010002")), 1.1) is None
    assert matcher.feed(tcp_reply(2, 9, bytes.fromhex("030400010002")), 1.1) is None
    assert matcher.feed(tcp_reply(2, 1, bytes.fromhex("03020001")), 1.1) is None
    expected = Answer(bytes.fromhex("030400030004"))
    assert matcher.feed(tcp_reply(2, 1, expected.pdu), 1.1) == expected
    assert seen == {LineEvent.LATE_REPLY: 1, LineEvent.FOREIGN_FRAME: 1, LineEvent.SHORT_FRAME: 1}


def test_tcp_gives_up_a_connection_whose_bytes_make_no_sense() -> None:
    matcher = TcpReplyMatcher(lambda event, unit: None)
    matcher.ask(READ)
    assert matcher.feed(b"HTTP/1.1 400 Bad Request\r\n" * 20, 0.1) == Confused()


def test_tcp_finds_the_answer_behind_a_frame_that_broke_off() -> None:
    matcher = TcpReplyMatcher(lambda event, unit: None)
    matcher.ask(READ)
    whole = tcp_reply(1, 1, bytes.fromhex("030400010002"))
    assert matcher.feed(whole[:9], 0.1) is None
    matcher.time_out(1.0)
    matcher.ask(READ)
    answer = tcp_reply(2, 1, bytes.fromhex("030400030004"))
    assert matcher.feed(whole[9:] + b"\xff\xff\xff\xff\xff" + answer, 1.1) == Answer(answer[7:])


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=20))
def test_garbage_is_never_an_answer_and_never_raises(pieces: list[bytes]) -> None:
    for matcher in (rtu()[0], TcpReplyMatcher(lambda event, unit: None)):
        matcher.ask(READ)
        for i, piece in enumerate(pieces):
            outcome = matcher.feed(piece, i / 10)
            assert not isinstance(outcome, Answer)
            if outcome is not None:
                break
        matcher.time_out(9.0)


# A line on which everything goes wrong


@cache
def truth(unit: int, function: int, address: int, count: int) -> bytes:
    """The right reply: every register says where it stands."""
    return reply(
        unit,
        function,
        *(
            (unit * 7919 + function * 613 + a * 31) & 0xFFFF
            for a in range(address, address + count)
        ),
    )


class Chaos:
    """Three units that answer in order, but late, twice damaged, short, or not at all."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.late: dict[int, deque[tuple[float, bytes]]] = {u: deque() for u in (1, 2, 3)}
        self.now = 0.0
        self.faults = 0

    def transact(self, matcher: RtuFramer, request: Request) -> Outcome | None:
        r = self.random
        frame = matcher.ask(request)
        self.now += 0.02
        arriving = b""
        for unit, due in self.late.items():
            while due and (unit == request.unit or due[0][0] <= self.now):
                arriving += due.popleft()[1]
        address, count = int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
        honest = truth(request.unit, request.function, address, count)
        kind = r.randrange(12)
        if kind < 8:
            self.faults += 1
        if kind == 0:
            honest = b""
        elif kind == 1:
            self.late[request.unit].append((self.now + r.random() * 8, honest))
            honest = b""
        elif kind == 2:
            spot = r.randrange(len(honest))
            honest = (
                honest[:spot] + bytes((honest[spot] ^ (1 << r.randrange(8)),)) + honest[spot + 1 :]
            )
        elif kind == 3:
            honest = honest[: r.randrange(len(honest))]
        elif kind == 4:
            honest = frame + honest
        elif kind == 5:
            honest = truth(r.randrange(4, 9), 3, r.randrange(50), r.randrange(1, 5)) + honest
        elif kind == 6:
            honest = r.randbytes(r.randrange(1, 4)) + honest
        elif kind == 7:
            honest = with_crc(bytes((request.unit, request.function | 0x80, r.randrange(1, 7))))
        arriving += honest
        cut = r.randrange(len(arriving) + 1)
        outcome = matcher.feed(arriving[:cut], self.now) if cut else None
        if outcome is None and cut < len(arriving):
            outcome = matcher.feed(arriving[cut:], self.now)
        if outcome is None:
            self.now += 0.1
            matcher.time_out(self.now)
        return outcome


@pytest.mark.slow
def test_no_reply_is_ever_taken_for_that_of_another_request() -> None:
    chaos = Chaos(seed=20261123)
    matcher, seen = rtu()
    taken = 0
    r = random.Random(7)
    while chaos.faults < FAULTS:
        table = Table.HOLDING if r.random() < 0.7 else Table.INPUT
        request = requests.read(r.randrange(1, 4), table, r.randrange(0, 40), r.randrange(1, 5))
        if matcher.ambiguous(request, chaos.now):
            probe = matcher.probe(request, chaos.now)
            assert probe is not None
            first = chaos.transact(matcher, probe)
            if not isinstance(first, Answer) and not (isinstance(first, Refusal) and first.certain):
                continue
        outcome = chaos.transact(matcher, request)
        if isinstance(outcome, Answer):
            taken += 1
            address, count = (
                int.from_bytes(request.pdu[1:3], "big"),
                int.from_bytes(request.pdu[3:5], "big"),
            )
            right = truth(request.unit, request.function, address, count)
            assert outcome.pdu == right[1:-2], f"after {chaos.faults} faults"
    assert taken > FAULTS // 10, "answers get through all the same"
    assert seen[LineEvent.LATE_REPLY]
    assert seen[LineEvent.FOREIGN_FRAME]
    assert seen[LineEvent.CRC_ERROR]
