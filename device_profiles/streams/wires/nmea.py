"""NMEA 0183: positions (GGA, RMC), wind (MWV) and transducers (XDR), from any talker.

Sentences with a wrong checksum are discarded. Positions come only from GGA, since receivers send
the same position in RMC; RMC gives speed over ground and course. Values are converted to the units
of ``fields``. Transducers are numbered: ``temperature_0`` is ``C,…,C,0``.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from device_profiles.streams.checksums import xor8
from device_profiles.streams.framing import LineScanner
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_SENTENCE = re.compile(rb"\$([A-Z]{2})([A-Z]{3}),([\x20-\x7e]*)\*([0-9A-Fa-f]{2})")
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:\.\d{0,9})?")
_SPEEDS = {"M": 1.0, "K": 1 / 3.6, "N": 1852 / 3600, "S": 0.44704}

# transducer type: name, factors of the units it may have
_TRANSDUCERS: dict[str, tuple[str, dict[str, float]]] = {
    "H": ("humidity", {"P": 1.0}),
    "P": ("pressure", {"H": 1.0, "B": 1000.0, "P": 0.01, "M": 1.33322387415}),
    "V": ("rain", {"M": 1.0, "I": 25.4}),
    "Z": ("duration", {"s": 1.0, "S": 1.0}),
    "R": ("rain_rate", {"M": 1.0, "I": 25.4}),
    "U": ("voltage", {"V": 1.0, "N": 1.0}),
    "A": ("angle", {"D": 1.0}),
    "S": ("speed", _SPEEDS),
}
_IDS = "0123"
_UNITS = {
    "temperature": "Cel", "humidity": "%", "pressure": "hPa", "rain": "mm", "duration": "s",
    "rain_rate": "mm/h", "voltage": "V", "angle": "deg", "speed": "m/s",
}  # fmt: skip


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _position(parts: Sequence[str]) -> dict[str, float | None]:
    """Latitude and longitude from ``ddmm.mmm,N,dddmm.mmm,E``."""
    reading: dict[str, float | None] = {}
    for name, value, side, negative in (
        ("latitude", parts[0], parts[1], "S"),
        ("longitude", parts[2], parts[3], "W"),
    ):
        number = _number(value)
        if number is None or not side:
            reading[name] = None
            continue
        degrees = number // 100 + number % 100 / 60
        reading[name] = -degrees if side == negative else degrees
    return reading


def _gga(parts: Sequence[str]) -> FieldValues:
    if len(parts) < 9:
        return {}
    quality = _number(parts[5])
    nothing = {"latitude": None, "longitude": None, "altitude": None}
    fix: FieldValues = (
        nothing if not quality else {**_position(parts[1:5]), "altitude": _number(parts[8])}
    )
    return {
        **fix,
        "fix_quality": quality,
        "satellites": _number(parts[6]),
        "hdop": _number(parts[7]),
    }


def _rmc(parts: Sequence[str]) -> FieldValues:
    if len(parts) < 8:
        return {}
    if parts[1] != "A":
        return {"ground_speed": None, "course": None}
    speed = _number(parts[6])
    return {
        "ground_speed": None if speed is None else speed * _SPEEDS["N"],
        "course": _number(parts[7]),
    }


def _mwv(parts: Sequence[str]) -> FieldValues:
    if len(parts) < 5 or parts[3] not in _SPEEDS:
        return {}
    if parts[4] != "A":
        return {"wind_direction": None, "wind_speed": None}
    speed = _number(parts[2])
    return {
        "wind_direction": _number(parts[0]),
        "wind_speed": None if speed is None else speed * _SPEEDS[parts[3]],
    }


def _xdr(parts: Sequence[str]) -> FieldValues:
    reading: dict[str, float | None] = {}
    for kind, text, unit, transducer in zip(*(parts[i::4] for i in range(4)), strict=False):
        value = _number(text)
        if transducer not in _IDS or not transducer:
            continue
        if kind == "C" and unit in ("C", "F"):
            fahrenheit = unit == "F" and value is not None
            reading[f"temperature_{transducer}"] = (value - 32) * 5 / 9 if fahrenheit else value  # type: ignore[operator]  # fahrenheit implies a number
        elif kind in _TRANSDUCERS and unit in _TRANSDUCERS[kind][1]:
            name, factors = _TRANSDUCERS[kind]
            reading[f"{name}_{transducer}"] = None if value is None else value * factors[unit]
    return reading


_SENTENCES: dict[bytes, Callable[[Sequence[str]], FieldValues]] = {
    b"GGA": _gga, b"RMC": _rmc, b"MWV": _mwv, b"XDR": _xdr,
}  # fmt: skip


def _decode_frame(line: bytes) -> FieldValues | DiscardReason:
    match = _SENTENCE.fullmatch(line)
    if match is None:
        return DiscardReason.GARBAGE
    if xor8(line[1:-3]) != int(match.group(4), 16):
        return DiscardReason.CHECKSUM
    read = _SENTENCES.get(match.group(2))
    return read(match.group(3).decode("ascii").split(",")) if read else {}


_IN_GGA = {"latitude", "longitude", "altitude", "fix_quality", "satellites", "hdop"}


def _encode(fields: Mapping[str, float]) -> bytes:
    sentences = []
    latitude, longitude = fields.get("latitude", 0.0), fields.get("longitude", 0.0)
    position = (
        f"{_degrees(latitude, 2)},{'S' if latitude < 0 else 'N'},"
        f"{_degrees(longitude, 3)},{'W' if longitude < 0 else 'E'}"
    )
    if fields.keys() & _IN_GGA:
        sentences.append(
            f"GPGGA,000000,{position},"
            f"{fields.get('fix_quality', 1):.0f},{fields.get('satellites', 8):02.0f},"
            f"{fields.get('hdop', 1.0):.1f},{fields.get('altitude', 0.0):.1f},M,0.0,M,,"
        )
    if fields.keys() & {"ground_speed", "course"}:
        knots, course = fields.get("ground_speed", 0.0) / _SPEEDS["N"], fields.get("course", 0.0)
        sentences.append(f"GPRMC,000000,A,{position},{knots:.2f},{course:.1f},010126,,")
    if fields.keys() & {"wind_speed", "wind_direction"}:
        direction = f"{fields['wind_direction']:.0f}" if "wind_direction" in fields else ""
        speed = f"{fields['wind_speed']:.2f}" if "wind_speed" in fields else ""
        sentences.append(f"WIMWV,{direction},R,{speed},M,A")
    letters = {"temperature": ("C", "C")}
    letters |= {name: (kind, next(iter(units))) for kind, (name, units) in _TRANSDUCERS.items()}
    said = [
        f"{letters[name][0]},{fields[f'{name}_{transducer}']:.2f},{letters[name][1]},{transducer}"
        for name in _UNITS
        for transducer in _IDS
        if f"{name}_{transducer}" in fields
    ]
    sentences += ["WIXDR," + ",".join(said[i : i + 4]) for i in range(0, len(said), 4)]
    return b"".join(_framed(s.encode("ascii")) for s in sentences)


def _degrees(value: float, digits: int) -> str:
    minutes = round(abs(value) * 60, 5)
    return f"{int(minutes // 60):0{digits}d}{minutes % 60:08.5f}"


def _framed(sentence: bytes) -> bytes:
    return b"$" + sentence + b"*%02X\r\n" % xor8(sentence)


WIRE = Wire(
    fields={
        "latitude": "deg",
        "longitude": "deg",
        "altitude": "m",
        "fix_quality": "1",
        "satellites": "1",
        "hdop": "1",
        "ground_speed": "m/s",
        "course": "deg",
        "wind_speed": "m/s",
        "wind_direction": "deg",
        **{f"{name}_{transducer}": unit for name, unit in _UNITS.items() for transducer in _IDS},
    },
    scanner=lambda: LineScanner(_decode_frame, start=b"$"),
    encode=_encode,
    about="NMEA 0183 sentences GGA, RMC, MWV and XDR",
)
