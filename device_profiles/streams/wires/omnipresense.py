"""OmniPreSense OPS241/OPS243 radar: JSON lines, or plain speeds, depending on its settings.

A positive speed approaches the radar. ``speed`` is without direction; ``inbound_speed`` and
``outbound_speed`` appear for the direction of the vehicle. Speeds are in the unit set in the radar
(``UK`` km/h, ``UM`` m/s, ``US`` mph), which the profile must name. A speed of 0, which the radar
can send while nothing moves, is no measurement.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from device_profiles.streams.framing import LineScanner
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire

_PLAIN = re.compile(rb'(?:"[a-z]{1,5}",)?([+-]?\d{1,4}(?:\.\d{1,6})?)')


def _decode_frame(line: bytes) -> FieldValues | DiscardReason:
    if line.startswith(b"{"):
        return _json(line)
    match = _PLAIN.fullmatch(line)
    return _speed(float(match.group(1))) if match else DiscardReason.GARBAGE


def _json(line: bytes) -> FieldValues | DiscardReason:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return DiscardReason.GARBAGE
    if not isinstance(said, dict):
        return DiscardReason.GARBAGE
    reading: dict[str, float | None] = {}
    speed = _number(said.get("speed"))
    if speed is not None:
        if said.get("direction") == "outbound":
            speed = -abs(speed)
        reading.update(_speed(speed))
    for name in ("magnitude", "range"):
        number = _number(said.get(name))
        if number is not None:
            reading[name] = number
    return reading


def _number(said: Any) -> float | None:
    """A number, a number in quotes, or the first of a list; None for anything else."""
    if isinstance(said, list) and said:
        said = said[0]
    if isinstance(said, bool) or not isinstance(said, (int, float, str)):
        return None
    try:
        number = float(said)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _speed(velocity: float) -> dict[str, float | None]:
    if velocity == 0:
        return {}
    direction = "outbound_speed" if velocity < 0 else "inbound_speed"
    return {"velocity": velocity, "speed": abs(velocity), direction: abs(velocity)}


def _encode(fields: Mapping[str, float]) -> bytes:
    said: dict[str, str | float] = {}
    if "magnitude" in fields:
        said["magnitude"] = f"{fields['magnitude']:.0f}"
    velocity = fields.get("velocity", fields.get("inbound_speed", fields.get("speed")))
    if velocity is None and "outbound_speed" in fields:
        velocity = -fields["outbound_speed"]
    if velocity is not None:
        said["speed"] = f"{velocity:.2f}"
    if "range" in fields:
        said["range"] = f"{fields['range']:.2f}"
    return json.dumps(said, separators=(",", ":")).encode() + b"\r\n"


WIRE = Wire(
    fields={
        "speed": None,
        "velocity": None,
        "inbound_speed": None,
        "outbound_speed": None,
        "magnitude": "1",
        "range": "m",
    },
    scanner=lambda: LineScanner(_decode_frame, longest=512),
    encode=_encode,
    about="OmniPreSense OPS241/OPS243 radar, JSON or plain lines",
    checked=False,
)
