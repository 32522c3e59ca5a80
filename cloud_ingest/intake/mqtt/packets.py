"""MQTT 3.1.1 packets, as far as the host needs them. No I/O: bytes in, packets out.

The host receives far more than it sends, nearly all of it small messages with QoS 0; a general
client spends most of the time of ingest on them. Reading whole blocks from the socket and cutting
them here costs a tenth of that.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from cloud_ingest.intake.mqtt.message import MqttMessage

CONNACK: Final = 2
PUBLISH: Final = 3
PUBACK: Final = 4
SUBACK: Final = 9
PINGRESP: Final = 13
PINGREQ_PACKET: Final = b"\xc0\x00"
DISCONNECT_PACKET: Final = b"\xe0\x00"
LARGEST_PACKET: Final = 32 * 1024 * 1024
_KNOWN_TOPICS: Final = 200_000

REFUSALS: Final = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not accept the client id",
    3: "it is not available",
    4: "user name or password are wrong",
    5: "not authorised",
}


class PacketError(Exception):
    """What arrives is not MQTT, or larger than anything that is meant for the host."""


class Arrived(NamedTuple):
    """A PUBLISH with QoS 1, to be acknowledged."""

    topic: str
    payload: bytes
    packet_id: int


class Answer(NamedTuple):
    """Any other packet: its type and body."""

    kind: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says when the connection is lost (QoS 1, retained)."""

    topic: str
    payload: bytes


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def _packet(first: int, body: bytes) -> bytes:
    length, out = len(body), bytearray([first])
    while True:
        length, byte = length >> 7, length & 0x7F
        out.append(byte | 0x80 if length else byte)
        if not length:
            return bytes(out) + body


def connect(
    client_id: str,
    keep_alive_s: int,
    will: Will | None = None,
    username: str | None = None,
    password: str | None = None,
) -> bytes:
    """CONNECT with a clean session."""
    flags, tail = 0x02, _text(client_id)
    if will is not None:
        flags |= 0x04 | 0x08 | 0x20  # a will, QoS 1, retained
        tail += _text(will.topic) + struct.pack(">H", len(will.payload)) + will.payload
    if username is not None:
        flags |= 0x80
        tail += _text(username)
        if password is not None:
            flags |= 0x40
            tail += _text(password)
    head = _text("MQTT") + bytes([4, flags]) + struct.pack(">H", keep_alive_s)
    return _packet(0x10, head + tail)


def subscribe(packet_id: int, filters: Sequence[str], qos: int = 1) -> bytes:
    """SUBSCRIBE to several filters."""
    wanted = b"".join(_text(f) + bytes([qos]) for f in filters)
    return _packet(0x82, struct.pack(">H", packet_id) + wanted)


def publish(topic: str, payload: bytes, *, packet_id: int = 0, retain: bool = False) -> bytes:
    """PUBLISH, with QoS 1 where there is a packet id."""
    first = 0x30 | (0x02 if packet_id else 0) | (0x01 if retain else 0)
    middle = struct.pack(">H", packet_id) if packet_id else b""
    return _packet(first, _text(topic) + middle + payload)


def puback(packet_id: int) -> bytes:
    """PUBACK."""
    return b"\x40\x02" + struct.pack(">H", packet_id)


class Parser:
    """Cuts a stream of bytes into packets, whatever pieces it comes in."""

    def __init__(self) -> None:
        self._rest = b""
        self._wanted = 0
        self._parts: list[bytes] = []
        self._topics: dict[bytes, str] = {}

    def feed(self, data: bytes, now_ms: int) -> list[MqttMessage | Arrived | Answer]:
        """The packets that are complete now; raises PacketError.

        What came with QoS 0, nearly everything, is a MqttMessage that arrived at ``now_ms``.
        """
        if self._wanted > len(data):  # in the middle of a large packet: join only at its end
            self._parts.append(data)
            self._wanted -= len(data)
            return []
        if self._parts:
            data = b"".join([*self._parts, data])
            self._parts = []
        elif self._rest:
            data = self._rest + data
        found: list[MqttMessage | Arrived | Answer] = []
        at, end, topics = 0, len(data), self._topics
        self._wanted = 0
        while end - at >= 2:
            length, body = data[at + 1], at + 2
            if length > 0x7F:
                if end - at > 2 and data[at + 2] < 0x80:  # two bytes of length, as most have
                    length, body = length & 0x7F | data[at + 2] << 7, at + 3
                else:
                    length, body = self._length(data, at)
                    if body == 0:
                        break
            after = body + length
            if after > end:
                self._wanted = after - end
                break
            if data[at] & 0xF6 == 0x30:  # a PUBLISH with QoS 0
                place = body + 2 + (data[body] << 8 | data[body + 1]) if length > 1 else after + 1
                if place > after:
                    raise PacketError("not MQTT: a message shorter than its topic")
                raw = data[body + 2 : place]
                topic = topics.get(raw) or self._new_topic(raw)
                found.append(MqttMessage(topic, data[place:after], now_ms))
            else:
                found.append(self._read(data, data[at], body, after))
            at = after
        self._rest = data[at:]
        if self._wanted:
            self._parts, self._rest = [self._rest], b""
        return found

    def _length(self, data: bytes, at: int) -> tuple[int, int]:
        """Remaining length and where the body begins; 0, 0 while the length is incomplete."""
        length = 0
        for i in range(4):
            place = at + 1 + i
            if place >= len(data):
                return 0, 0
            byte = data[place]
            length |= (byte & 0x7F) << (7 * i)
            if byte < 0x80:
                if length > LARGEST_PACKET:
                    raise PacketError(f"a packet of {length} bytes")
                return length, place + 1
        raise PacketError("not MQTT: no packet is that long")

    def _read(self, data: bytes, first: int, body: int, after: int) -> Arrived | Answer:
        if first >> 4 != PUBLISH:
            return Answer(first >> 4, data[body:after])
        if body + 2 > after:
            raise PacketError("not MQTT: a message without a topic")
        place = body + 2 + (data[body] << 8 | data[body + 1])
        raw = data[body + 2 : place]
        topic = self._topics.get(raw) or self._new_topic(raw)
        packet_id = data[place] << 8 | data[place + 1] if place + 2 <= after else 0
        if place + 2 > after:
            raise PacketError("not MQTT: a message shorter than its topic")
        return Arrived(topic, data[place + 2 : after], packet_id)

    def _new_topic(self, raw: bytes) -> str:
        if len(self._topics) >= _KNOWN_TOPICS:
            self._topics.clear()
        topic = self._topics[raw] = raw.decode("utf-8", "replace")
        return topic
