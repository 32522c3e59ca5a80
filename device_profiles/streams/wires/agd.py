"""AGD 315 traffic radars: ``0001917903,R,A,22: #T0:A,29,11,11.7,70.3`` and a carriage return.

``#T0:`` is followed by the direction (A advancing, R receding), the range in bins of 2 m, the
Doppler bin, the speed in the unit set in the radar, and the power. Only the first target of a
line is used.
"""

import re
from collections.abc import Mapping

from device_profiles.streams.framing import LineScanner
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_LINE = re.compile(
    rb"\d{1,10},[A-Z],[A-Z],\d{1,2}:[^#\r\n]{0,80}"
    rb"(?:#T\d{1,2}:([AR]),(\d{1,3}),(\d{1,3}),(\d{1,3}\.\d),(\d{1,3}\.\d)[^\r\n]{0,200})?"
)
_BIN_M = 2


def _decode_frame(line: bytes) -> FieldValues | DiscardReason:
    match = _LINE.fullmatch(line)
    if match is None:
        return DiscardReason.GARBAGE
    direction, range_bin, _, speed, power = match.groups()
    if direction is None:
        return {}
    value = float(speed)
    return {
        "speed": value,
        "inbound_speed" if direction == b"A" else "outbound_speed": value,
        "range": float(int(range_bin) * _BIN_M),
        "power": float(power),
    }


def _encode(fields: Mapping[str, float]) -> bytes:
    known = (fields[n] for n in ("speed", "inbound_speed", "outbound_speed") if n in fields)
    speed = max(0.0, min(999.0, next(known, 0.0)))
    direction = "R" if "outbound_speed" in fields else "A"
    range_bin = max(0, min(999, round(fields.get("range", 50.0) / _BIN_M)))
    power = max(0.0, min(999.0, fields.get("power", 65.0)))
    line = (
        f"0000000001,R,B,22: #T0:{direction},{range_bin},{round(speed)},{speed:.1f},{power:.1f}\r"
    )
    return line.encode()


WIRE = Wire(
    fields={
        "speed": None,
        "inbound_speed": None,
        "outbound_speed": None,
        "range": "m",
        "power": "1",
    },
    scanner=lambda: LineScanner(_decode_frame, end=b"\r", longest=320),
    encode=_encode,
    about="AGD 315 traffic radars",
    checked=False,
)
