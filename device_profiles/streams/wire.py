"""What a wire protocol is: how its bytes fall into frames, and what a frame says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

Reading = Mapping[str, float | None]
"""The values of one frame by field; None where the device says that it has none."""


class Fault(Enum):
    """Why bytes were thrown away."""

    GARBAGE = "garbage"
    CHECKSUM = "checksum"


@dataclass(frozen=True, slots=True)
class Step:
    """What the scanner made of the next bytes: ``consumed`` of them are done with (at least 1).

    A whole frame has a ``reading``, which is empty for frames that measure nothing.
    """

    consumed: int
    reading: Reading | None = None
    fault: Fault | None = None


class Scanner(Protocol):
    """Takes a stream apart. What it makes of bytes never depends on how they arrive."""

    def scan(self, buffer: bytearray, at: int) -> Step | None:
        """The next step from place ``at`` on; None as long as more bytes are needed."""
        ...


@dataclass(frozen=True, slots=True)
class Wire:
    """A wire protocol.

    ``fields`` are the values that a frame can hold, each with its UCUM unit, or None where the
    device's settings decide and the profile must say. ``encode`` makes one frame, as the device
    would; fields that are not given get an ordinary value or are left out.
    """

    fields: Mapping[str, str | None]
    scanner: Callable[[], Scanner]
    encode: Callable[[Mapping[str, float]], bytes]
    about: str = ""
    checked: bool = True
    """Whether frames carry a checksum."""
