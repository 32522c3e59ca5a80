"""ICOMS TMA speed radars: one line of text for each vehicle or measurement.

Forms (parameter 50 of the radar): 1 ``+045 km/h``, 2 ``045KI``, 3 ``+045``, 4 ``*S045``, 5 ``s045``,
6 ``+045 km/h 120 m``. A plus sign and ``I`` mean approaching. Forms without a unit count as km/h.
"""

import re
from collections.abc import Mapping

from device_profiles.streams.framing import LineScanner
from device_profiles.streams.numbers import saturated
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_SIGNED = re.compile(rb"([+-])(\d{3})(?: (km/h|mph)(?: (\d{3}) m)?)?")
_LETTERS = re.compile(rb"(\d{3})([KM])([IO])")
_BARE = re.compile(rb"(?:\*S|s)(\d{3})")
_MPH = 1.609344


def _decode_frame(line: bytes) -> FieldValues | DiscardReason:
    if match := _SIGNED.fullmatch(line):
        sign, speed, unit, distance = match.groups()
        reading = _speed(int(speed), miles=unit == b"mph", approaching=sign == b"+")
        return {**reading, "distance": float(distance)} if distance else reading
    if match := _LETTERS.fullmatch(line):
        speed, unit, direction = match.groups()
        return _speed(int(speed), miles=unit == b"M", approaching=direction == b"I")
    if match := _BARE.fullmatch(line):
        return {"speed": float(match.group(1))}
    return DiscardReason.GARBAGE


def _speed(speed: int, *, miles: bool, approaching: bool) -> dict[str, float | None]:
    value = speed * _MPH if miles else float(speed)
    return {"speed": value, "inbound_speed" if approaching else "outbound_speed": value}


def _encode(fields: Mapping[str, float]) -> bytes:
    sign = "-" if "outbound_speed" in fields else "+"
    known = (fields[n] for n in ("speed", "inbound_speed", "outbound_speed") if n in fields)
    line = f"{sign}{saturated(next(known, 0), 0, 999):03d} km/h"
    if "distance" in fields:
        line += f" {saturated(fields['distance'], 0, 999):03d} m"
    return line.encode() + b"\r\n"


WIRE = Wire(
    fields={
        "speed": "km/h",
        "inbound_speed": "km/h",
        "outbound_speed": "km/h",
        "distance": "m",
    },
    scanner=lambda: LineScanner(_decode_frame, longest=64),
    encode=_encode,
    about="ICOMS TMA speed radars, lines of text",
    checked=False,
)
