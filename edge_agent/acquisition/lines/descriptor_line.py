"""A line over a file descriptor: a serial port or a TCP connection."""

import asyncio
import errno
import os
from collections.abc import Callable

from edge_agent.acquisition.lines.line import BusLost, LineReceiver

_CHUNK = 4096
_HANG_UPS = (errno.EPIPE, errno.ECONNRESET)
"""Errors that mean nothing but that the other side has closed."""


class DescriptorLine:
    """Reads and writes an open descriptor with the event loop; ``receiver`` gets the bytes.

    ``hung_up`` is the reason when the other side closes; ``release`` closes the descriptor.
    """

    def __init__(
        self, fd: int, name: str, hung_up: str, release: Callable[[], None], receiver: LineReceiver
    ) -> None:
        self._fd = fd
        self._name = name
        self._hung_up = hung_up
        self._release = release
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._unsent = b""
        self._end = f"{name} is closed"
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._readable)

    def send(self, data: bytes) -> None:
        """Send ``data``; what the kernel does not take now is sent later. Raises BusLost."""
        if self._fd < 0:
            raise BusLost(self._end)
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = os.write(self._fd, data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lose(error)
            raise BusLost(self._end) from error
        if sent < len(data):
            self._unsent = data[sent:]
            self._loop.add_writer(self._fd, self._writable)

    def close(self) -> None:
        """Close the descriptor; the receiver is not called any more."""
        if self._fd < 0:
            return
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._fd = -1
        self._release()

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
        number = 0 if error is None else error.errno
        why = os.strerror(number) if number and number not in _HANG_UPS else self._hung_up
        self._end = f"{self._name}: {why}"
        self.close()
        self._receiver.on_lost(self._end)
