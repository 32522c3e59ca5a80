"""Gill WindSonic in polar mode: ``<STX>Q,229,002.74,M,00,<ETX>16``.

The checksum is the exclusive or of the bytes between STX and ETX. A status other than 00 means
that the values must not be used. The direction is empty if there is almost no wind.
"""

import re
from collections.abc import Mapping

from device_profiles.streams.checksums import xor8
from device_profiles.streams.framing import LineScanner
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_FRAME = re.compile(
    rb"\x02(([A-Z]),(\d{3})?,([+-]?\d{3}\.\d{2})?,([MNPKF]),([0-9A-F]{2}),)\x03([0-9A-F]{2})"
)
_SPEEDS = {b"M": 1.0, b"N": 1852 / 3600, b"P": 0.44704, b"K": 1 / 3.6, b"F": 0.00508}
_GOOD = b"00"


def _decode_frame(line: bytes) -> FieldValues | DiscardReason:
    match = _FRAME.fullmatch(line)
    if match is None:
        return DiscardReason.GARBAGE
    body, _, direction, speed, unit, status, checksum = match.groups()
    if xor8(body) != int(checksum, 16):
        return DiscardReason.CHECKSUM
    if status != _GOOD:
        return {"wind_direction": None, "wind_speed": None, "status": float(int(status, 16))}
    return {
        "wind_direction": None if direction is None else float(direction),
        "wind_speed": None if speed is None else float(speed) * _SPEEDS[unit],
        "status": 0.0,
    }


def _encode(fields: Mapping[str, float]) -> bytes:
    direction = f"{round(fields['wind_direction']) % 360:03d}" if "wind_direction" in fields else ""
    speed = f"{fields['wind_speed']:06.2f}" if "wind_speed" in fields else ""
    body = f"Q,{direction},{speed},M,{round(fields.get('status', 0)):02X},".encode()
    return b"\x02" + body + b"\x03%02X\r\n" % xor8(body)


WIRE = Wire(
    fields={"wind_direction": "deg", "wind_speed": "m/s", "status": "1"},
    scanner=lambda: LineScanner(_decode_frame, start=b"\x02"),
    encode=_encode,
    about="Gill WindSonic wind sensors, polar mode",
)
