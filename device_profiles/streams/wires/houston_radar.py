"""Houston Radar DR500 speed sensor: three digits a line, ``000`` or ``?000`` without a vehicle.

Speeds are in mph or km/h by the setting of the radar; ``+`` means approaching, if shown.
"""

import re
from collections.abc import Mapping

from device_profiles.streams.framing import LineScanner
from device_profiles.streams.numbers import saturated
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_LINE = re.compile(rb"([+-])?(\d{3})")


def _decode_frame(line: bytes) -> FieldValues | DiscardReason:
    match = _LINE.fullmatch(line.removeprefix(b"?"))
    if match is None:
        return DiscardReason.GARBAGE
    sign, digits = match.groups()
    speed = float(digits)
    if speed == 0 or line.startswith(b"?"):
        return {}
    reading: dict[str, float | None] = {"speed": speed}
    if sign is not None:
        reading["inbound_speed" if sign == b"+" else "outbound_speed"] = speed
    return reading


def _encode(fields: Mapping[str, float]) -> bytes:
    for name, sign in (("inbound_speed", b"+"), ("outbound_speed", b"-"), ("speed", b"")):
        if name in fields:
            return sign + b"%03d\r\n" % saturated(fields[name], 0, 999)
    return b"000\r\n"


WIRE = Wire(
    fields={"speed": None, "inbound_speed": None, "outbound_speed": None},
    scanner=lambda: LineScanner(_decode_frame, end=b"\r", longest=16),
    encode=_encode,
    about="Houston Radar DR500",
    checked=False,
)
