"""Panasonic SN-GCJA5 dust sensor over UART (9600 8E1).

Thirty-two bytes: ``02``, three masses in 0.001 ug/m3 (32 bits, low byte first), six counts, a status,
the exclusive or of the bytes between, ``03``.
"""

import struct
from collections.abc import Mapping

from device_profiles.streams.checksums import xor8
from device_profiles.streams.framing import HeaderScanner
from device_profiles.streams.numbers import saturated
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_MASSES = ("pm1", "pm2_5", "pm10")
_COUNTS = (
    "particles_0_3", "particles_0_5", "particles_1", "particles_2_5", "particles_5",
    "particles_7_5",
)  # fmt: skip
# Two unused bytes lie between the third and the fourth count.
_BODY = struct.Struct("<3I3H2x3H2xB")


def _decode_frame(frame: bytes) -> FieldValues | DiscardReason:
    if frame[31] != 0x03:
        return DiscardReason.GARBAGE
    if xor8(frame[1:30]) != frame[30]:
        return DiscardReason.CHECKSUM
    values = _BODY.unpack(frame[1:30])
    return {
        **{name: v / 1000 for name, v in zip(_MASSES, values[:3], strict=True)},
        **dict(zip(_COUNTS, map(float, values[3:9]), strict=True)),
        "status": float(values[9]),
    }


def _encode(fields: Mapping[str, float]) -> bytes:
    masses = [saturated(fields.get(name, 0) * 1000, 0, 0xFFFFFFFF) for name in _MASSES]
    counts = [saturated(fields.get(name, 0), 0, 0xFFFF) for name in _COUNTS]
    body = _BODY.pack(*masses, *counts, round(fields.get("status", 0)) & 0xFF)
    return b"\x02" + body + bytes((xor8(body), 0x03))


WIRE = Wire(
    fields={
        **dict.fromkeys(_MASSES, "ug/m3"),
        **dict.fromkeys(_COUNTS, "1"),
        "status": "1",
    },
    scanner=lambda: HeaderScanner(b"\x02", 1, lambda _: 32, _decode_frame),
    encode=_encode,
    about="Panasonic SN-GCJA5 dust sensor",
)
