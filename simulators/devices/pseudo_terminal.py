"""A simulated serial port: a pseudo-terminal with a symbolic link of a fixed name."""

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
    """Ignore bytes until a receiver is set."""


class PseudoTerminal:
    """One end of a serial line; programs open ``link`` like /dev/ttyUSB0.

    ``received`` is called with the bytes that they write. Bytes that no program reads are lost when
    the buffer is full, as in a UART.
    """

    def __init__(self, link: Path) -> None:
        self.link = link
        self.received: Callable[[bytes], None] = _nobody
        self._master = -1
        self._slave = -1
        self._capacity = 2048

    @property
    def is_plugged_in(self) -> bool:
        """True if the port exists."""
        return self._master >= 0

    def plug_in(self) -> None:
        """Create the port. Must be called inside the running event loop."""
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
        """Remove the port, also for programs that have it open."""
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
        """Send bytes to the other end."""
        if not self.is_plugged_in:
            return
        if self._unread() > self._capacity:
            termios.tcflush(self._slave, termios.TCIFLUSH)
        with contextlib.suppress(BlockingIOError):
            os.write(self._master, data)

    def baudrate(self) -> int | None:
        """The rate set by the other end; None if it is not a standard rate."""
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
