"""Samples in columns: the form in which the cloud passes them on. The edge does not import this."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telemetry.quality import Flag

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
UInt8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]

FUTURE_TOLERANCE_MS = 600_000
"""Samples further ahead of the clock are suspect, and no rule judges them."""


def usable(value: Float64, quality: UInt8) -> Bool:
    """True for samples that rules, means and detectors may use: finite, neither failed nor missing."""
    good: Bool = np.isfinite(value)
    good &= (quality != Flag.FAIL) & (quality != Flag.MISSING)
    return good


@dataclass(frozen=True, slots=True, eq=False)
class SampleBatch:
    """Samples of many series, one entry each in four arrays of the same length, in any order.

    ``series`` holds ``Series.index``; ``time_ms`` UTC milliseconds; ``value`` is NaN if the device
    had none; ``quality`` holds QARTOD flags (telemetry.quality.Flag).
    """

    series: Int32
    time_ms: Int64
    value: Float64
    quality: UInt8

    def __post_init__(self) -> None:
        n = len(self.series)
        if not n == len(self.time_ms) == len(self.value) == len(self.quality):
            raise ValueError("the columns of a batch differ in length")

    def __len__(self) -> int:
        return len(self.series)

    @classmethod
    def empty(cls) -> "SampleBatch":
        """A batch without samples."""
        return cls.of([], [], [], [])

    @classmethod
    def of(
        cls,
        series: Sequence[int] | Int32,
        time_ms: Sequence[int] | Int64,
        value: Sequence[float] | Float64,
        quality: Sequence[int] | UInt8,
    ) -> "SampleBatch":
        """A batch from plain sequences, converted to the type of each column."""
        return cls(
            np.asarray(series, dtype=np.int32),
            np.asarray(time_ms, dtype=np.int64),
            np.asarray(value, dtype=np.float64),
            np.asarray(quality, dtype=np.uint8),
        )

    @classmethod
    def concat(cls, batches: Sequence["SampleBatch"]) -> "SampleBatch":
        """The samples of all ``batches``, in that order."""
        if len(batches) > 1:
            batches = [b for b in batches if len(b)]
        if not batches:
            return cls.empty()
        if len(batches) == 1:
            return batches[0]
        return cls(
            np.concatenate([b.series for b in batches]),
            np.concatenate([b.time_ms for b in batches]),
            np.concatenate([b.value for b in batches]),
            np.concatenate([b.quality for b in batches]),
        )

    def select(self, which: Bool | Int64) -> "SampleBatch":
        """The samples where a mask is true, or at the given positions."""
        return SampleBatch(
            self.series[which], self.time_ms[which], self.value[which], self.quality[which]
        )

    def pieces(self, most: int) -> "list[SampleBatch]":
        """Consecutive views of about ``most`` samples, each series in only one of them.

        A series with more samples makes a larger view. A batch that is not sorted by series is
        returned whole.
        """
        series = self.series
        if len(series) <= most or not (series[1:] >= series[:-1]).all():
            return [self]
        # The end of the series that the last sample of each piece belongs to.
        inner = series[np.arange(most - 1, len(series) - 1, most)]
        ends = np.unique(np.append(np.searchsorted(series, inner, side="right"), len(series)))
        starts = np.append(0, ends[:-1])
        return [self._between(a, b) for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]

    def _between(self, start: int, end: int) -> "SampleBatch":
        some = slice(start, end)
        return SampleBatch(
            self.series[some], self.time_ms[some], self.value[some], self.quality[some]
        )

    def with_quality(self, quality: UInt8) -> "SampleBatch":
        """The same samples with other quality flags."""
        return SampleBatch(self.series, self.time_ms, self.value, quality)

    def ends(self) -> Int64 | None:
        """Position of the last sample of each series; None if the batch is not sorted.

        Sorted means by series, then time.
        """
        s, t = self.series, self.time_ms
        same = s[1:] == s[:-1]
        if not (np.where(same, t[1:] >= t[:-1], s[1:] > s[:-1])).all():
            return None
        return np.append(np.flatnonzero(~same), len(s) - 1) if len(s) else np.empty(0, np.int64)

    def sorted(self) -> "SampleBatch":
        """The same samples sorted by series, then time; the sort is stable."""
        if self.ends() is not None:
            return self
        # Samples mostly come in order of time; then a sort by series is enough.
        batch = self.select(_by_series(self.series))
        in_order = batch.ends() is not None
        return batch if in_order else self.select(np.lexsort((self.time_ms, self.series)))

    def without_duplicates(self) -> "SampleBatch":
        """One sample for each (series, time): the last one in the batch."""
        order = np.lexsort((self.time_ms, self.series))  # stable
        s, t = self.series[order], self.time_ms[order]
        last = np.ones(len(self), dtype=np.bool_)
        last[:-1] = (s[1:] != s[:-1]) | (t[1:] != t[:-1])
        return self.select(order[last])


def _by_series(series: Int32) -> Int64:
    """The positions that sort ``series``, stable."""
    few = len(series) and series.min() >= 0 and series.max() <= np.iinfo(np.uint16).max
    return np.argsort(series.astype(np.uint16) if few else series, kind="stable")  # few: radix sort


def is_too_far_ahead(time_ms: Int64, now_ms: int, tolerance_ms: int = FUTURE_TOLERANCE_MS) -> Bool:
    """True for each time that lies more than ``tolerance_ms`` after ``now_ms``."""
    return time_ms > now_ms + tolerance_ms
