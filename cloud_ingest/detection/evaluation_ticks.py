"""Cuts a batch into ticks in which every series has at most one sample, oldest first."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from telemetry.batches import Bool, Float64, Int64, SampleBatch
from telemetry.quality import Flag


@dataclass(frozen=True, slots=True, eq=False)
class Tick:
    """Samples of different series, to be judged at once.

    ``place`` is where each sample stands in the batch that it came from.
    """

    place: Int64
    series: Int64
    time_ms: Int64
    value: Float64

    def select(self, which: Bool | slice) -> "Tick":
        """The samples where the mask is true, or a slice of them."""
        return Tick(self.place[which], self.series[which], self.time_ms[which], self.value[which])


def usable(batch: SampleBatch) -> Bool:
    """Which samples carry a number that no check has refused."""
    good: Bool = np.isfinite(batch.value)
    good &= (batch.quality != Flag.FAIL) & (batch.quality != Flag.MISSING)
    return good


def ticks(batch: SampleBatch, which: Bool) -> Iterator[Tick]:
    """The chosen samples in ticks. Equal times of one series keep the order of the batch."""
    place = np.flatnonzero(which)
    if not len(place):
        return
    series = batch.series[place].astype(np.int64)
    whole = Tick(place, series, batch.time_ms[place], batch.value[place])
    if _all_different(series):
        yield whole
        return
    order = np.lexsort((whole.time_ms, series))
    in_turn = series[order]
    first = np.flatnonzero(np.r_[True, in_turn[1:] != in_turn[:-1]])
    run = np.diff(np.r_[first, len(in_turn)])
    rank = np.arange(len(in_turn)) - np.repeat(first, run)
    order = order[np.argsort(rank, kind="stable")]
    start = 0
    for count in np.bincount(rank):
        tick = order[start : start + count]
        start += count
        yield Tick(place[tick], series[tick], whole.time_ms[tick], whole.value[tick])


def ticks_by_time_slice(batch: SampleBatch, which: Bool, slice_ms: int) -> Iterator[Tick]:
    """Rounds that never look past a slice of time, for judging series beside each other."""
    place = np.flatnonzero(which)
    if not len(place):
        return
    series, time_ms = batch.series[place].astype(np.int64), batch.time_ms[place]
    slices = time_ms // slice_ms
    if slices[0] == slices[-1] and (slices == slices[0]).all() and _all_different(series):
        yield Tick(place, series, time_ms, batch.value[place])
        return
    order = np.lexsort((time_ms, series, slices))
    series, slices = series[order], slices[order]
    first = np.flatnonzero(np.r_[True, (series[1:] != series[:-1]) | (slices[1:] != slices[:-1])])
    rank = np.arange(len(series)) - np.repeat(first, np.diff(np.r_[first, len(series)]))
    if rank.any():
        again = np.lexsort((rank, slices))
        order, slices, rank = order[again], slices[again], rank[again]
    ends = np.flatnonzero((slices[1:] != slices[:-1]) | (rank[1:] != rank[:-1])) + 1
    place = place[order]
    whole = Tick(
        place, batch.series[place].astype(np.int64), batch.time_ms[place], batch.value[place]
    )
    start = 0
    for end in [*ends.tolist(), len(place)]:
        yield whole.select(slice(start, end))
        start = end


def _all_different(series: Int64) -> bool:
    marks = np.empty(int(series.max()) + 1, dtype=np.int64)
    own = np.arange(len(series))
    marks[series] = own
    return bool((marks[series] == own).all())
