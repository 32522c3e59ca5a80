"""Summaries of samples by time step: pure functions on arrays, shared by the stores."""

from collections.abc import Collection
from dataclasses import dataclass, fields, replace

import numpy as np

from cloud_ingest.stores.protocol import Envelope
from telemetry.batches import Bool, Float64, Int32, Int64, SampleBatch, UInt8, usable
from telemetry.quality import PRECEDENCE, Flag

_RANK = np.full(256, PRECEDENCE.index(Flag.NOT_EVALUATED), np.uint8)
_RANK[[int(flag) for flag in PRECEDENCE]] = np.arange(len(PRECEDENCE))
_FLAG = np.array([int(flag) for flag in PRECEDENCE], np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Summaries:
    """Summaries of several series, sorted by series and time. Columns as in Envelope."""

    series: Int32
    time_ms: Int64
    mean: Float64
    min: Float64
    max: Float64
    last: Float64
    count: Int64
    good: Int64
    quality: UInt8

    def __len__(self) -> int:
        return len(self.time_ms)

    def select(self, which: Bool | Int64) -> "Summaries":
        """The summaries selected by a mask or by positions."""
        return Summaries(*(getattr(self, f.name)[which] for f in fields(self)))

    def envelope(self) -> Envelope:
        """The columns without the series index, for summaries of one series."""
        return Envelope(
            self.time_ms, self.mean, self.min, self.max, self.last,
            self.count, self.good, self.quality,
        )  # fmt: skip


def step_start(time_ms: Int64, step_ms: int, offset_ms: int = 0) -> Int64:
    """The start of the step that contains each time."""
    return (time_ms - offset_ms) // step_ms * step_ms + offset_ms


def summarise(
    batch: SampleBatch, step_ms: int, offset_ms: int = 0, circular: Collection[int] = ()
) -> Summaries:
    """Summaries of samples, which are sorted by series and time and have no duplicates.

    Series in ``circular`` are angles in degrees; their mean is the mean direction.
    """
    if not len(batch):
        return concat([])
    step = step_start(batch.time_ms, step_ms, offset_ms)
    first = _firsts(batch.series, step)
    good = usable(batch.value, batch.quality)
    value = np.where(good, batch.value, 0.0)
    made = _finish(
        batch.series[first],
        step[first],
        np.add.reduceat(value, first),
        np.minimum.reduceat(np.where(good, batch.value, np.inf), first),
        np.maximum.reduceat(np.where(good, batch.value, -np.inf), first),
        _last(good, batch.value, first),
        np.diff(np.append(first, len(batch))),
        np.add.reduceat(good, first, dtype=np.int64),
        _worst(good, _RANK[batch.quality], first),
    )
    return _with_directions(made, value, good.astype(np.float64), first, circular)


def coarsen(
    fine: Summaries, step_ms: int, offset_ms: int = 0, circular: Collection[int] = ()
) -> Summaries:
    """Summaries of longer steps from sorted summaries of shorter steps that divide them.

    Several summaries of one (series, time) are merged; ``last`` is that of the last one.
    """
    if not len(fine):
        return fine
    step = step_start(fine.time_ms, step_ms, offset_ms)
    first = _firsts(fine.series, step)
    good = fine.good > 0
    value = np.where(good, fine.mean, 0.0)
    made = _finish(
        fine.series[first],
        step[first],
        np.add.reduceat(value * fine.good, first),
        np.minimum.reduceat(np.where(good, fine.min, np.inf), first),
        np.maximum.reduceat(np.where(good, fine.max, -np.inf), first),
        _last(good, fine.last, first),
        np.add.reduceat(fine.count, first),
        np.add.reduceat(fine.good, first),
        _worst(good, _RANK[fine.quality], first),
    )
    return _with_directions(made, value, fine.good.astype(np.float64), first, circular)


def _with_directions(
    made: Summaries, value: Float64, weight: Float64, first: Int64, circular: Collection[int]
) -> Summaries:
    """``made`` with the mean direction (of the sum of unit vectors) as the mean of angles."""
    if not circular:
        return made
    angle = np.isin(made.series, np.fromiter(circular, np.int64)) & (made.good > 0)
    if not angle.any():
        return made
    radians = np.radians(value)
    east = np.add.reduceat(np.sin(radians) * weight, first)[angle]
    north = np.add.reduceat(np.cos(radians) * weight, first)[angle]
    mean = made.mean.copy()
    mean[angle] = np.degrees(np.arctan2(east, north)) % 360.0
    return replace(made, mean=mean)


def concat(pieces: list[Summaries]) -> Summaries:
    """The summaries of all ``pieces``, in their order."""
    if not pieces:
        none, numbers = np.empty(0), np.empty(0, np.int64)
        return Summaries(
            np.empty(0, np.int32), numbers, none, none, none, none, numbers, numbers,
            np.empty(0, np.uint8),
        )  # fmt: skip
    return Summaries(
        *(np.concatenate([getattr(p, f.name) for p in pieces]) for f in fields(Summaries))
    )


def _firsts(series: Int32, step: Int64) -> Int64:
    new = np.ones(len(step), np.bool_)
    new[1:] = (series[1:] != series[:-1]) | (step[1:] != step[:-1])
    return np.flatnonzero(new)


def _last(good: Bool, value: Float64, first: Int64) -> Float64:
    position = np.maximum.reduceat(np.where(good, np.arange(len(value)), -1), first)
    result: Float64 = np.where(position >= 0, value[position], np.nan)
    return result


def _worst(good: Bool, rank: UInt8, first: Int64) -> UInt8:
    """The worst rank of the samples that took part, or of all samples if none did."""
    of_good = np.maximum.reduceat(np.where(good, rank, 0), first)
    of_all = np.maximum.reduceat(rank, first)
    any_good = np.maximum.reduceat(good, first)
    result: UInt8 = np.where(any_good, of_good, of_all).astype(np.uint8)
    return result


def _finish(
    series: Int32,
    time_ms: Int64,
    total: Float64,
    least: Float64,
    most: Float64,
    last: Float64,
    count: Int64,
    good: Int64,
    rank: UInt8,
) -> Summaries:
    none = good == 0
    least, most = np.where(none, np.nan, least), np.where(none, np.nan, most)
    mean = np.where(none, np.nan, total / np.maximum(good, 1))
    # Rounding can move the mean of equal values outside them.
    mean = np.clip(mean, least, most)
    return Summaries(
        series, time_ms, mean, least, most, last, count.astype(np.int64), good, _FLAG[rank]
    )
