"""The interface of a stream protocol: scanning frames, decoding and encoding them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

FieldValues = Mapping[str, float | None]
"""The values of one frame by field; None if the device has no reading."""


class DiscardReason(Enum):
    """Why bytes were discarded."""

    GARBAGE = "garbage"
    CHECKSUM = "checksum"


@dataclass(frozen=True, slots=True)
class ScanStep:
    """The result of a scan: ``consumed`` bytes (at least 1) and what they were.

    A valid frame has ``values``, which are empty if it holds no measurement.
    """

    consumed: int
    values: FieldValues | None = None
    discarded: DiscardReason | None = None


class Scanner(Protocol):
    """Cuts a stream into frames. The result must not depend on how the bytes are split."""

    def scan(self, buffer: bytearray, at: int) -> ScanStep | None:
        """The next step from position ``at``; None if more bytes are needed."""
        ...


@dataclass(frozen=True, slots=True)
class Wire:
    """A stream protocol.

    ``fields`` are the values in its frames, each with its UCUM unit, or None if the settings of
    the device decide and the profile must name it. ``encode`` makes a frame as the device would;
    fields that are not given get an ordinary value or are left out.
    """

    fields: Mapping[str, str | None]
    scanner: Callable[[], Scanner]
    encode: Callable[[Mapping[str, float]], bytes]
    about: str = ""
    checked: bool = True
    """True if frames have a checksum."""
