"""Slow means in two bytes each, as distances from a centre in a unit of the series' own.

Half precision has eleven bits: a slow mean moves by less than one step of that and would stand
still. So numbers are rounded up or down by chance, in proportion to how near either is: what is
lost in one step is made up for in others, and the mean follows on average. Chance is a function
of the time of the sample, so the same samples still give the same means.

The unit is a power of two that is set by the first distance seen and widened where one does not
fit; so any scale of values will do, and what half precision can hold exactly stays exact.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from telemetry.batches import Bool, Float64, Int64

REACH = 30_000.0
"""The largest distance in units: twice of it, between two such, still fits."""

CHANCES = 8192
_WIDENED = 2.0**-13  # of the distance that did not fit
_LEAST_UNIT = 2.0**-100
_DROPPED = np.uint32(0x1FFF)  # bits of a float32 that half precision lacks
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def chance_of(time_ms: Int64) -> NDArray[np.uint32]:
    """For each time a number from 0 to 8,191, evenly spread over any regular times."""
    mixed = time_ms.astype(np.uint64) * _GOLDEN
    mixed ^= mixed >> np.uint64(29)
    mixed *= _GOLDEN
    return (mixed >> np.uint64(51)).astype(np.uint32)


def packed(value: Float64, unit: Float64, chance: NDArray[np.uint32]) -> NDArray[np.float16]:
    """StateTable of at most twice REACH units, in half precision."""
    bits = (value / unit).astype(np.float32).view(np.uint32)
    bits = (bits + chance) & ~_DROPPED
    return bits.view(np.float32).astype(np.float16)


def unpacked(kept: NDArray[np.float16], unit: Float64) -> Float64:
    """The numbers that were packed."""
    value: Float64 = kept.astype(np.float64) * unit
    return value


def too_far(distance: Float64, unit: Float64) -> Bool:
    """Where a distance needs another unit; 0 is the unit of a series that has none yet."""
    far: Bool = np.abs(distance) > REACH * unit
    return far


def unit_for(distance: Float64, unit: Float64) -> Float64:
    """The unit for distances that are too far for theirs."""
    _, exponent = np.frexp(distance)
    power = np.ldexp(1.0, exponent) * np.where(unit > 0, _WIDENED, 1.0)
    found: Float64 = np.maximum(power, _LEAST_UNIT)
    return found


def rescale(table: NDArray[np.float16], rows: NDArray[Any], factor: Float64) -> None:
    """Express rows of packed numbers in another unit; ``factor`` is the old one by the new."""
    table[rows] = (table[rows].astype(np.float32) * factor[:, None]).astype(np.float16)
