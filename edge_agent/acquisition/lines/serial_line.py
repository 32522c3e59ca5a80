"""A serial port: opened and set up by pyserial, then read and written by the event loop."""

import asyncio
import contextlib
import os
from dataclasses import dataclass

from serial import Serial, SerialException

from edge_agent.acquisition.lines.descriptor_line import DescriptorLine
from edge_agent.acquisition.lines.line import BusUnavailable, LineReceiver
from edge_agent.acquisition.lines.ports import find_port


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """The complete settings of a port."""

    port: str
    baudrate: int = 9600
    bytesize: int = 8
    parity: str = "N"
    stopbits: int = 1


async def open_serial(settings: SerialSettings, receiver: LineReceiver) -> DescriptorLine:
    """Open a port exclusively. Raises BusUnavailable."""
    port = await asyncio.to_thread(_open, settings)

    def release() -> None:
        with contextlib.suppress(OSError, SerialException):
            port.close()

    return DescriptorLine(port.fileno(), str(port.name), "it hung up", release, receiver)


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
