"""MQTT packets: cut the same whatever pieces they come in."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry import mqtt_packets as packets
from telemetry.mqtt_packets import PacketError, Parser, Publish, Reply

topics = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20
)
messages = st.tuples(topics, st.binary(max_size=400), st.integers(0, 65535), st.booleans())


@settings(deadline=None)
@given(st.lists(messages, max_size=8), st.lists(st.integers(1, 70), max_size=60))
def test_any_pieces_give_the_same_packets(
    sent: list[tuple[str, bytes, int, bool]], sizes: list[int]
) -> None:
    data = b"".join(
        packets.publish(t, p, packet_id=i, retain=r) + packets.puback(7) for t, p, i, r in sent
    )
    parser, found, at = Parser(Publish), [], 0
    for size in [*sizes, len(data)]:
        found += parser.feed(data[at : at + size], 7)
        at += size
    expected: list[Publish | Reply] = []
    for t, p, i, _ in sent:
        expected += [Publish(t, p, 7, i), Reply(packets.PUBACK, b"\x00\x07")]
    assert found == expected


def test_a_message_of_ten_megabytes_arrives_in_blocks() -> None:
    payload = bytes(10_000_000)
    data = packets.publish("a", payload) + packets.publish("b", b"x")
    parser, found = Parser(Publish), []
    for at in range(0, len(data), 262_144):
        found += parser.feed(data[at : at + 262_144], 7)
    assert [(m.topic, len(m.payload)) for m in found if isinstance(m, Publish)] == [
        ("a", 10_000_000), ("b", 1),
    ]  # fmt: skip


@given(st.binary(max_size=120))
def test_rubbish_is_refused_or_awaits_more(data: bytes) -> None:
    with contextlib.suppress(PacketError):
        Parser(Publish).feed(data, 7)


def test_lengths_beyond_reason_are_refused() -> None:
    with pytest.raises(PacketError, match="bytes"):
        Parser(Publish).feed(b"\x30\xff\xff\xff\x7f", 7)
    with pytest.raises(PacketError, match="no packet"):
        Parser(Publish).feed(b"\x30\xff\xff\xff\xff\x7f", 7)


def test_connect_says_all_that_is_asked() -> None:
    will = packets.Will("t", b"gone", retain=True)
    data = packets.connect("me", 30, will, "user", "secret")
    assert data[:2] == bytes([0x10, len(data) - 2])
    assert data[2:10] == b"\x00\x04MQTT\x04" + bytes([0x80 | 0x40 | 0x20 | 0x08 | 0x04 | 0x02])
    assert struct.unpack(">H", data[10:12]) == (30,)
    assert data[12:] == b"\x00\x02me\x00\x01t\x00\x04gone\x00\x04user\x00\x06secret"


def test_a_head_and_its_payload_are_a_publish() -> None:
    payload = bytes(300)
    assert packets.publish_head("a/b", 300) + payload == packets.publish("a/b", payload)
    with pytest.raises(PacketError, match="bytes"):
        packets.publish_head("a/b", 268_435_455)


@pytest.mark.parametrize(("body", "code"), [(b"\0\0", 0), (b"\1\5", 5), (b"", 3)])
def test_a_connection_is_accepted_or_refused(body: bytes, code: int) -> None:
    [reply] = Parser(Publish).feed(bytes([0x20, len(body)]) + body, 7)
    assert isinstance(reply, Reply)
    assert reply.return_code == code
