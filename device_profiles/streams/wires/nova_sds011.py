"""Nova SDS011, SDS018, SDS021 and SDS198 dust sensors.

Ten bytes: ``AA C0``, PM2.5 and PM10 in 0.1 ug/m3 (low byte first), the sensor's number, the sum of
these six bytes, ``AB``. The SDS198 begins with ``AA CF`` and has one value, PM100 in 1 ug/m3.
"""

from collections.abc import Mapping

from device_profiles.streams.framing import HeaderScanner
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_LENGTH = 10
_USUAL, _REPLY, _COARSE = 0xC0, 0xC5, 0xCF


def _decode_frame(frame: bytes) -> FieldValues | DiscardReason:
    if frame[9] != 0xAB:
        return DiscardReason.GARBAGE
    if sum(frame[2:8]) & 0xFF != frame[8]:
        return DiscardReason.CHECKSUM
    first, second = int.from_bytes(frame[2:4], "little"), int.from_bytes(frame[4:6], "little")
    if frame[1] == _USUAL:
        return {"pm2_5": first / 10, "pm10": second / 10}
    return {"pm100": float(second)} if frame[1] == _COARSE else {}


def _encode(fields: Mapping[str, float]) -> bytes:
    if "pm100" in fields:
        kind, first, second = _COARSE, 0, round(fields["pm100"])
    else:
        kind = _USUAL
        first, second = (round(fields.get(name, 0) * 10) for name in ("pm2_5", "pm10"))
    data = b"".join(max(0, min(0xFFFF, v)).to_bytes(2, "little") for v in (first, second))
    data += b"\xa1\x60"
    return bytes((0xAA, kind)) + data + bytes((sum(data) & 0xFF, 0xAB))


WIRE = Wire(
    fields={"pm2_5": "ug/m3", "pm10": "ug/m3", "pm100": "ug/m3"},
    scanner=lambda: HeaderScanner(
        tuple(bytes((0xAA, kind)) for kind in (_USUAL, _REPLY, _COARSE)),
        2,
        lambda _: _LENGTH,
        _decode_frame,
    ),
    encode=_encode,
    about="Nova SDS dust sensors",
)
