"""A serial port that is none: a pseudo-terminal behind a link with a stable name."""

import asyncio
import contextlib
import fcntl
import os
import termios
import tty
from collections.abc import Callable
from pathlib import Path

_RATES = {
    getattr(termios, name): int(name[1:])
    for name in dir(termios)
    if name.startswith("B") and name[1:].isdigit()
}


def _nobody(_data: bytes) -> None:
    """Nobody listens yet."""


class PseudoTerminal:
    """One end of a serial line; programs open ``link`` as they would open /dev/ttyUSB0.

    ``received`` is called with what they write. Bytes that nobody reads are lost when the buffer is full,
    as they are in a UART.
    """

    def __init__(self, link: Path) -> None:
        self.link = link
        self.received: Callable[[bytes], None] = _nobody
        self._master = -1
        self._slave = -1
        self._capacity = 2048

    @property
    def is_plugged_in(self) -> bool:
        """Whether the port is there."""
        return self._master >= 0

    def plug_in(self) -> None:
        """Make the port appear. Call it inside the running event loop."""
        if self.is_plugged_in:
            return
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.link.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.link.with_name(f".{self.link.name}.{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        fresh.symlink_to(os.ttyname(self._slave))
        fresh.replace(self.link)
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def unplug(self) -> None:
        """Make the port disappear, for those too who have it open."""
        if not self.is_plugged_in:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        own = os.ttyname(self._slave)
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1
        with contextlib.suppress(OSError):
            if str(self.link.readlink()) == own:
                self.link.unlink()

    def send(self, data: bytes) -> None:
        """Let the other end receive bytes."""
        if not self.is_plugged_in:
            return
        if self._unread() > self._capacity:
            termios.tcflush(self._slave, termios.TCIFLUSH)
        with contextlib.suppress(BlockingIOError):
            os.write(self._master, data)

    def baudrate(self) -> int | None:
        """The rate that the other end has set; None where it is no usual one."""
        if not self.is_plugged_in:
            return None
        return _RATES.get(termios.tcgetattr(self._slave)[5])

    def _unread(self) -> int:
        answer = fcntl.ioctl(self._slave, termios.FIONREAD, b"\0\0\0\0")
        return int.from_bytes(answer, "little")

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            data = os.read(self._master, 4096)
            if data:
                self.received(data)
