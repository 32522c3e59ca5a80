"""MQTT 3.1.1 packets as bytes, for a client with a clean session. No I/O.

The host's link and the simulated fleets use it. Both handle far more small messages than a general
client library takes in the same time: whole blocks are read from the socket and cut into packets
here. Once the host's link uses paho, this codec belongs to the simulators.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

from telemetry.varint import encode_varint

CONNACK: Final = 2
PUBLISH: Final = 3
PUBACK: Final = 4
SUBACK: Final = 9
PINGRESP: Final = 13
PINGREQ_PACKET: Final = b"\xc0\x00"
DISCONNECT_PACKET: Final = b"\xe0\x00"
LARGEST_PACKET: Final = 32 * 1024 * 1024
_LONGEST: Final = 268_435_455
_KNOWN_TOPICS: Final = 200_000

REFUSALS: Final = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not accept the client id",
    3: "it is not available",
    4: "user name or password are wrong",
    5: "not authorised",
}

Message = TypeVar("Message")


class PacketError(ValueError):
    """Bytes that are not MQTT, or a packet larger than the protocol or this program allows."""


class Publish(NamedTuple):
    """A PUBLISH that arrived at ``time_ms`` (UTC); ``packet_id`` is 0 for QoS 0."""

    topic: str
    payload: bytes
    time_ms: int
    packet_id: int = 0


class Reply(NamedTuple):
    """Any packet but a PUBLISH: its type and its body."""

    kind: int
    body: bytes

    @property
    def return_code(self) -> int:
        """The return code of a CONNACK, 0 if accepted; a CONNACK of wrong size is a refusal (3)."""
        return self.body[1] if len(self.body) == 2 else 3


@dataclass(frozen=True, slots=True)
class Will:
    """The message that the broker publishes with QoS 1 when the connection is lost."""

    topic: str
    payload: bytes
    retain: bool = False


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
        flags |= 0x04 | 0x08 | (0x20 if will.retain else 0)  # a will, QoS 1, retained
        tail += _text(will.topic) + _two_bytes(len(will.payload)) + will.payload
    if username is not None:
        flags |= 0x80
        tail += _text(username)
        if password is not None:
            flags |= 0x40
            tail += _text(password)
    head = _text("MQTT") + bytes([4, flags]) + _two_bytes(keep_alive_s)
    return _packet(0x10, head + tail)


def subscribe(packet_id: int, filters: Sequence[str], qos: int = 1) -> bytes:
    """SUBSCRIBE to several filters."""
    wanted = b"".join(_text(f) + bytes([qos]) for f in filters)
    return _packet(0x82, _two_bytes(packet_id) + wanted)


def publish(topic: str, payload: bytes, *, packet_id: int = 0, retain: bool = False) -> bytes:
    """PUBLISH with QoS 0, or with QoS 1 if there is a packet id."""
    first = 0x30 | (0x02 if packet_id else 0) | (0x01 if retain else 0)
    middle = _two_bytes(packet_id) if packet_id else b""
    return _packet(first, _text(topic) + middle + payload)


def publish_head(topic: str, payload_size: int) -> bytes:
    """What comes before the payload in a PUBLISH with QoS 0."""
    name = _text(topic)
    return b"\x30" + _remaining_length(len(name) + payload_size) + name


def puback(packet_id: int) -> bytes:
    """PUBACK."""
    return b"\x40\x02" + _two_bytes(packet_id)


class Parser(Generic[Message]):
    """Cuts a stream of bytes into packets, whatever pieces it comes in.

    ``message`` makes an object of each PUBLISH with QoS 0, nearly all that comes: it is called
    with topic, payload and time of arrival. ``Publish`` itself will do.
    """

    __slots__ = ("_message", "_parts", "_rest", "_topics", "_wanted")

    def __init__(self, message: Callable[[str, bytes, int], Message]) -> None:
        self._message = message
        self._rest = b""
        self._wanted = 0
        self._parts: list[bytes] = []
        self._topics: dict[bytes, str] = {}

    def feed(self, data: bytes, now_ms: int) -> list[Message | Publish | Reply]:
        """The packets that are complete after ``data`` arrived at ``now_ms``; raises PacketError."""
        if self._wanted > len(data):  # in the middle of a large packet: join only at its end
            self._parts.append(data)
            self._wanted -= len(data)
            return []
        if self._parts:
            data = b"".join([*self._parts, data])
            self._parts = []
        elif self._rest:
            data = self._rest + data
        found: list[Message | Publish | Reply] = []
        at, end, topics, message = 0, len(data), self._topics, self._message
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
                position = (
                    body + 2 + (data[body] << 8 | data[body + 1]) if length > 1 else after + 1
                )
                if position > after:
                    raise PacketError("not MQTT: a message shorter than its topic")
                raw = data[body + 2 : position]
                topic = topics.get(raw) or self._new_topic(raw)
                found.append(message(topic, data[position:after], now_ms))
            elif data[at] >> 4 == PUBLISH:
                found.append(self._acknowledged(data, body, after, now_ms))
            else:
                found.append(Reply(data[at] >> 4, data[body:after]))
            at = after
        self._rest = data[at:]
        if self._wanted:
            self._parts, self._rest = [self._rest], b""
        return found

    def _length(self, data: bytes, at: int) -> tuple[int, int]:
        """Remaining length and where the body begins; 0, 0 while the length is incomplete."""
        length = 0
        for i in range(4):
            position = at + 1 + i
            if position >= len(data):
                return 0, 0
            byte = data[position]
            length |= (byte & 0x7F) << (7 * i)
            if byte < 0x80:
                if length > LARGEST_PACKET:
                    raise PacketError(f"a packet of {length} bytes")
                return length, position + 1
        raise PacketError("not MQTT: no packet is that long")

    def _acknowledged(self, data: bytes, body: int, after: int, now_ms: int) -> Publish:
        """A PUBLISH with a packet id."""
        position = body + 2 + (data[body] << 8 | data[body + 1]) if body + 2 <= after else after
        if position + 2 > after:
            raise PacketError("not MQTT: a message shorter than its topic")
        raw = data[body + 2 : position]
        topic = self._topics.get(raw) or self._new_topic(raw)
        packet_id = data[position] << 8 | data[position + 1]
        return Publish(topic, data[position + 2 : after], now_ms, packet_id)

    def _new_topic(self, raw: bytes) -> str:
        if len(self._topics) >= _KNOWN_TOPICS:
            self._topics.clear()
        topic = self._topics[raw] = raw.decode("utf-8", "replace")
        return topic


def _two_bytes(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _text(text: str) -> bytes:
    data = text.encode()
    return _two_bytes(len(data)) + data


def _remaining_length(length: int) -> bytes:
    if length > _LONGEST:
        raise PacketError(f"a packet of {length} bytes")
    return encode_varint(length)


def _packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + _remaining_length(len(body)) + body
