"""Evaluation ticks: a batch cut into parts with at most one sample for each series, oldest first."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from telemetry.batches import Bool, Float64, Int64, SampleBatch


@dataclass(frozen=True, slots=True, eq=False)
class Tick:
    """Samples of different series that are judged together. ``row``: index of each in the batch."""

    row: Int64
    series: Int64
    time_ms: Int64
    value: Float64

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def of(cls, batch: SampleBatch, row: Int64) -> "Tick":
        """The samples at some rows of a batch."""
        series = batch.series[row].astype(np.int64)
        return cls(row, series, batch.time_ms[row], batch.value[row])

    def select(self, which: Bool | slice) -> "Tick":
        """The samples where the mask is True, or a slice of them."""
        return Tick(self.row[which], self.series[which], self.time_ms[which], self.value[which])


def ticks(batch: SampleBatch, which: Bool) -> Iterator[Tick]:
    """The marked samples in ticks. Samples of one series at the same time keep their order."""
    whole = Tick.of(batch, np.flatnonzero(which))
    if not len(whole):
        return
    if _all_different(whole.series):
        yield whole
        return
    order = np.lexsort((whole.time_ms, whole.series))
    rank = _rank_in_run(whole.series[order])
    order = order[np.argsort(rank, kind="stable")]
    start = 0
    for count in np.bincount(rank):
        yield Tick.of(batch, whole.row[order[start : start + count]])
        start += count


def ticks_by_time_slice(batch: SampleBatch, which: Bool, slice_ms: int) -> Iterator[Tick]:
    """The marked samples in ticks that each lie within one slice of time.

    A detector that compares series with each other then compares values of about the same time.
    """
    whole = Tick.of(batch, np.flatnonzero(which))
    if not len(whole):
        return
    slices = whole.time_ms // slice_ms
    if (slices == slices[0]).all() and _all_different(whole.series):
        yield whole
        return
    order = np.lexsort((whole.time_ms, whole.series, slices))
    slices = slices[order]
    rank = _rank_in_run(whole.series[order], slices)
    if rank.any():
        again = np.lexsort((rank, slices))
        order, slices, rank = order[again], slices[again], rank[again]
    ends = np.flatnonzero((slices[1:] != slices[:-1]) | (rank[1:] != rank[:-1])) + 1
    whole = Tick.of(batch, whole.row[order])
    start = 0
    for end in [*ends.tolist(), len(whole)]:
        yield whole.select(slice(start, end))
        start = end


def _rank_in_run(*keys: Int64) -> Int64:
    """For each entry of sorted keys, the number of entries before it with the same keys."""
    changes = np.zeros(len(keys[0]) - 1, np.bool_)
    for key in keys:
        changes |= key[1:] != key[:-1]
    first = np.flatnonzero(np.r_[True, changes])
    length = np.diff(np.r_[first, len(keys[0])])
    return np.arange(len(keys[0])) - np.repeat(first, length)


def _all_different(series: Int64) -> bool:
    """True if no series occurs twice (faster than ``np.unique``)."""
    owner = np.empty(int(series.max()) + 1, dtype=np.int64)
    own = np.arange(len(series))
    owner[series] = own
    return bool((owner[series] == own).all())
