"""Atlas Scientific EZO circuits over UART: a number and a carriage return.

Circuits with several outputs (conductivity: EC, TDS, salinity, gravity) send them with commas.
Lines that begin with ``*`` or ``?`` answer commands and hold no measurement.
"""

import re
from collections.abc import Mapping

from device_profiles.streams.framing import LineScanner
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_NUMBERS = re.compile(rb"-?\d{1,7}(?:\.\d{1,4})?(?:,-?\d{1,7}(?:\.\d{1,4})?){0,3}")
_NAMES = ("value", "value_2", "value_3", "value_4")


def _decode_frame(line: bytes) -> FieldValues | DiscardReason:
    if line[:1] in (b"*", b"?"):
        return {}
    if not _NUMBERS.fullmatch(line):
        return DiscardReason.GARBAGE
    return dict(zip(_NAMES, map(float, line.split(b",")), strict=False))


def _encode(fields: Mapping[str, float]) -> bytes:
    said = [f"{fields[name]:.3f}" for name in _NAMES if name in fields]
    return ",".join(said).encode() + b"\r"


WIRE = Wire(
    fields=dict.fromkeys(_NAMES),
    scanner=lambda: LineScanner(_decode_frame, end=b"\r", longest=64),
    encode=_encode,
    about="Atlas Scientific EZO circuits",
    checked=False,
)
