"""A TCP connection to a Modbus TCP device, a gateway or a serial server."""

import asyncio
import os
import socket

from edge_agent.bus.line import BusLost, BusUnavailable, Receiver

CONNECT_TIMEOUT_S = 5.0


async def open_tcp(host: str, port: int, receiver: Receiver) -> "TcpLine":
    """Connect. Raises BusUnavailable."""
    loop = asyncio.get_running_loop()
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, line = await loop.create_connection(lambda: TcpLine(where, receiver), host, port)
    except TimeoutError as error:
        message = f"cannot connect to {where}: no answer within {CONNECT_TIMEOUT_S:g} s"
        raise BusUnavailable(message) from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise BusUnavailable(f"cannot connect to {where}: {reason}") from error
    return line


class TcpLine(asyncio.Protocol):
    """An open connection; what it brings goes to ``receiver``."""

    def __init__(self, where: str, receiver: Receiver) -> None:
        self._where = where
        self._receiver = receiver
        self._transport: asyncio.Transport | None = None
        self._closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio has connected."""
        assert isinstance(transport, asyncio.Transport)  # a stream connection has no other
        self._transport = transport
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Asyncio has read."""
        if not self._closed:
            self._receiver.on_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio has lost the connection."""
        if not self._closed:
            self._closed = True
            self._receiver.on_lost(
                f"{self._where}: {exc or 'the other side closed the connection'}"
            )

    def send(self, data: bytes) -> None:
        """Send ``data``."""
        if self._closed or self._transport is None:
            raise BusLost(f"{self._where}: the connection is closed")
        self._transport.write(data)

    def close(self) -> None:
        """Close the connection at once."""
        self._closed = True
        if self._transport is not None:
            self._transport.abort()
