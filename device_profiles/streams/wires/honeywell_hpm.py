"""Honeywell HPMA115S0 dust sensor: the frames that it sends each second, and its answers.

Sent by itself: 32 bytes ``42 4D 00 1C``, PM2.5 and PM10 in bytes 7 to 10, the sum of the first 30.
Answer to ``68 01 04 93``: ``40 05 04``, PM2.5, PM10, and a byte that makes the sum 0.
"""

from collections.abc import Mapping

from device_profiles.streams.framing import HeaderScanner
from device_profiles.streams.numbers import saturated
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_SENT, _ASKED = b"\x42\x4d\x00\x1c", b"\x40\x05\x04"


def _decode_frame(frame: bytes) -> FieldValues | DiscardReason:
    if frame.startswith(_ASKED):
        if sum(frame) & 0xFF:
            return DiscardReason.CHECKSUM
        data = frame[3:7]
    else:
        if sum(frame[:-2]) & 0xFFFF != int.from_bytes(frame[-2:], "big"):
            return DiscardReason.CHECKSUM
        data = frame[6:10]
    return {
        "pm2_5": float(int.from_bytes(data[:2], "big")),
        "pm10": float(int.from_bytes(data[2:], "big")),
    }


def _encode(fields: Mapping[str, float]) -> bytes:
    data = b"".join(
        saturated(fields.get(name, 0), 0, 0xFFFF).to_bytes(2, "big") for name in ("pm2_5", "pm10")
    )
    frame = _SENT + b"\0\0" + data + bytes(20)
    return frame + (sum(frame) & 0xFFFF).to_bytes(2, "big")


WIRE = Wire(
    fields={"pm2_5": "ug/m3", "pm10": "ug/m3"},
    scanner=lambda: HeaderScanner(
        (_SENT, _ASKED), 3, lambda start: 8 if start.startswith(_ASKED) else 32, _decode_frame
    ),
    encode=_encode,
    about="Honeywell HPMA115S0 dust sensor",
)
