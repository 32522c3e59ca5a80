"""MaxBotix ultrasonic distance sensors: ``R1234`` and a carriage return, six to seven a second.

The unit depends on the model: millimetres with four or five digits, centimetres or inches with three.
"""

import re
from collections.abc import Mapping

from device_profiles.streams.framing import LineScanner
from device_profiles.streams.numbers import saturated
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_LINE = re.compile(rb"R(\d{3,5})")


def _decode_frame(line: bytes) -> FieldValues | DiscardReason:
    match = _LINE.fullmatch(line)
    return {"distance": float(match.group(1))} if match else DiscardReason.GARBAGE


def _encode(fields: Mapping[str, float]) -> bytes:
    return b"R%04d\r" % saturated(fields.get("distance", 0), 0, 9999)


WIRE = Wire(
    fields={"distance": None},
    scanner=lambda: LineScanner(_decode_frame, end=b"\r", longest=32),
    encode=_encode,
    about="MaxBotix ultrasonic distance sensors",
    checked=False,
)
