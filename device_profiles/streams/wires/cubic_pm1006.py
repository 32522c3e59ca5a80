"""Cubic PM1006, PM1006K: the dust sensor in IKEA's Vindriktning.

Twenty bytes that begin with ``16 11 0B`` and whose sum is 0; PM2.5 in the sixth and seventh.
"""

from collections.abc import Mapping

from device_profiles.streams.checksums import negated_sum8
from device_profiles.streams.framing import HeaderScanner
from device_profiles.streams.numbers import saturated
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_HEADER = b"\x16\x11\x0b"


def _decode_frame(frame: bytes) -> FieldValues | DiscardReason:
    if sum(frame) & 0xFF:
        return DiscardReason.CHECKSUM
    return {"pm2_5": float(int.from_bytes(frame[5:7], "big"))}


def _encode(fields: Mapping[str, float]) -> bytes:
    value = saturated(fields.get("pm2_5", 0), 0, 0xFFFF)
    frame = _HEADER + b"\0\0" + value.to_bytes(2, "big") + bytes(12)
    return frame + bytes((negated_sum8(frame),))


WIRE = Wire(
    fields={"pm2_5": "ug/m3"},
    scanner=lambda: HeaderScanner(_HEADER, 3, lambda _: 20, _decode_frame),
    encode=_encode,
    about="Cubic PM1006 dust sensors",
)
