"""Exact arithmetic, so that an index does not depend on binary fractions."""

from decimal import Decimal
from fractions import Fraction
from math import floor

_PLACES = 6


def exact(value: float) -> Fraction:
    """The decimal number that ``value`` stands for, with six decimals: 25.25 is 25.25."""
    return Fraction(Decimal(repr(round(float(value), _PLACES))))


def round_half_up(value: Fraction) -> int:
    """The nearest whole number; halves are rounded up, unlike in ``round``."""
    return floor(value + Fraction(1, 2))


def truncate(value: Fraction, step: Fraction) -> Fraction:
    """The multiple of ``step`` at or below ``value``."""
    return floor(value / step) * step
