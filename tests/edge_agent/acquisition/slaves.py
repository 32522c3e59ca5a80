"""Devices for tests: Modbus slaves behind real pseudo-terminals, and independent pymodbus servers."""

import asyncio
import contextlib
import os
import pty
import select
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from telemetry.crc import crc16, with_crc
from tests.servers import accepts, free_port, wait_until

Registers = dict[int, int]
Reply = Callable[["PtySlave", bytes], bytes | None]


class PtySlave:
    """RTU slaves on one pseudo-terminal: ``units`` maps a unit to its registers.

    ``answer`` may be replaced to misbehave. ``requests`` keeps every valid request frame.
    """

    def __init__(self, units: dict[int, Registers], link: Path | None = None) -> None:
        self.units = units
        self.requests: list[bytes] = []
        self.silent: set[int] = set()
        self.answer: Reply = lambda slave, frame: slave.honest(frame)
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        if link is not None:
            with contextlib.suppress(FileNotFoundError):
                link.unlink()
            link.symlink_to(self.port)
            self.port = str(link)
        self._end_read, self._end_write = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def honest(self, frame: bytes) -> bytes | None:
        """The right reply to a read; None for a unit that is not here."""
        unit, function = frame[0], frame[1]
        if unit not in self.units or unit in self.silent:
            return None
        address, count = int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
        registers = self.units[unit]
        if function not in (3, 4):
            return with_crc(bytes((unit, function | 0x80, 1)))
        wanted = range(address, address + count)
        if any(a not in registers for a in wanted):
            return with_crc(bytes((unit, function | 0x80, 2)))
        data = b"".join(registers[a].to_bytes(2, "big") for a in wanted)
        return with_crc(bytes((unit, function, len(data))) + data)

    def send(self, data: bytes) -> None:
        os.write(self._master, data)

    def unplug(self) -> None:
        """The adapter vanishes: both ends are gone."""
        self.close()

    def close(self) -> None:
        if self._thread.is_alive():
            os.write(self._end_write, b"x")
            self._thread.join(5)
            for fd in (self._master, self._slave, self._end_read, self._end_write):
                with contextlib.suppress(OSError):
                    os.close(fd)

    def _run(self) -> None:
        buffer = b""
        while True:
            ready, _, _ = select.select([self._master, self._end_read], [], [])
            if self._end_read in ready:
                return
            buffer += os.read(self._master, 4096)
            while len(buffer) >= 8:
                frame, buffer = buffer[:8], buffer[8:]
                if crc16(frame):
                    buffer = b""
                    continue
                self.requests.append(frame)
                reply = self.answer(self, frame)
                if reply:
                    self.send(reply)


class Pty:
    """A pseudo-terminal whose far end a test writes to: a device that speaks by itself."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.port = os.ttyname(self.slave)

    def send(self, data: bytes) -> None:
        os.write(self.master, data)

    def close(self) -> None:
        for fd in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(fd)


class _Loop:
    """An event loop in a thread, for servers that need one."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: object) -> object:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)  # type: ignore[arg-type]

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


def _device(unit: int, address: int, registers: list[int]) -> SimDevice:
    return SimDevice(unit, SimData(address, values=registers, datatype=DataType.REGISTERS))


@contextlib.contextmanager
def pymodbus_tcp(
    unit: int, address: int, registers: list[int], port: int | None = None
) -> Iterator[int]:
    """An independent Modbus TCP server with registers in one place; its port."""
    thread, port = _Loop(), port or free_port()

    async def start() -> ModbusTcpServer:
        server = ModbusTcpServer(
            _device(unit, address, registers), framer=FramerType.SOCKET, address=("127.0.0.1", port)
        )
        await server.serve_forever(background=True)
        return server

    server = thread.run(start())
    wait_until(lambda: accepts(port), what="pymodbus listens")
    try:
        yield port
    finally:
        thread.run(server.shutdown())  # type: ignore[attr-defined]
        thread.close()


@contextlib.contextmanager
def pymodbus_rtu(unit: int, address: int, registers: list[int]) -> Iterator[str]:
    """An independent RTU slave; the port on which a master finds it."""
    near, far = Pty(), Pty()
    stop = threading.Event()

    def carry() -> None:
        ends = {near.master: far.master, far.master: near.master}
        while not stop.is_set():
            for fd in select.select(list(ends), [], [], 0.1)[0]:
                os.write(ends[fd], os.read(fd, 4096))

    thread, carrier = _Loop(), threading.Thread(target=carry, daemon=True)
    carrier.start()

    async def start() -> ModbusSerialServer:
        server = ModbusSerialServer(
            _device(unit, address, registers), framer=FramerType.RTU, port=far.port, baudrate=9600
        )
        await server.serve_forever(background=True)
        return server

    server = thread.run(start())
    try:
        yield near.port
    finally:
        thread.run(server.shutdown())  # type: ignore[attr-defined]
        stop.set()
        carrier.join(5)
        thread.close()
        near.close()
        far.close()
