"""The NowCast: what the mean of the last twelve hours would be if it looked at now."""

from collections.abc import Sequence
from fractions import Fraction

from cloud_ingest.indices.exact import exact

HOURS = 12
_LOWEST_WEIGHT = Fraction(1, 2)


def nowcast(hours: Sequence[float | None]) -> Fraction | None:
    """The NowCast of hourly means, the newest first; None where it has no value.

    Decision 1459/QĐ-TCMT section 2 and US EPA's method agree in this form: weights ``w**i`` with
    ``w = min/max``, at least 1/2, divided by the sum of the weights of the hours that are there.
    The Decision's text for w = 1/2 drops that division; with missing hours it would then bias
    low, so the normalised form is used throughout. Two of the newest three hours must be there.
    """
    recent = list(hours[:HOURS])
    if sum(h is not None for h in recent[:3]) < 2:
        return None
    there = [(i, exact(h)) for i, h in enumerate(recent) if h is not None]
    weight = weight_of([c for _, c in there])
    top = sum((weight**i * c for i, c in there), Fraction(0))
    return top / sum((weight**i for i, _ in there), Fraction(0))


def nowcast_to_the_letter(hours: Sequence[float | None]) -> Fraction | None:
    """The Decision's formula word by word, without division at w = 1/2. For comparison only."""
    recent = list(hours[:HOURS])
    if sum(h is not None for h in recent[:3]) < 2:
        return None
    there = [(i, exact(h)) for i, h in enumerate(recent) if h is not None]
    weight = weight_of([c for _, c in there])
    if weight > _LOWEST_WEIGHT:
        return nowcast(hours)
    return sum((weight ** (i + 1) * c for i, c in there), Fraction(0))


def weight_of(values: Sequence[Fraction]) -> Fraction:
    """min/max of the hours that are there, at least 1/2; 1 where nothing was measured but zero."""
    highest = max(values)
    if highest <= 0:
        return Fraction(1)
    return max(min(values) / highest, _LOWEST_WEIGHT)
