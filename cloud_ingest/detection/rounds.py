"""Cuts a batch into rounds in which every series has at most one sample, oldest first."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from telemetry.batches import Bool, Float64, Int64, SampleBatch
from telemetry.quality import Flag


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """Samples of different series, to be judged at once.

    ``place`` is where each sample stands in the batch that it came from.
    """

    place: Int64
    series: Int64
    time_ms: Int64
    value: Float64

    def select(self, which: Bool) -> "Round":
        """The samples where the mask is true."""
        return Round(self.place[which], self.series[which], self.time_ms[which], self.value[which])


def usable(batch: SampleBatch) -> Bool:
    """Which samples carry a number that no check has refused."""
    good: Bool = np.isfinite(batch.value)
    good &= (batch.quality != Flag.FAIL) & (batch.quality != Flag.MISSING)
    return good


def rounds(batch: SampleBatch, which: Bool) -> Iterator[Round]:
    """The chosen samples in rounds. Equal times of one series keep the order of the batch."""
    place = np.flatnonzero(which)
    if not len(place):
        return
    series = batch.series[place].astype(np.int64)
    whole = Round(place, series, batch.time_ms[place], batch.value[place])
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
        turn = order[start : start + count]
        start += count
        yield Round(place[turn], series[turn], whole.time_ms[turn], whole.value[turn])


def rounds_in_time(batch: SampleBatch, which: Bool, slice_ms: int) -> Iterator[Round]:
    """Rounds that never look past a slice of time, for judging series beside each other."""
    place = np.flatnonzero(which)
    if not len(place):
        return
    slices = batch.time_ms[place] // slice_ms
    order = np.argsort(slices, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(slices[order])) + 1):
        chosen = place[part]
        for turn in rounds(batch.select(chosen), np.ones(len(chosen), dtype=np.bool_)):
            yield Round(chosen[turn.place], turn.series, turn.time_ms, turn.value)


def _all_different(series: Int64) -> bool:
    marks = np.empty(int(series.max()) + 1, dtype=np.int64)
    own = np.arange(len(series))
    marks[series] = own
    return bool((marks[series] == own).all())
