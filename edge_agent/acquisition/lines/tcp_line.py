"""A TCP connection to a Modbus TCP device, a gateway or a serial server."""

import asyncio
import os
import socket

from edge_agent.acquisition.lines.descriptor_line import DescriptorLine
from edge_agent.acquisition.lines.line import BusUnavailable, LineReceiver

CONNECT_TIMEOUT_S = 5.0


async def open_tcp(host: str, port: int, receiver: LineReceiver) -> DescriptorLine:
    """Connect. Raises BusUnavailable."""
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connection = await _connect(host, port)
    except TimeoutError as error:
        message = f"cannot connect to {where}: no answer within {CONNECT_TIMEOUT_S:g} s"
        raise BusUnavailable(message) from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise BusUnavailable(f"cannot connect to {where}: {reason}") from error
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    closed = "the other side closed the connection"
    return DescriptorLine(connection.fileno(), where, closed, connection.close, receiver)


async def _connect(host: str, port: int) -> socket.socket:
    """Try the addresses of ``host`` in turn. Raises the OSError of the last one."""
    loop = asyncio.get_running_loop()
    refused = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        try:
            await loop.sock_connect(connection, address)
        except OSError as error:
            connection.close()
            refused = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise refused
