"""BSWA 308 and 309 sound level meters: ``02``, id, ``A``, values with commas, ``03``, exclusive or, CR LF.

Three answers are decoded: to ``DSL7`` (LAeq, LBeq, LCeq, LZeq, overload), to ``DLN`` (filter, detector, mode,
ten pairs of percentage and level, overload) and to ``DMA`` (filter, detector, mode, value, overload). Of the
last two only A-weighted values are used.
"""

import re
from collections.abc import Mapping

from device_profiles.streams.checksums import xor8
from device_profiles.streams.framing import EnvelopeScanner
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_STX, _ETX = 0x02, 0x03
_LEVEL = r"-?\d{3}\.\d"
_EQUIVALENT = re.compile(rf"({_LEVEL}),({_LEVEL}),({_LEVEL}),({_LEVEL}),([0-4])")
_STATISTIC = re.compile(rf"0,[0-2],0((?:,\d{{1,2}},{_LEVEL}){{10}}),([0-4])")
_MAIN = re.compile(rf"0,[0-2],([0-4]),({_LEVEL}),([0-4])")
_MODES = {"0": "spl", "1": "peak", "2": "laeq", "3": "lamax", "4": "lamin"}
_PERCENTILES = {"10": "la10", "20": "la20", "50": "la50", "90": "la90", "99": "la99"}


def _decode_frame(frame: bytes) -> FieldValues | DiscardReason:
    if xor8(frame[:-1]) != frame[-1]:
        return DiscardReason.CHECKSUM
    if frame[2:3] != b"A":
        return {}
    text = frame[3:-2].decode("latin-1")
    if match := _EQUIVALENT.fullmatch(text):
        a, _, c, z, state = match.groups()
        return {"laeq": float(a), "lceq": float(c), "lzeq": float(z), "overload": float(state)}
    if match := _STATISTIC.fullmatch(text):
        parts = match.group(1)[1:].split(",")
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return {_PERCENTILES[n]: float(level) for n, level in pairs if n in _PERCENTILES}
    if match := _MAIN.fullmatch(text):
        mode, level, state = match.groups()
        return {_MODES[mode]: float(level), "overload": float(state)}
    return {}


def _encode(fields: Mapping[str, float]) -> bytes:
    answers = []
    state = f"{fields.get('overload', 0):.0f}"
    if fields.keys() & {"laeq", "lceq", "lzeq", "overload"}:
        levels = [_level(fields.get(n, 60.0)) for n in ("laeq", "lceq", "lceq", "lzeq")]
        answers.append(",".join([*levels, state]))
    if fields.keys() & set(_PERCENTILES.values()):
        known = {n: fields[name] for n, name in _PERCENTILES.items() if name in fields}
        ten = ("10", "20", "30", "40", "50", "60", "70", "80", "90", "99")
        pairs = [f"{n},{_level(known.get(n, next(iter(known.values()))))}" for n in ten]
        answers.append(",".join(["0,0,0", *pairs, "0"]))
    for mode, name in _MODES.items():
        if name in fields and name != "laeq":
            answers.append(f"0,0,{mode},{_level(fields[name])},0")
    return b"".join(_framed(b"A" + answer.encode()) for answer in answers)


def _level(value: float) -> str:
    return f"{value:05.1f}"


def _framed(body: bytes) -> bytes:
    frame = bytes((_STX, 1)) + body + bytes((_ETX,))
    return frame + bytes((xor8(frame),)) + b"\r\n"


WIRE = Wire(
    fields={
        "laeq": "dB[A]",
        "lamax": "dB[A]",
        "lamin": "dB[A]",
        "spl": "dB[A]",
        **dict.fromkeys(_PERCENTILES.values(), "dB[A]"),
        "lceq": "dB",
        "lzeq": "dB",
        "peak": "dB",
        "overload": "1",
    },
    scanner=lambda: EnvelopeScanner(_STX, _ETX, _decode_frame, before=2, after=1, longest=200),
    encode=_encode,
    about="BSWA 308 and 309 sound level meters",
)
