"""What every line to devices offers, whatever carries its bytes."""

from typing import Protocol


class BusError(Exception):
    """A line cannot be used; the text says which and why."""


class BusUnavailable(BusError):  # noqa: N818  # the word of the design
    """The line could not be opened."""


class BusLost(BusError):  # noqa: N818  # as above
    """The line was open and is gone: adapter pulled, connection closed."""


class Receiver(Protocol):
    """Who is told what a line brings; called in the event loop."""

    def on_data(self, data: bytes) -> None:
        """Bytes have come."""

    def on_lost(self, why: str) -> None:
        """The line is gone; nothing more will come."""


class Line(Protocol):
    """An open line."""

    def send(self, data: bytes) -> None:
        """Send all of ``data``; BusLost where that is not possible."""

    def close(self) -> None:
        """Close it; afterwards the receiver hears nothing."""
