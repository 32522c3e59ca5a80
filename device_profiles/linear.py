"""From raw numbers to values and back, without the noise of binary fractions."""

import math
from collections.abc import Callable, Iterable

Raw = int | float
Finish = Callable[[Raw], float | None]


def linear(scale: float, offset: float) -> Callable[[Raw], float]:
    """``raw * scale + offset``; where the scale is 1/10, 1/100 …, divided, so 253 gives 25.3."""
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


def finisher(scale: float, offset: float, missing: Iterable[float], *, floats: bool) -> Finish:
    """What makes a value of a raw number: None for raw numbers that mean no reading.

    With ``floats`` a raw NaN or infinity means no reading, too.
    """
    value = linear(scale, offset)
    absent = {m for m in missing if not math.isnan(m)}
    if floats:
        absent |= {math.inf, -math.inf}

        def finish_float(raw: Raw) -> float | None:
            return None if raw != raw or raw in absent else value(raw)  # noqa: PLR0124  # NaN

        return finish_float
    if not absent:
        return value

    def finish(raw: Raw) -> float | None:
        return None if raw in absent else value(raw)

    return finish


def _whole(number: float) -> int | None:
    nearest = round(number)
    return nearest if abs(number - nearest) <= 1e-9 * max(1.0, abs(number)) else None
