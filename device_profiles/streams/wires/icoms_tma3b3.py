"""ICOMS TMA-3B3 traffic counter, binary messages (parameter 50 = 121), one for each vehicle.

Nineteen bytes: ``02 99``, speed, length, time of day and date in BCD (the highest bit of the day:
receding), a running number, the range, the kind of detection, century and year, ``03``. There is no
checksum; a message with an invalid time is discarded.
"""

from collections.abc import Mapping

from device_profiles.streams.framing import HeaderScanner
from device_profiles.streams.numbers import saturated
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_HEADER = b"\x02\x99"
_ETX = 0x03
# second, minute, hour, day, month and year as numbers: position, lowest, highest
_TIMES = ((4, 0, 99), (5, 0, 59), (6, 0, 59), (7, 0, 24), (8, 1, 31), (9, 1, 12), (17, 0, 99))
_CENTURY = 0x20
_AWAY = 0x80


def _decode_frame(frame: bytes) -> FieldValues | DiscardReason:
    if frame[18] != _ETX or frame[16] != _CENTURY:
        return DiscardReason.GARBAGE
    for position, low, high in _TIMES:
        byte = frame[position] & ~_AWAY if position == 8 else frame[position]
        tens, ones = divmod(byte, 16)
        if tens > 9 or ones > 9 or not low <= 10 * tens + ones <= high:
            return DiscardReason.GARBAGE
    speed = float(frame[2])
    return {
        "speed": speed,
        "outbound_speed" if frame[8] & _AWAY else "inbound_speed": speed,
        "length": frame[3] / 10,
        "count": float(int.from_bytes(frame[10:13], "little")),
        "range": int.from_bytes(frame[13:15], "little") / 100,
    }


def _encode(fields: Mapping[str, float]) -> bytes:
    known = (fields[n] for n in ("speed", "inbound_speed", "outbound_speed") if n in fields)
    speed = saturated(next(known, 0), 0, 255)
    length = saturated(fields.get("length", 4.5) * 10, 0, 255)
    day = 0x01 | (_AWAY if "outbound_speed" in fields else 0)
    time = bytes((0x00, 0x00, 0x00, 0x12, day, 0x01))
    count = (round(fields.get("count", 0)) & 0xFFFFFF).to_bytes(3, "little")
    distance_cm = saturated(fields.get("range", 5.0) * 100, 0, 0xFFFF).to_bytes(2, "little")
    return (
        _HEADER + bytes((speed, length)) + time + count + distance_cm
        + bytes((1, _CENTURY, 0x26, _ETX))
    )  # fmt: skip


WIRE = Wire(
    fields={
        "speed": "km/h",
        "inbound_speed": "km/h",
        "outbound_speed": "km/h",
        "length": "m",
        "count": "1",
        "range": "m",
    },
    scanner=lambda: HeaderScanner(_HEADER, 2, lambda _: 19, _decode_frame),
    encode=_encode,
    about="ICOMS TMA-3B3 traffic counter, binary",
    checked=False,
)
