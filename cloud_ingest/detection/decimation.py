"""Looks at fast series now and then, and lets each judgement stand until the next look."""

from dataclasses import dataclass

import numpy as np

from cloud_ingest.detection.detector import NEVER, AnyScores, HeldScores, Scores
from cloud_ingest.detection.evaluation_ticks import usable
from cloud_ingest.detection.state_arrays import ArraySpec, SparseState, StateArrays, StateTable
from telemetry.batches import Bool, Float64, Int32, Int64, SampleBatch

_NUMBERS = ("score", "expected", "low", "high")


@dataclass(frozen=True, slots=True, eq=False)
class ScorableSamples:
    """The samples of a batch that can be judged, by series, then time, without repetitions.

    ``place`` is where they stand in the batch (None: it holds nothing else, in this order);
    ``starts`` marks the first sample of each series, ``head`` says where these are.
    """

    batch: SampleBatch
    place: Int64 | None
    starts: Bool
    head: Int64

    @property
    def series(self) -> Int32:
        """The series of each sample."""
        return self.batch.series

    @classmethod
    def of(cls, batch: SampleBatch, last_ms: Int64) -> "ScorableSamples":
        """What is newer than ``last_ms`` of its series and carries a number."""
        good = usable(batch)
        if good.all():
            stretch = cls(batch, None, *_starts(batch.series))
            if stretch.continues(last_ms):
                return stretch
        place = np.flatnonzero(good)
        place = place[np.lexsort((batch.time_ms[place], batch.series[place]))]
        batch = batch.select(place)
        fresh = batch.time_ms > last_ms[batch.series]
        starts, _ = _starts(batch.series)
        fresh[1:] &= starts[1:] | (batch.time_ms[1:] != batch.time_ms[:-1])
        batch = batch.select(fresh)
        return cls(batch, place[fresh], *_starts(batch.series))

    def at(self, places: Int64) -> "ScorableSamples":
        """The samples at some places, which hold the first one of each series."""
        if len(places) == len(self.series):
            return self
        batch = self.batch.select(places)
        return ScorableSamples(batch, None, *_starts(batch.series))

    def continues(self, last_ms: Int64) -> bool:
        """Whether it is in order, without repetitions and all of it newer."""
        t, series, head = self.batch.time_ms, self.series[self.head], self.head
        ordered = (self.starts[1:] | (t[1:] > t[:-1])).all() and (series[1:] > series[:-1]).all()
        return bool(ordered and (t[head] > last_ms[series]).all())

    def first_in_slot(self, slot_ms: int, last_ms: Int64) -> Bool:
        """Which samples are the first of their series in a slot of time."""
        slot = np.floor(self.batch.time_ms / slot_ms)
        first = np.empty(len(slot), np.bool_)
        np.not_equal(slot[1:], slot[:-1], out=first[1:])
        first[self.head] = slot[self.head] > np.floor(last_ms[self.series[self.head]] / slot_ms)
        return first

    def rank(self, mark: Bool) -> Int64:
        """How many marked samples of the same series come before each sample."""
        before: Int64 = np.cumsum(mark) - mark
        run = np.diff(np.append(self.head, len(mark)))
        counted: Int64 = before - np.repeat(before[self.head], run)
        return counted

    def early(self, mark: Bool) -> Bool:
        """Which samples come no later than the second marked one of their series."""
        marked = np.flatnonzero(mark)
        end = np.append(self.head[1:], len(mark))
        second = np.searchsorted(marked, self.head) + 1
        there = second < np.searchsorted(marked, end)
        last = end - 1
        last[there] = marked[second[there]]
        found: Bool = np.arange(len(mark)) <= np.repeat(last, end - self.head)
        return found

    def in_place_of(self, batch: SampleBatch, found: HeldScores) -> AnyScores:
        """Scores of all of ``batch``, from those of this stretch."""
        if self.place is None:
            return found
        whole = Scores.unjudged(batch)
        whole.put(self.place, found)
        return whole


class LatestScores:
    """The newest judgement of each series."""

    def __init__(self) -> None:
        self.numbers = StateTable(np.array([0.0, np.nan, np.nan, np.nan], np.float32))
        self.memory = StateArrays({"reason": ArraySpec(np.uint8)})
        self.since_ms = SparseState()

    def outside(self, series: Int32, value: Float64) -> Bool:
        """Which values lie outside the band of the newest judgement."""
        low, high = self.numbers[_NUMBERS.index("low")], self.numbers[_NUMBERS.index("high")]
        out: Bool = (value < low[series]) | (value > high[series])
        return out

    def between(self, stretch: ScorableSamples, look: Bool, judged: Scores) -> HeldScores:
        """For each sample the newest judgement at or before it, in this stretch or before it."""
        at = np.flatnonzero(look | stretch.starts)
        series, fresh = stretch.series[at], look[at]
        numbers = self.numbers.take(series)
        reason = self.memory["reason"][series]
        since_ms = self.since_ms.times_of(series, np.full(len(series), NEVER))
        onset = np.zeros(len(at))
        if len(judged):
            numbers[:, fresh] = [getattr(judged, name) for name in _NUMBERS]
            reason[fresh], since_ms[fresh] = judged.reason, judged.since_ms
            onset[fresh] = judged.onset
            last = np.append(stretch.starts[at[1:]], True)
            newest = series[last]
            self.numbers.put(newest, numbers[:, last])
            self.memory["reason"][newest] = reason[last]
            self.since_ms.assign(newest, since_ms[last], reason[last] != 0)
        score, expected, low, high = numbers.astype(np.float64)
        scores = Scores(score, expected, low, high, reason, since_ms, onset)
        return HeldScores(at, scores, stretch.batch.time_ms)


def prefer_faults(world: HeldScores, sensor: HeldScores, score: float) -> HeldScores:
    """The judgement of the world, but where that of the sensor reaches ``score`` this one."""
    begins = np.zeros(len(world), np.bool_)
    begins[world.begin] = begins[sensor.begin] = True
    at = np.flatnonzero(begins)
    judged, fault = (_held_at(at, one) for one in (world, sensor))
    doubt = fault.score >= score
    judged.put(doubt, fault.select(doubt))
    return HeldScores(at, judged, world.time_ms)


def _held_at(at: Int64, standing: HeldScores) -> Scores:
    """What stands at some places, each begun there or before."""
    which = np.searchsorted(standing.begin, at, side="right") - 1
    found = standing.judged.select(which)
    found.onset[standing.begin[which] != at] = 0.0
    return found


def _starts(series: Int32) -> tuple[Bool, Int64]:
    """Where a series begins, as a mask and as places."""
    starts = np.ones(len(series), np.bool_)
    np.not_equal(series[1:], series[:-1], out=starts[1:])
    return starts, np.flatnonzero(starts)
