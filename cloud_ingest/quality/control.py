"""Flags samples of all series at once, by the tests that apply to each."""

from collections.abc import Sequence

import numpy as np

from telemetry.batches import Bool, Float64, SampleBatch, UInt8
from telemetry.quality import Flag
from telemetry.series import Series

FUTURE_MS = 600_000
"""A sample dated further ahead than this is suspect: its clock is wrong."""


class QualityControl:
    """Judges samples before they are stored. Not thread-safe: the pipeline owns it."""

    def __init__(self) -> None:
        self._low = np.empty(0)
        self._high = np.empty(0)

    def register(self, series: Sequence[Series]) -> None:
        """Make series known; again when what is known of them changed."""
        top = max((s.index for s in series), default=-1) + 1
        if top > len(self._low):
            extra = np.full(top - len(self._low), np.inf)
            self._low = np.append(self._low, -extra)
            self._high = np.append(self._high, extra)
        for one in series:
            low, high = one.valid or (-np.inf, np.inf)
            self._low[one.index], self._high[one.index] = low, high

    def flag(self, batch: SampleBatch, now_ms: int) -> SampleBatch:
        """The same samples in the same order, with the flags of every test that applies.

        A flag that came with a sample stays where it is worse than what the tests find.
        """
        flags = gross_range(batch.value, self._low[batch.series], self._high[batch.series])
        flags[(batch.time_ms > now_ms + FUTURE_MS) & (flags == Flag.PASS)] = Flag.SUSPECT
        given = batch.quality
        keep: Bool = (given == Flag.FAIL) | ((given == Flag.SUSPECT) & (flags == Flag.PASS))
        flags[keep] = given[keep]
        missing = np.isnan(batch.value) | (given == Flag.MISSING)
        flags[missing] = Flag.MISSING
        return batch.with_quality(flags)

    def take_corrections(self) -> SampleBatch:
        """Earlier samples whose flags have become worse since they were given."""
        return SampleBatch.empty()


def gross_range(value: Float64, low: Float64, high: Float64) -> UInt8:
    """FAIL outside low..high (inclusive), PASS inside; without a range nothing is evaluated."""
    flags = np.full(len(value), Flag.PASS, np.uint8)
    flags[np.isinf(low) & np.isinf(high)] = Flag.NOT_EVALUATED
    flags[(value < low) | (value > high)] = Flag.FAIL
    return flags
