"""Exact numbers: what an index says must not hang on binary fractions."""

from decimal import Decimal
from fractions import Fraction
from math import floor

_PLACES = 6


def exact(value: float) -> Fraction:
    """The decimal number that ``value`` stands for, to a millionth: 25.25 is 25.25."""
    return Fraction(Decimal(repr(round(float(value), _PLACES))))


def round_half_up(value: Fraction) -> int:
    """The nearest whole number; halves go up, as in school and not as in ``round``."""
    return floor(value + Fraction(1, 2))


def truncate(value: Fraction, step: Fraction) -> Fraction:
    """The multiple of ``step`` at or below ``value``."""
    return floor(value / step) * step
