"""Vaisala WXT510, WXT520 and WXT530 in ASCII: ``0R1,Dm=283D,Sm=1.0M`` and so on.

Each value has its unit; ``#`` instead of a unit marks an invalid value. Messages with a lower-case
letter (``0r1,``) end with a CRC of three characters as in SDI-12, which is checked.
"""

import re
from collections.abc import Mapping

from device_profiles.streams.checksums import crc16_sdi12
from device_profiles.streams.framing import LineScanner
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_HEAD = re.compile(rb"([0-9A-Za-z])([Rr])([0-5]),")
_PART = re.compile(r"([A-Z][a-z])=([\x20-\x7e]{0,40})")
_VALUE = re.compile(r"([+-]?\d{1,6}(?:\.\d{1,4})?)([A-Za-z#])")

_ANGLE = {"D": 1.0}
_SPEED = {"M": 1.0, "K": 1 / 3.6, "S": 0.44704, "N": 1852 / 3600}
_PRESSURE = {"H": 1.0, "P": 0.01, "B": 1000.0, "M": 1.33322387415, "I": 33.8638815789}
_LENGTH = {"M": 1.0, "I": 25.4}
_SECONDS = {"s": 1.0, "S": 1.0}
_VOLTS = {"V": 1.0, "N": 1.0, "W": 1.0, "F": 1.0}
_CEL: dict[str, float] = {"C": 1.0, "F": 0.0}
# name of the device: field, unit, factors (the first is what the encoder writes)
_FIELDS: dict[str, tuple[str, str, dict[str, float]]] = {
    "Dn": ("wind_direction_min", "deg", _ANGLE),
    "Dm": ("wind_direction", "deg", _ANGLE),
    "Dx": ("wind_direction_max", "deg", _ANGLE),
    "Sn": ("wind_speed_min", "m/s", _SPEED),
    "Sm": ("wind_speed", "m/s", _SPEED),
    "Sx": ("wind_speed_max", "m/s", _SPEED),
    "Ta": ("air_temperature", "Cel", _CEL),
    "Tp": ("internal_temperature", "Cel", _CEL),
    "Ua": ("relative_humidity", "%", {"P": 1.0}),
    "Pa": ("pressure", "hPa", _PRESSURE),
    "Rc": ("rain", "mm", _LENGTH),
    "Rd": ("rain_duration", "s", _SECONDS),
    "Ri": ("rain_rate", "mm/h", _LENGTH),
    "Rp": ("rain_rate_peak", "mm/h", _LENGTH),
    "Hd": ("hail_duration", "s", _SECONDS),
    "Th": ("heater_temperature", "Cel", _CEL),
    "Vh": ("heater_voltage", "V", _VOLTS),
    "Vs": ("supply_voltage", "V", _VOLTS),
    "Vr": ("reference_voltage", "V", _VOLTS),
}
_MESSAGES = {"D": 1, "S": 1, "T": 2, "U": 2, "P": 2, "R": 3, "H": 3, "V": 5}


def _decode_frame(line: bytes) -> FieldValues | DiscardReason:
    match = _HEAD.match(line)
    if match is None:
        return DiscardReason.GARBAGE
    if match.group(2) == b"r":
        if len(line) < match.end() + 3 or line[-3:] != _crc(line[:-3]):
            return DiscardReason.CHECKSUM
        line = line[:-3]
    reading: dict[str, float | None] = {}
    for part in line[match.end() :].decode("latin-1").split(","):
        named = _PART.fullmatch(part)
        if named is None:
            return DiscardReason.GARBAGE
        if named.group(1) not in _FIELDS:
            continue  # such as Id=HEL/___, a text
        field, _, factors = _FIELDS[named.group(1)]
        found = _VALUE.fullmatch(named.group(2))
        if found is None:
            return DiscardReason.GARBAGE
        number, unit = found.groups()
        if unit == "#":
            reading[field] = None
        elif factors is _CEL and unit == "F":
            reading[field] = (float(number) - 32) * 5 / 9
        elif unit in factors:
            reading[field] = float(number) * factors[unit]
    return reading


def _crc(data: bytes) -> bytes:
    crc = crc16_sdi12(data)
    return bytes((0x40 | crc >> 12, 0x40 | crc >> 6 & 0x3F, 0x40 | crc & 0x3F))


def _encode(fields: Mapping[str, float]) -> bytes:
    messages: dict[int, list[str]] = {}
    for key, (field, _, factors) in _FIELDS.items():
        if field in fields:
            number = 5 if key == "Th" else _MESSAGES[key[0]]
            digits = 0 if key[0] == "D" or factors is _SECONDS else 2
            said = f"{key}={fields[field]:.{digits}f}{next(iter(factors))}"
            messages.setdefault(number, []).append(said)
    return b"".join(
        f"0R{number},{','.join(said)}\r\n".encode() for number, said in sorted(messages.items())
    )


WIRE = Wire(
    fields={field: unit for field, unit, _ in _FIELDS.values()},
    scanner=lambda: LineScanner(_decode_frame),
    encode=_encode,
    about="Vaisala WXT weather transmitters in ASCII",
    checked=False,
)
