"""SM300D2 multi-sensor (CO2, formaldehyde, VOC, dust, temperature, humidity), 9600 8N1.

Seventeen bytes: ``3C 02``, five numbers (high byte first), temperature and humidity each as an
integer and a tenth, the sum of the bytes before.
"""

import struct
from collections.abc import Mapping

from device_profiles.streams.framing import HeaderScanner
from device_profiles.streams.numbers import saturated
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_HEADER = b"\x3c\x02"
_NAMES = ("co2", "formaldehyde", "voc", "pm2_5", "pm10")


def _decode_frame(frame: bytes) -> FieldValues | DiscardReason:
    if sum(frame[:16]) & 0xFF != frame[16]:
        return DiscardReason.CHECKSUM
    numbers = struct.unpack(">5H", frame[2:12])
    temperature = (frame[12] & 0x7F) + frame[13] / 10
    return {
        **dict(zip(_NAMES, map(float, numbers), strict=True)),
        "temperature": -temperature if frame[12] & 0x80 else temperature,
        "humidity": frame[14] + frame[15] / 10,
    }


def _encode(fields: Mapping[str, float]) -> bytes:
    numbers = [saturated(fields.get(name, 0), 0, 0xFFFF) for name in _NAMES]
    temperature = saturated(fields.get("temperature", 25.0) * 10, -1279, 1279)
    humidity = saturated(fields.get("humidity", 50.0) * 10, 0, 1000)
    whole, tenth = divmod(abs(temperature), 10)
    frame = _HEADER + struct.pack(">5H", *numbers)
    frame += bytes((whole | (0x80 if temperature < 0 else 0), tenth, *divmod(humidity, 10)))
    return frame + bytes((sum(frame) & 0xFF,))


WIRE = Wire(
    fields={
        "co2": "[ppm]",
        **dict.fromkeys(_NAMES[1:], "ug/m3"),
        "temperature": "Cel",
        "humidity": "%",
    },
    scanner=lambda: HeaderScanner(_HEADER, 2, lambda _: 17, _decode_frame),
    encode=_encode,
    about="SM300D2 multi-sensor",
)
