"""The timing of a serial line: how long bytes take, and sending them at that rate."""

import asyncio
import time
from dataclasses import dataclass

from simulators.devices.pseudo_terminal import PseudoTerminal

_HAND_OVER_S = 0.002


@dataclass(frozen=True, slots=True)
class LineSettings:
    """The settings of a serial line."""

    baudrate: int = 9600
    bytesize: int = 8
    parity: str = "N"
    stopbits: int = 1

    @property
    def byte_s(self) -> float:
        """The duration of one byte with start, parity and stop bits."""
        return (1 + self.bytesize + (self.parity != "N") + self.stopbits) / self.baudrate

    @property
    def silence_s(self) -> float:
        """The silence that ends a Modbus frame: 3.5 bytes, above 19,200 baud 1.75 ms."""
        return 0.00175 if self.baudrate > 19200 else 3.5 * self.byte_s


async def transmit(port: PseudoTerminal, settings: LineSettings, data: bytes) -> None:
    """Send bytes at the rate of the line: a byte arrives after its last bit."""
    began = time.monotonic()
    sent = 0
    while sent < len(data):
        due_s = began + (sent + 1) * settings.byte_s - time.monotonic()
        await asyncio.sleep(max(due_s, _HAND_OVER_S if sent else due_s))
        ready = int((time.monotonic() - began) / settings.byte_s)
        end = min(max(ready, sent + 1), len(data))
        port.send(data[sent:end])
        sent = end
