"""A serial port: opened and set up by pyserial, then driven as a file by the event loop."""

import asyncio
import contextlib
import os
from dataclasses import dataclass

from serial import Serial, SerialException

from edge_agent.bus.line import BusLost, BusUnavailable, Receiver
from edge_agent.bus.ports import find_port

_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """How a port is to be set up; nothing is left open."""

    port: str
    baudrate: int = 9600
    bytesize: int = 8
    parity: str = "N"
    stopbits: int = 1


async def open_serial(settings: SerialSettings, receiver: Receiver) -> "SerialLine":
    """Open a port for this process alone. Raises BusUnavailable."""
    port = await asyncio.to_thread(_open, settings)
    return SerialLine(port, receiver, asyncio.get_running_loop())


def _open(settings: SerialSettings) -> Serial:
    path = find_port(settings.port)
    try:
        port = Serial(
            path,
            baudrate=settings.baudrate,
            bytesize=settings.bytesize,
            parity=settings.parity,
            stopbits=settings.stopbits,
            timeout=0,
            exclusive=True,
        )
    except (SerialException, OSError, ValueError) as error:
        raise BusUnavailable(f"cannot open {path}: {_reason(error)}") from error
    with contextlib.suppress(OSError, NotImplementedError, AttributeError, ValueError):
        port.set_low_latency_mode(True)  # an FTDI chip otherwise holds bytes back for 16 ms
    return port


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number:
        return os.strerror(number)
    text = str(error)
    return "another program is using it" if "lock" in text else text


class SerialLine:
    """An open serial port; what it brings goes to ``receiver``."""

    def __init__(self, port: Serial, receiver: Receiver, loop: asyncio.AbstractEventLoop) -> None:
        self._port = port
        self._fd: int = port.fileno()
        self._receiver = receiver
        self._loop = loop
        self._unsent = b""
        os.set_blocking(self._fd, False)
        loop.add_reader(self._fd, self._readable)

    def send(self, data: bytes) -> None:
        """Send ``data``; what the kernel does not take at once goes when it can."""
        if self._fd < 0:
            raise BusLost(f"{self._port.name} is closed")
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = os.write(self._fd, data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lose(error)
            raise BusLost(f"{self._port.name}: {error.strerror}") from error
        if sent < len(data):
            self._unsent = data[sent:]
            self._loop.add_writer(self._fd, self._writable)

    def close(self) -> None:
        """Close the port."""
        if self._fd < 0:
            return
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._fd = -1
        with contextlib.suppress(OSError, SerialException):
            self._port.close()

    def _writable(self) -> None:
        try:
            sent = os.write(self._fd, self._unsent)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._loop.remove_writer(self._fd)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if data:
            self._receiver.on_data(data)
        else:
            self._lose(None)

    def _lose(self, error: OSError | None) -> None:
        name = self._port.name
        why = os.strerror(error.errno) if error is not None and error.errno else "it hung up"
        self.close()
        self._receiver.on_lost(f"{name}: {why}")
