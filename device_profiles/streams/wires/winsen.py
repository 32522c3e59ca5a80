"""Winsen gas modules with a UART: MH-Z19 (CO2), ZE03, ZE07, ZE08, ZE25 and alike.

Nine bytes: ``FF``, seven bytes, and a byte that makes the sum of all but the first 0. Two forms:

* an answer to the request ``FF 01 86``: ``FF 86``, a number (``answer``); the MH-Z19 adds its
  temperature plus 40 in the fifth byte, other modules a second number (``answer_2``);
* sent each second in active mode: ``FF``, the gas, the unit (3 ppm, 4 ppb), the
  number of decimals, the concentration, full scale. ``concentration`` is in ppm.
"""

from collections.abc import Mapping

from device_profiles.streams.checksums import negated_sum8
from device_profiles.streams.framing import HeaderScanner
from device_profiles.streams.numbers import saturated
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_ANSWER = 0x86
_PPM, _PPB = 0x03, 0x04
_HIGHEST_GAS = 0x45


def _decode_frame(frame: bytes) -> FieldValues | DiscardReason:
    if negated_sum8(frame[1:8]) != frame[8]:
        return DiscardReason.CHECKSUM
    if frame[1] == _ANSWER:
        return {
            "answer": float(int.from_bytes(frame[2:4], "big")),
            "temperature": float(frame[4] - 40),
            "answer_2": float(int.from_bytes(frame[6:8], "big")),
        }
    if frame[1] <= _HIGHEST_GAS and frame[2] in (_PPM, _PPB) and frame[3] <= 3:
        number = int.from_bytes(frame[4:6], "big") / 10 ** frame[3]
        return {"concentration": number if frame[2] == _PPM else number / 1000}
    return {}


def _encode(fields: Mapping[str, float]) -> bytes:
    if "concentration" in fields:
        ppb = saturated(fields["concentration"] * 1000, 0, 0xFFFF)
        data = bytes((0x2A, _PPB, 0)) + ppb.to_bytes(2, "big") + b"\x27\x10"
    else:
        first, second = (
            saturated(fields.get(name, 0), 0, 0xFFFF).to_bytes(2, "big")
            for name in ("answer", "answer_2")
        )
        temperature = saturated(fields.get("temperature", 25) + 40, 0, 255)
        data = bytes((_ANSWER,)) + first + bytes((temperature, 0)) + second
    return b"\xff" + data + bytes((negated_sum8(data),))


WIRE = Wire(
    fields={"answer": None, "answer_2": None, "temperature": "Cel", "concentration": "[ppm]"},
    scanner=lambda: HeaderScanner(b"\xff", 1, lambda _: 9, _decode_frame),
    encode=_encode,
    about="Winsen gas modules, asked or in active mode",
)
