"""As much MQTT 3.1.1 as a gateway needs, as packets; thousands of full clients would be too heavy."""

from dataclasses import dataclass

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 2, 3, 4, 9, 13
PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"
_LONGEST = 268_435_455


class MqttError(ValueError):
    """Bytes that are no MQTT."""


@dataclass(frozen=True, slots=True)
class Received:
    """A packet from the broker. ``code`` is the reason of a CONNACK or SUBACK, else 0."""

    kind: int
    code: int = 0
    topic: str = ""
    payload: bytes = b""
    qos: int = 0
    packet_id: int = 0


def _length(size: int) -> bytes:
    if size > _LONGEST:
        raise MqttError(f"a packet of {size} bytes is too long")
    out = bytearray()
    while size > 127:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)


def _text(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return len(data).to_bytes(2, "big") + data


def connect(
    client_id: str,
    keepalive_s: int,
    will_topic: str,
    will: bytes,
    username: str | None = None,
    password: bytes | None = None,
) -> bytes:
    """CONNECT with a clean session and a will at QoS 1."""
    flags = 0x02 | 0x04 | 0x08
    body = _text(client_id) + _text(will_topic) + _text(will)
    if username is not None:
        flags |= 0x80
        body += _text(username)
        if password is not None:
            flags |= 0x40
            body += _text(password)
    head = b"\x00\x04MQTT\x04" + bytes((flags,)) + keepalive_s.to_bytes(2, "big")
    return b"\x10" + _length(len(head) + len(body)) + head + body


def subscribe(packet_id: int, filters: tuple[str, ...], qos: int = 1) -> bytes:
    """SUBSCRIBE to some filters at once."""
    body = packet_id.to_bytes(2, "big") + b"".join(_text(f) + bytes((qos,)) for f in filters)
    return b"\x82" + _length(len(body)) + body


def publish_head(topic: str, payload_size: int) -> bytes:
    """All of a PUBLISH at QoS 0 but the payload itself."""
    name = _text(topic)
    return b"\x30" + _length(len(name) + payload_size) + name


def publish(topic: str, payload: bytes, packet_id: int = 0) -> bytes:
    """PUBLISH at QoS 0, or at QoS 1 with a packet id."""
    if not packet_id:
        return publish_head(topic, len(payload)) + payload
    name = _text(topic) + packet_id.to_bytes(2, "big")
    return b"\x32" + _length(len(name) + len(payload)) + name + payload


def puback(packet_id: int) -> bytes:
    """PUBACK."""
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


class Receiver:
    """Finds packets in the bytes of one connection, however they are cut."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Received]:
        """Take bytes; give the packets they complete. MqttError where this is no MQTT."""
        data = self._rest + data if self._rest else data
        found = []
        at = 0
        while len(data) - at >= 2:
            size, shift, place = 0, 0, at + 1
            while place < len(data):
                byte = data[place]
                size |= (byte & 0x7F) << shift
                place += 1
                shift += 7
                if byte < 0x80:
                    break
                if shift > 21:
                    raise MqttError("the length of a packet does not end")
            else:
                break
            if place + size > len(data):
                break
            found.append(_packet(data[at], data[place : place + size]))
            at = place + size
        self._rest = data[at:]
        return found


def _packet(first: int, body: bytes) -> Received:
    kind = first >> 4
    try:
        if kind == PUBLISH:
            size = int.from_bytes(body[:2], "big")
            qos = first >> 1 & 3
            start = 2 + size + (2 if qos else 0)
            packet_id = int.from_bytes(body[2 + size : 4 + size], "big") if qos else 0
            return Received(
                kind, topic=body[2 : 2 + size].decode(), payload=body[start:], qos=qos,
                packet_id=packet_id,
            )  # fmt: skip
        if kind == CONNACK:
            return Received(kind, code=body[1])
        if kind in (PUBACK, SUBACK):
            code = max(body[2:], default=0) if kind == SUBACK else 0
            return Received(kind, code=code, packet_id=int.from_bytes(body[:2], "big"))
    except (IndexError, UnicodeDecodeError) as error:
        raise MqttError(f"a broken packet of kind {kind}") from error
    return Received(kind)
