"""The QARTOD tests: arrays of values in, arrays of flags out. Rules as in ioos_qc 3.0.

PASS where a test finds nothing wrong, NOT_EVALUATED where it cannot judge. Comparisons with a
threshold are strict; ranges include their ends.
"""

from collections.abc import Sequence

import numpy as np

from telemetry.batches import Bool, Float64, UInt8
from telemetry.quality import Flag


def gross_range(
    value: Float64, fail_low: Float64, fail_high: Float64, suspect_low: Float64,
    suspect_high: Float64,
) -> UInt8:  # fmt: skip
    """FAIL outside what the sensor can measure, SUSPECT outside what is usual."""
    flags = np.full(len(value), Flag.PASS, np.uint8)
    flags[(value < suspect_low) | (value > suspect_high)] = Flag.SUSPECT
    flags[(value < fail_low) | (value > fail_high)] = Flag.FAIL
    return flags


def spike(
    before: Float64, value: Float64, after: Float64, suspect: Float64, fail: Float64
) -> UInt8:
    """The differential test: the smaller of the two steps, where they have opposite signs.

    A level shift is no spike. NOT_EVALUATED where a neighbour in time is missing.
    """
    up, down = value - before, after - value
    size = np.where(up * down < 0, np.minimum(np.abs(up), np.abs(down)), 0.0)
    return _levels(size, suspect, fail, np.isfinite(up) & np.isfinite(down))


def rate_of_change(
    value: Float64, before: Float64, seconds: Float64, suspect: Float64, fail: Float64
) -> UInt8:
    """The change per second since the sample before; PASS where there is no sample before."""
    known = np.isfinite(before) & (seconds > 0)
    rate = np.zeros(len(value))
    np.divide(np.abs(value - before), seconds, out=rate, where=known)
    flags = _levels(rate, suspect, fail, known)
    flags[~known] = Flag.PASS
    return flags


def flat_line(flat_ms: Float64, suspect_ms: Float64, fail_ms: Float64) -> UInt8:
    """``flat_ms``: for how long the value has varied by less than the tolerance."""
    flags = np.full(len(flat_ms), Flag.PASS, np.uint8)
    flags[flat_ms >= suspect_ms] = Flag.SUSPECT
    flags[flat_ms >= fail_ms] = Flag.FAIL
    return flags


def attenuated_signal(deviation: Float64, suspect: Float64, fail: Float64) -> UInt8:
    """The standard deviation of a period is too small; NOT_EVALUATED where it is not known."""
    flags = np.full(len(deviation), Flag.PASS, np.uint8)
    flags[deviation < suspect] = Flag.SUSPECT
    flags[deviation < fail] = Flag.FAIL
    flags[np.isnan(deviation)] = Flag.NOT_EVALUATED
    return flags


def neighbour(distance: Float64, suspect: Float64) -> UInt8:
    """Distance to the value of the nearest neighbour; NOT_EVALUATED without one.

    Not a QARTOD test.
    """
    flags = np.full(len(distance), Flag.PASS, np.uint8)
    flags[distance > suspect] = Flag.SUSPECT
    flags[np.isnan(distance)] = Flag.NOT_EVALUATED
    return flags


def time_gap(pause_ms: Float64, gap_ms: Float64) -> UInt8:
    """SUSPECT on the first sample after a pause longer than ``gap_ms``."""
    flags = np.full(len(pause_ms), Flag.PASS, np.uint8)
    flags[pause_ms > gap_ms] = Flag.SUSPECT
    return flags


def worse(one: UInt8, other: UInt8) -> UInt8:
    """The worse of two flags, in the order fail, suspect, pass, not evaluated, missing."""
    return worst([one, other])


def worst(judged: Sequence[UInt8]) -> UInt8:
    """The worst of several flags of each sample."""
    rank = _rank(judged[0])
    for flags in judged[1:]:
        np.maximum(rank, _rank(flags), out=rank)
    return _flags_of(rank)


def is_worse(one: UInt8, other: UInt8) -> Bool:
    """True where ``one`` is worse than ``other``."""
    found: Bool = _rank(one) > _rank(other)
    return found


def _rank(flags: UInt8) -> UInt8:
    """Missing 0, not evaluated 1, pass 2, suspect 3, fail 4.

    Arithmetic instead of a table, because numpy does it for many flags at once.
    """
    found = _exchanged(flags)
    found *= (flags != Flag.MISSING).view(np.uint8)
    return found


def _flags_of(ranks: UInt8) -> UInt8:
    found = _exchanged(ranks)
    found[ranks == 0] = Flag.MISSING
    return found


def _exchanged(numbers: UInt8) -> UInt8:
    """Exchange 1 and 2: pass and not evaluated have the opposite order as flags and as ranks."""
    found: UInt8 = numbers + (numbers == 1).view(np.uint8)
    found -= (numbers == 2).view(np.uint8)
    return found


def _levels(size: Float64, suspect: Float64, fail: Float64, known: Bool) -> UInt8:
    flags = np.full(len(size), Flag.PASS, np.uint8)
    flags[size > suspect] = Flag.SUSPECT
    flags[size > fail] = Flag.FAIL
    flags[~known] = Flag.NOT_EVALUATED
    return flags
