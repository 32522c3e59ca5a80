"""The NowCast: a mean of the last twelve hours in which recent hours weigh more."""

from collections.abc import Sequence
from fractions import Fraction

from cloud_ingest.indices.exact import exact

HOURS = 12
_LOWEST_WEIGHT = Fraction(1, 2)


def nowcast(hours: Sequence[float | None]) -> Fraction | None:
    """The NowCast of hourly means, the newest first; None with less than two of the newest three.

    Decision 1459/QĐ-TCMT section 2 and the method of US EPA agree in this form: weights ``w**i`` with
    ``w = min/max``, at least 1/2, divided by the sum of the weights of the hours that exist. The text
    of the Decision for w = 1/2 lacks the division, which would give too low values where hours are
    missing. The normalised form is used for all weights.
    """
    recent = list(hours[:HOURS])
    if sum(h is not None for h in recent[:3]) < 2:
        return None
    there = [(i, exact(h)) for i, h in enumerate(recent) if h is not None]
    weight = weight_of([c for _, c in there])
    top = sum((weight**i * c for i, c in there), Fraction(0))
    return top / sum((weight**i for i, _ in there), Fraction(0))


def weight_of(values: Sequence[Fraction]) -> Fraction:
    """min/max of the hours that exist, at least 1/2; 1 where all of them are zero."""
    highest = max(values)
    if highest <= 0:
        return Fraction(1)
    return max(min(values) / highest, _LOWEST_WEIGHT)
