"""Simulated Modbus devices for the benchmarks, each kind as a program of its own.

``python -m benchmarks.edge.modbus_devices tcp PORT`` answers any unit on a TCP port;
``python -m benchmarks.edge.modbus_devices line LINK BAUD [SILENT]`` answers on a pseudo-terminal as late
as a real line of that speed would; the unit SILENT does not.
"""

import asyncio
import os
import pty
import select
import sys
import time
import tty
from pathlib import Path

from edge_agent.acquisition.modbus.timing import LineTiming
from telemetry.crc import crc16, with_crc

_REGISTERS = b"".join((i * 7 % 5000).to_bytes(2, "big") for i in range(2048))


def registers(address: int, count: int) -> bytes:
    """The data of ``count`` registers."""
    start = 2 * (address % 1024)
    return _REGISTERS[start : start + 2 * count]


class _Server(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 12:
            frame, self._buffer = self._buffer[:12], self._buffer[12:]
            count = int.from_bytes(frame[10:12], "big")
            values = registers(int.from_bytes(frame[8:10], "big"), count)
            body = bytes((frame[6], frame[7], 2 * count)) + values
            self._transport.write(frame[:4] + len(body).to_bytes(2, "big") + body)


async def serve_tcp(port: int) -> None:
    """Answer every unit on a port, for ever."""
    server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", port)
    await server.serve_forever()


def serve_line(link: Path, baudrate: int, silent: int = 0) -> None:
    """Answer every unit on a pseudo-terminal that ``link`` leads to, with the wire's time."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    link.symlink_to(os.ttyname(slave))
    timing = LineTiming(baudrate)
    buffer = b""
    while True:
        select.select([master], [], [])
        arrived_s = time.monotonic()
        buffer += os.read(master, 4096)
        while len(buffer) >= 8:
            frame, buffer = buffer[:8], buffer[8:]
            if crc16(frame) or frame[0] == silent:
                continue
            count = int.from_bytes(frame[4:6], "big")
            data = registers(int.from_bytes(frame[2:4], "big"), count)
            reply = with_crc(frame[:2] + bytes((len(data),)) + data)
            due_s = arrived_s + (len(frame) + len(reply)) * timing.character_s + timing.gap_s
            _sleep_until(due_s)
            os.write(master, reply)


def _sleep_until(due_s: float) -> None:
    while (left_s := due_s - time.monotonic()) > 0:
        if left_s > 0.0004:
            time.sleep(left_s - 0.0003)


if __name__ == "__main__":
    if sys.argv[1] == "tcp":
        asyncio.run(serve_tcp(int(sys.argv[2])))
    else:
        serve_line(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) if sys.argv[4:] else 0)
