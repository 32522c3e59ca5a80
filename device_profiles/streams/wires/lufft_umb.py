"""Lufft UMB binary protocol: answers of WS weather sensors to a query of several channels.

``01 10``, to, from, length, ``02``, command, version, data, ``03``, a CRC (low byte first), ``04``. The answer to
command 2F has a status, the number of channels and for each its length, status, channel, type, value.
"""

import math
import struct
from collections.abc import Mapping

from device_profiles.streams.checksums import crc16_umb
from device_profiles.streams.framing import HeaderScanner
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_SOH, _VERSION, _STX, _ETX, _EOT = 0x01, 0x10, 0x02, 0x03, 0x04
_MULTI = 0x2F
_TYPES = {16: "<B", 17: "<b", 18: "<H", 19: "<h", 20: "<I", 21: "<i", 22: "<f", 23: "<d"}
_FLOAT = 22
# channel: field, unit
_CHANNELS: dict[int, tuple[str, str]] = {
    100: ("temperature", "Cel"),
    200: ("humidity", "%"),
    300: ("pressure", "hPa"),
    305: ("relative_pressure", "hPa"),
    400: ("wind_speed", "m/s"),
    440: ("wind_gust", "m/s"),
    460: ("wind_speed_mean", "m/s"),
    500: ("wind_direction", "deg"),
    580: ("wind_direction_mean", "deg"),
    620: ("rain", "mm"),
    700: ("precipitation_type", "1"),
}
_NUMBERS = {field: channel for channel, (field, _) in _CHANNELS.items()}


def _length(prefix: bytes) -> int:
    return prefix[6] + 12 if prefix[6] >= 2 and prefix[7] == _STX else 0


def _decode_frame(frame: bytes) -> FieldValues | DiscardReason:
    if frame[-1] != _EOT or frame[-4] != _ETX:
        return DiscardReason.GARBAGE
    if crc16_umb(frame[:-3]) != int.from_bytes(frame[-3:-1], "little"):
        return DiscardReason.CHECKSUM
    data = frame[10:-4]
    if frame[8] != _MULTI or len(data) < 2 or data[0] != 0:
        return {}
    reading: dict[str, float | None] = {}
    at = 2
    for _ in range(data[1]):
        part = data[at + 1 : at + 1 + data[at]] if at < len(data) else b""
        at += 1 + len(part)
        if len(part) < 3:
            break
        field = _CHANNELS.get(int.from_bytes(part[1:3], "little"), (None, ""))[0]
        if field is not None:
            reading[field] = _value(part)
    return reading


def _value(part: bytes) -> float | None:
    """The value of ``status, channel, type, value``; None if the status is an error."""
    code = _TYPES.get(part[3]) if len(part) > 3 else None
    if part[0] != 0 or code is None or len(part) < 4 + struct.calcsize(code):
        return None
    value = float(struct.unpack_from(code, part, 4)[0])
    return value if math.isfinite(value) else None


def _framed(to: int, sender: int, data: bytes) -> bytes:
    head = struct.pack("<BBHHBB", _SOH, _VERSION, to, sender, len(data), _STX)
    frame = head + data + bytes((_ETX,))
    return frame + struct.pack("<HB", crc16_umb(frame), _EOT)


def query(*channels: int, device: int = 0x7001) -> bytes:
    """The request for channels (at most 20) of a weather sensor."""
    data = struct.pack(f"<BBB{len(channels)}H", _MULTI, _VERSION, len(channels), *channels)
    return _framed(device, 0xF001, data)


def _encode(fields: Mapping[str, float]) -> bytes:
    parts = b"".join(
        struct.pack("<BBHBf", 8, 0, _NUMBERS[field], _FLOAT, value)
        for field, value in fields.items()
    )
    return _framed(0xF001, 0x7001, bytes((_MULTI, _VERSION, 0, len(fields))) + parts)


WIRE = Wire(
    fields=dict(_CHANNELS.values()),
    scanner=lambda: HeaderScanner(bytes((_SOH, _VERSION)), 8, _length, _decode_frame),
    encode=_encode,
    about="Lufft UMB weather sensors, binary",
)
