"""The interface of every line to devices."""

from typing import Protocol


class BusError(Exception):
    """A line cannot be used; the text says which line and why."""


class BusUnavailable(BusError):  # noqa: N818  # the word of the design
    """The line could not be opened."""


class BusLost(BusError):  # noqa: N818  # as above
    """The open line is gone: adapter pulled, connection closed."""


class LineReceiver(Protocol):
    """Gets the bytes of a line; called in the event loop."""

    def on_data(self, data: bytes) -> None:
        """Bytes have arrived."""

    def on_lost(self, why: str) -> None:
        """The line is gone; no more calls follow."""


class Line(Protocol):
    """An open line."""

    def send(self, data: bytes) -> None:
        """Send all of ``data``. Raises BusLost."""

    def close(self) -> None:
        """Close it; the receiver is not called any more."""
