"""Conversion of raw numbers to values without rounding errors of decimal scales."""

import math
from collections.abc import Callable, Iterable

Raw = int | float
ToValue = Callable[[Raw], float | None]


def linear(scale: float, offset: float) -> Callable[[Raw], float]:
    """``raw * scale + offset``. A scale of 1/10, 1/100 … divides instead, so 253 gives 25.3."""
    divisor = _whole(1 / scale)
    before = _whole(offset / scale)
    if divisor is not None and before is not None:
        if divisor == 1:
            return float if before == 0 else lambda raw: float(raw + before)
        if before == 0:
            return lambda raw: raw / divisor
        return lambda raw: (raw + before) / divisor
    if offset == 0:
        return lambda raw: raw * scale
    return lambda raw: raw * scale + offset


def value_converter(
    scale: float, offset: float, missing: Iterable[float], *, floats: bool
) -> ToValue:
    """A function from raw number to value; it gives None for the raw numbers in ``missing``.

    With ``floats`` it gives None for NaN and infinity, too.
    """
    value = linear(scale, offset)
    absent = {m for m in missing if not math.isnan(m)}
    if floats:
        absent |= {math.inf, -math.inf}

        def convert_float(raw: Raw) -> float | None:
            return None if raw != raw or raw in absent else value(raw)  # noqa: PLR0124  # NaN

        return convert_float
    if not absent:
        return value

    def convert(raw: Raw) -> float | None:
        return None if raw in absent else value(raw)

    return convert


def _whole(number: float) -> int | None:
    nearest = round(number)
    return nearest if abs(number - nearest) <= 1e-9 * max(1.0, abs(number)) else None
