"""Svantek sound level meters: the answer to ``#2,1;``, such as ``#2,1,V0,T7,M52.92,R43.91,L(10)45.60;``.

R is Leq, M Lmax, N Lmin, S the level, P the peak, L(nn) the level exceeded nn % of the time, V overload. A
question mark instead of a value means that there is none. The weightings are set in the meter.
"""

import re
from collections.abc import Mapping

from device_profiles.streams.framing import LineScanner
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_ANSWER = re.compile(rb"#2(?:,[ia])?,[1-3]((?:,[^,;#]{1,40})+)")
_PART = re.compile(rb"([A-Za-z])(?:\((\d{1,3})\))?(\?|-?\d{1,4}(?:\.\d{1,2})?)")
_CODES = {
    b"R": "leq", b"M": "lmax", b"N": "lmin", b"S": "spl", b"P": "peak", b"V": "overload",
    b"v": "under_range",
}  # fmt: skip
_STATISTICS = {f"l{n:02d}": n for n in (1, 5, 10, 50, 90, 95, 99)}


def _decode_frame(line: bytes) -> FieldValues | DiscardReason:
    match = _ANSWER.fullmatch(line)
    if match is None:
        # Answers to other commands, and "#2,?" when there is no result yet.
        return {} if line.startswith(b"#") else DiscardReason.GARBAGE
    reading: dict[str, float | None] = {}
    for said in match.group(1)[1:].split(b","):
        part = _PART.fullmatch(said)
        if part is None:
            continue  # a date or time
        code, number, text = part.groups()
        name = f"l{int(number):02d}" if code == b"L" and number else _CODES.get(code)
        if name is not None and (name in _CODES.values() or name in _STATISTICS):
            reading[name] = None if text == b"?" else float(text)
    return reading


def _encode(fields: Mapping[str, float]) -> bytes:
    said = ["#2,1"]
    for code, name in _CODES.items():
        if name in fields:
            digits = 0 if name in ("overload", "under_range") else 2
            said.append(f"{code.decode()}{fields[name]:.{digits}f}")
    said += [f"L({n:02d}){fields[name]:.2f}" for name, n in _STATISTICS.items() if name in fields]
    return ",".join(said).encode() + b";"


WIRE = Wire(
    fields={
        **{name: None for name in _CODES.values() if name not in ("overload", "under_range")},
        **dict.fromkeys(_STATISTICS),
        "overload": "1",
        "under_range": "1",
    },
    scanner=lambda: LineScanner(_decode_frame, end=b";", longest=1024, start=b"#"),
    encode=_encode,
    about="Svantek sound level meters, function #2",
    checked=False,
)
