"""Durations in configuration files: ``200ms``, ``5s``, ``1.5m``, ``2h``, ``1d``."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

_FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)\s*")
_MS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_duration_ms(text: str) -> int:
    """A duration with its unit as whole milliseconds; ValueError if it has another form."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("write a duration with its unit, such as 200ms, 5s, 1m, 2h or 1d")
    return round(float(match.group(1)) * _MS[match.group(2)])


def format_duration(duration_ms: int) -> str:
    """``duration_ms`` in the largest unit that is exact: 90000 is ``90s``, 60000 is ``1m``."""
    for unit in ("d", "h", "m", "s"):
        if duration_ms and duration_ms % _MS[unit] == 0:
            return f"{duration_ms // _MS[unit]}{unit}"
    return f"{duration_ms}ms"


def _read(value: Any) -> Any:
    if isinstance(value, str):
        return parse_duration_ms(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value != 0:
        raise ValueError("a duration needs its unit, such as 200ms, 5s or 1m")
    return value


_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|min|h|d)\s*$"},
        {"const": 0},
    ]
}
DurationMs = Annotated[int, BeforeValidator(_read), Field(ge=0), WithJsonSchema(_SCHEMA)]
"""A pydantic field that accepts ``5s`` and holds 5000. Only 0 needs no unit."""
