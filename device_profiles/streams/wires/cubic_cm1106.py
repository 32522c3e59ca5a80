"""Cubic CM1106 and CM1107 CO2 modules, asked with ``11 01 01 ED``.

An answer is ``16``, its length, the command, data, and a byte that makes the sum 0.
"""

from collections.abc import Mapping

from device_profiles.streams.checksums import negated_sum8
from device_profiles.streams.framing import HeaderScanner
from device_profiles.streams.numbers import saturated
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_ACK = 0x16
_MEASURED = 0x01
_LONGEST = 16


def _length(prefix: bytes) -> int:
    return prefix[1] + 3 if 1 <= prefix[1] <= _LONGEST else 0


def _decode_frame(frame: bytes) -> FieldValues | DiscardReason:
    if sum(frame) & 0xFF:
        return DiscardReason.CHECKSUM
    if frame[2] != _MEASURED or frame[1] != 5:
        return {}
    return {"co2": float(int.from_bytes(frame[3:5], "big"))}


def _encode(fields: Mapping[str, float]) -> bytes:
    value = saturated(fields.get("co2", 0), 0, 0xFFFF)
    frame = bytes((_ACK, 5, _MEASURED)) + value.to_bytes(2, "big") + b"\0\0"
    return frame + bytes((negated_sum8(frame),))


WIRE = Wire(
    fields={"co2": "[ppm]"},
    scanner=lambda: HeaderScanner(bytes((_ACK,)), 2, _length, _decode_frame),
    encode=_encode,
    about="Cubic CM1106 CO2 modules",
)
