"""Plantower PMS1003, 3003, 5003, 7003, A003 in active mode, and PMS5003ST and T.

A frame is ``42 4D``, a length, 16-bit words (high byte first) and the sum of all bytes before it.
The variant 5003T has the same length as the 5003; its temperature and humidity are where the
5003 counts large particles, so the profile uses the fields ``temperature_t``/``humidity_t``.
"""

import struct
from collections.abc import Mapping

from device_profiles.streams.framing import HeaderScanner
from device_profiles.streams.numbers import saturated
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_MASSES = ("pm1_standard", "pm2_5_standard", "pm10_standard", "pm1", "pm2_5", "pm10")
_COUNTS = (
    "particles_0_3", "particles_0_5", "particles_1", "particles_2_5", "particles_5",
    "particles_10",
)  # fmt: skip
# length field: words of data
_ANSWER, _SHORT, _USUAL, _LONG = 4, 20, 28, 36


def _length(prefix: bytes) -> int:
    length = int.from_bytes(prefix[2:4], "big")
    return length + 4 if length in (_ANSWER, _SHORT, _USUAL, _LONG) else 0


def _decode_frame(frame: bytes) -> FieldValues | DiscardReason:
    if sum(frame[:-2]) & 0xFFFF != int.from_bytes(frame[-2:], "big"):
        return DiscardReason.CHECKSUM
    words = struct.unpack(f">{(len(frame) - 6) // 2}H", frame[4:-2])
    if len(words) < 6:
        return {}
    reading: dict[str, float | None] = dict(zip(_MASSES, words, strict=False))
    if len(frame) - 4 == _SHORT:
        return reading
    reading.update(zip(_COUNTS, words[6:12], strict=True))
    if len(frame) - 4 == _LONG:
        reading["formaldehyde"] = words[12] / 1000
        reading["temperature"] = _signed(words[13]) / 10
        reading["humidity"] = words[14] / 10
    else:
        reading["temperature_t"] = _signed(words[10]) / 10
        reading["humidity_t"] = words[11] / 10
        reading["error_code"] = words[12] & 0xFF
    return reading


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word


def _encode(fields: Mapping[str, float]) -> bytes:
    long = any(name in fields for name in ("formaldehyde", "temperature", "humidity"))
    words = [_word(fields.get(name, 0)) for name in (*_MASSES, *_COUNTS)]
    for atmospheric, standard in ((3, 0), (4, 1), (5, 2)):
        if _MASSES[standard] not in fields:
            words[standard] = words[atmospheric]
    if long:
        words.append(_word(fields.get("formaldehyde", 0) * 1000))
        words.append(_word(fields.get("temperature", 0) * 10))
        words.append(_word(fields.get("humidity", 0) * 10))
        words += [0, 0]
    else:
        if "temperature_t" in fields or "humidity_t" in fields:
            words[10] = _word(fields.get("temperature_t", 0) * 10)
            words[11] = _word(fields.get("humidity_t", 0) * 10)
        words.append(_word(fields.get("error_code", 0)) & 0xFF)
    frame = struct.pack(f">2sH{len(words)}H", b"\x42\x4d", 2 * len(words) + 2, *words)
    return frame + (sum(frame) & 0xFFFF).to_bytes(2, "big")


def _word(value: float) -> int:
    return saturated(value, -0x8000, 0xFFFF) & 0xFFFF


WIRE = Wire(
    fields={
        **dict.fromkeys(_MASSES, "ug/m3"),
        **dict.fromkeys(_COUNTS, "1"),
        "formaldehyde": "mg/m3",
        "temperature": "Cel",
        "humidity": "%",
        "temperature_t": "Cel",
        "humidity_t": "%",
        "error_code": "1",
    },
    scanner=lambda: HeaderScanner(b"\x42\x4d", 4, _length, _decode_frame),
    encode=_encode,
    about="Plantower dust sensors in active mode",
)
