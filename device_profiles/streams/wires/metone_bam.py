"""Met One BAM-1020 dust monitor: the line that it sends each hour.

``03/28/07 03:00:00, +00.027,+0.834``: date and time, concentration in mg/m3, sampled volume in m3.
"""

import re
from collections.abc import Mapping

from device_profiles.streams.framing import LineScanner
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_LINE = re.compile(
    rb"\d{2}/\d{2}/\d{2} \d{2}:\d{2}(?::\d{2})?, ?([+-]\d{2}\.\d{3}), ?([+-]\d{1,2}\.\d{3}).*"
)


def _decode_frame(line: bytes) -> FieldValues | DiscardReason:
    match = _LINE.fullmatch(line)
    if match is None:
        return DiscardReason.GARBAGE
    return {"concentration": float(match.group(1)), "volume": float(match.group(2))}


def _encode(fields: Mapping[str, float]) -> bytes:
    concentration, volume = fields.get("concentration", 0.0), fields.get("volume", 0.834)
    return f"01/01/26 00:00:00, {concentration:+07.3f},{volume:+06.3f}\r\n".encode()


WIRE = Wire(
    fields={"concentration": "mg/m3", "volume": "m3"},
    scanner=lambda: LineScanner(_decode_frame, longest=128),
    encode=_encode,
    about="Met One BAM-1020 dust monitor, hourly line",
    checked=False,
)
