"""DFRobot Gravity gas modules (SEN0465 to SEN0476) over UART, asked with ``FF 01 86``.

An answer has nine bytes: ``FF 86``, the concentration, the gas, the number of decimals, two more bytes,
and a byte that makes the sum of bytes 2 to 7 and itself 0. (No checksum covers the eighth byte.)
"""

from collections.abc import Mapping

from device_profiles.streams.checksums import negated_sum8
from device_profiles.streams.framing import HeaderScanner
from device_profiles.streams.numbers import saturated
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_HEADER = b"\xff\x86"
_GASES = {
    0x02: "nh3",
    0x03: "h2s",
    0x04: "co",
    0x05: "oxygen",
    0x2A: "o3",
    0x2B: "so2",
    0x2C: "no2",
}
_CODES = {name: code for code, name in _GASES.items()}


def _decode_frame(frame: bytes) -> FieldValues | DiscardReason:
    if negated_sum8(frame[1:7]) != frame[8]:
        return DiscardReason.CHECKSUM
    gas = _GASES.get(frame[4])
    if gas is None or frame[5] > 2:
        return {}
    return {gas: int.from_bytes(frame[2:4], "big") / 10 ** frame[5]}


def _encode(fields: Mapping[str, float]) -> bytes:
    frames = b""
    for gas, value in fields.items():
        number = saturated(value * 100, 0, 0xFFFF).to_bytes(2, "big")
        body = _HEADER + number + bytes((_CODES[gas], 2, 0))
        frames += body + bytes((0, negated_sum8(body[1:])))
    return frames


WIRE = Wire(
    fields={gas: "%" if gas == "oxygen" else "[ppm]" for gas in _CODES},
    scanner=lambda: HeaderScanner(_HEADER, 2, lambda _: 9, _decode_frame),
    encode=_encode,
    about="DFRobot Gravity gas modules",
)
