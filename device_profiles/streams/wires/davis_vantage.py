"""Davis Vantage Pro2 and Vue consoles: the LOOP packet (19,200 8N1), asked with ``LOOP 1``.

Ninety-nine bytes that begin with ``LOO``, low bytes first, then ``0A 0D`` and a CRC (high byte first)
that makes the CRC of all of them 0. Rain is counted in clicks; their size is in the profile.
"""

import struct
from collections.abc import Mapping

from device_profiles.streams.checksums import crc16_xmodem
from device_profiles.streams.framing import HeaderScanner
from device_profiles.streams.numbers import saturated
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_HEADER = b"LOO"
_LENGTH = 99
_LOOP = 0
_NO_WORD, _NO_UNSIGNED, _NO_BYTE = 0x7FFF, 0xFFFF, 0xFF

# field: position, struct code, raw numbers in one unit, unit, raw value without a sensor
_FIELDS: dict[str, tuple[int, str, float, str, int | None]] = {
    "pressure": (7, "<H", 1000, "[in_i'Hg]", 0),
    "inside_temperature": (9, "<h", 10, "[degF]", _NO_WORD),
    "inside_humidity": (11, "<B", 1, "%", _NO_BYTE),
    "temperature": (12, "<h", 10, "[degF]", _NO_WORD),
    "wind_speed": (14, "<B", 1, "[mi_i]/h", _NO_BYTE),
    "wind_speed_10min": (15, "<B", 1, "[mi_i]/h", _NO_BYTE),
    "wind_direction": (16, "<H", 1, "deg", 0),
    "humidity": (33, "<B", 1, "%", _NO_BYTE),
    "rain_rate_clicks": (41, "<H", 1, "1", _NO_UNSIGNED),
    "uv_index": (43, "<B", 10, "1", _NO_BYTE),
    "solar_irradiance": (44, "<H", 1, "W/m2", _NO_WORD),
    "day_rain_clicks": (50, "<H", 1, "1", None),
    "year_rain_clicks": (54, "<H", 1, "1", None),
}

_RANGES = {"<B": (0, 255), "<H": (0, 0xFFFF), "<h": (-0x8000, 0x7FFF)}


def _decode_frame(frame: bytes) -> FieldValues | DiscardReason:
    if crc16_xmodem(frame) != 0:
        return DiscardReason.CHECKSUM
    if frame[4] != _LOOP:
        return {}
    reading: dict[str, float | None] = {}
    for name, (position, code, divisor, _, nothing) in _FIELDS.items():
        (raw,) = struct.unpack_from(code, frame, position)
        reading[name] = None if raw == nothing else raw / divisor
    return reading


def _encode(fields: Mapping[str, float]) -> bytes:
    frame = bytearray(_LENGTH - 2)
    frame[:3] = _HEADER
    frame[95:97] = b"\n\r"
    for name, (position, code, divisor, _, nothing) in _FIELDS.items():
        low, high = _RANGES[code]
        raw = saturated(fields[name] * divisor, low, high) if name in fields else nothing or 0
        struct.pack_into(code, frame, position, raw)
    return bytes(frame) + crc16_xmodem(bytes(frame)).to_bytes(2, "big")


WIRE = Wire(
    fields={name: None if name.endswith("clicks") else row[3] for name, row in _FIELDS.items()},
    scanner=lambda: HeaderScanner(_HEADER, 3, lambda _: _LENGTH, _decode_frame),
    encode=_encode,
    about="Davis Vantage LOOP packets",
)
