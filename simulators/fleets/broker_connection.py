"""The connection of one gateway to the broker."""

import asyncio
from collections.abc import Callable

from simulators.fleets.node import KEEPALIVE_S, EdgeNode
from telemetry.mqtt_packets import PINGREQ_PACKET, PacketError, Parser, Publish
from telemetry.time.clock import utc_now_ms

_FULL = 1 << 20


class BrokerConnection(asyncio.Protocol):
    """Moves packets between a node and its socket; calls ``closed`` when the socket is closed."""

    __slots__ = ("_closed", "_parser", "last_sent_ms", "node", "transport")

    def __init__(self, node: EdgeNode, closed: Callable[[EdgeNode], None]) -> None:
        self.node = node
        self.transport: asyncio.Transport | None = None
        self.last_sent_ms = 0
        self._parser = Parser(Publish)
        self._closed = closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the CONNECT of the node."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        now = utc_now_ms()
        self.write(self.node.connect(now), now)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """The socket is closed, by either side."""
        self.transport = None
        self.node.lost()
        self._closed(self.node)

    def data_received(self, data: bytes) -> None:
        """Pass packets to the node and send its answers."""
        now = utc_now_ms()
        try:
            packets = self._parser.feed(data, now)
        except PacketError:
            self.abort()
            return
        for packet in packets:
            self.write(self.node.received(packet, now), now)
        if self.node.wants_close and self.transport is not None:
            self.transport.close()

    def write(self, data: bytes, now_ms: int) -> None:
        """Send packets."""
        if data and self.transport is not None and not self.transport.is_closing():
            self.last_sent_ms = now_ms
            self.transport.write(data)

    @property
    def is_full(self) -> bool:
        """True if the broker reads more slowly than this side sends."""
        return self.transport is not None and self.transport.get_write_buffer_size() > _FULL

    def keep_alive(self, now_ms: int) -> None:
        """Ping if nothing was sent for half the keep-alive time."""
        if now_ms - self.last_sent_ms > KEEPALIVE_S * 500:
            self.write(PINGREQ_PACKET, now_ms)

    def leave(self, now_ms: int) -> None:
        """Disconnect and close."""
        self.write(self.node.disconnect(now_ms), now_ms)
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Drop the connection as a power cut does; the broker sends the will."""
        if self.transport is not None:
            self.transport.abort()
