"""The outcomes of a request, and other events on a line."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class LineEvent(StrEnum):
    """Events on a line other than answers; the values are the names of the diagnostic counters."""

    CRC_ERROR = "crc_errors"
    SHORT_FRAME = "short_frames"
    FOREIGN_FRAME = "foreign_frames"
    LATE_REPLY = "late_replies"
    RESYNC = "resyncs"


Note = Callable[[LineEvent, int], None]
"""Is called with each event and the unit that it concerns."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The PDU of the answer: function code and data."""

    pdu: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """The device answered with an exception code.

    ``certain`` is False if it could be the late refusal of an older request.
    """

    code: int
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Confused:
    """The byte stream of a TCP connection cannot be read any more; a new one is needed."""


Outcome = Answer | Refusal | Confused
