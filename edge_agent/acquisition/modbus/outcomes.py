"""What may come of a request, and what else may be seen on a line."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Event(StrEnum):
    """What may be seen on a line beside answers; named as the diagnostic counters."""

    CRC_ERROR = "crc_errors"
    SHORT_FRAME = "short_frames"
    FOREIGN_FRAME = "foreign_frames"
    LATE_REPLY = "late_replies"
    RESYNC = "resyncs"


Note = Callable[[Event, int], None]
"""Told of every event, and of the unit that it concerns."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply's PDU: function code and data, as asked for."""

    pdu: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """The device answered with an exception code.

    ``certain`` is False while the late refusal of an older request could look the same.
    """

    code: int
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Confused:
    """The byte stream of a TCP connection makes no sense any more; open a new one."""


Outcome = Answer | Refusal | Confused
