"""A proxy between an MQTT client and its broker that writes down every packet of both."""

import contextlib
import socket
import threading
from dataclasses import dataclass

from telemetry.time.clock import utc_now_ms

NAMES = {1: "CONNECT", 2: "CONNACK", 3: "PUBLISH", 4: "PUBACK", 8: "SUBSCRIBE", 9: "SUBACK",
         10: "UNSUBSCRIBE", 11: "UNSUBACK", 12: "PINGREQ", 13: "PINGRESP", 14: "DISCONNECT"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Packet:
    """One MQTT packet. ``up``: from the client to the broker. Fields that its kind lacks are empty."""

    connection: int
    up: bool
    time_ms: int
    kind: str
    topic: str = ""
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    clean: bool = False
    level: int = 4
    expiry_s: int = 0
    client_id: str = ""
    has_will: bool = False
    filters: tuple[tuple[str, int], ...] = ()
    reason: int = 0


class Spy:
    """Listens on ``port``; ``packets`` grows as they pass."""

    def __init__(self, broker: int) -> None:
        self._broker = broker
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.packets: list[Packet] = []
        self._levels: dict[int, int] = {}
        self._connections = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End all connections."""
        ends, self._open = self._open, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    broker = socket.create_connection(("127.0.0.1", self._broker), 2)
                except OSError:
                    client.close()
                    continue
                broker.settimeout(None)
                self._connections += 1
                number = self._connections
                self._open += [client, broker]
                for source, sink, up in ((client, broker, True), (broker, client, False)):
                    threading.Thread(
                        target=self._pump, args=(source, sink, up, number), daemon=True
                    ).start()

    def _pump(self, source: socket.socket, sink: socket.socket, up: bool, number: int) -> None:
        held = b""
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                held += data
                while (size := _size(held)) and len(held) >= size:
                    packet, held = held[:size], held[size:]
                    self.packets.append(self._read(packet, up, number))
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _read(self, data: bytes, up: bool, number: int) -> Packet:
        now = utc_now_ms()
        kind, flags = NAMES.get(data[0] >> 4, "?"), data[0] & 15
        body = data[1 + _varint(data, 1)[1] :]
        if kind == "CONNECT":
            packet = _connect(body, up, number, now)
            self._levels[number] = packet.level
            return packet
        five = self._levels.get(number) == 5
        if kind == "PUBLISH":
            topic, at = _text(body, 0)
            qos = flags >> 1 & 3
            at += 2 if qos else 0
            at = _skip_properties(body, at) if five else at
            return Packet(number, up, now, kind, topic, body[at:], qos, bool(flags & 1))
        if kind == "SUBSCRIBE":
            at = _skip_properties(body, 2) if five else 2
            filters = []
            while at < len(body):
                topic, at = _text(body, at)
                filters.append((topic, body[at] & 3))
                at += 1
            return Packet(number, up, now, kind, filters=tuple(filters))
        reason = body[0] if kind == "DISCONNECT" and five and body else 0
        return Packet(number, up, now, kind, reason=reason)


def _size(data: bytes) -> int:
    """The length of the first packet; 0 where its header is not whole yet."""
    length, shift = 0, 0
    for i in range(1, min(5, len(data))):
        length |= (data[i] & 127) << shift
        shift += 7
        if data[i] < 128:
            return 1 + i + length
    return 0


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = n = 0
    while True:
        byte = data[at + n]
        value |= (byte & 127) << 7 * n
        n += 1
        if byte < 128:
            return value, n


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = at + 2 + int.from_bytes(data[at : at + 2], "big")
    return data[at + 2 : end].decode(), end


def _skip_properties(data: bytes, at: int) -> int:
    size, n = _varint(data, at)
    return at + n + size


def _connect(body: bytes, up: bool, number: int, now: int) -> Packet:
    _, at = _text(body, 0)
    level, flags = body[at], body[at + 1]
    at += 4
    expiry = 0
    if level == 5:
        size, n = _varint(body, at)
        properties = body[at + n : at + n + size]
        if properties[:1] == b"\x11":
            expiry = int.from_bytes(properties[1:5], "big")
        at += n + size
    client_id, at = _text(body, at)
    topic, payload = "", b""
    if flags & 4:
        at = _skip_properties(body, at) if level == 5 else at
        topic, at = _text(body, at)
        end = at + 2 + int.from_bytes(body[at : at + 2], "big")
        payload = body[at + 2 : end]
    return Packet(
        number, up, now, "CONNECT", topic, payload, flags >> 3 & 3, bool(flags & 32), bool(flags & 2),
        level, expiry, client_id, bool(flags & 4),
    )  # fmt: skip
