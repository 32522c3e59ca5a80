"""Decimation: fast series are judged now and then, and a judgement holds until the next one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection.detector import AnyScores, HeldScores, Scores, State
from cloud_ingest.detection.state_arrays import ArraySpec, StateArrays, StateTable
from telemetry.batches import Bool, Float64, Int32, Int64, SampleBatch, usable

_FIELDS = ("score", "expected", "low", "high")


@dataclass(frozen=True, slots=True, eq=False)
class ScorableSamples:
    """The samples of a batch that can be judged, sorted by series, then time, without repetitions.

    ``row`` is the index of each in the original batch; None where they are the whole batch in its
    own order. ``starts`` marks the first sample of each series, ``head`` holds the indexes of
    these.
    """

    batch: SampleBatch
    row: Int64 | None
    starts: Bool
    head: Int64

    @property
    def series(self) -> Int32:
        """The series of each sample."""
        return self.batch.series

    @classmethod
    def of(cls, batch: SampleBatch, last_ms: Int64) -> "ScorableSamples":
        """The usable samples that are newer than ``last_ms`` of their series."""
        good = usable(batch.value, batch.quality)
        if good.all():
            whole = cls(batch, None, *_starts(batch.series))
            if whole._is_sorted_and_newer(last_ms):
                return whole
        row = np.flatnonzero(good)
        row = row[np.lexsort((batch.time_ms[row], batch.series[row]))]
        batch = batch.select(row)
        fresh = batch.time_ms > last_ms[batch.series]
        starts, _ = _starts(batch.series)
        fresh[1:] &= starts[1:] | (batch.time_ms[1:] != batch.time_ms[:-1])
        batch = batch.select(fresh)
        return cls(batch, row[fresh], *_starts(batch.series))

    def subset(self, at: Int64) -> "ScorableSamples":
        """The samples at some indexes, among them the first one of each series."""
        if len(at) == len(self.series):
            return self
        batch = self.batch.select(at)
        return ScorableSamples(batch, None, *_starts(batch.series))

    def _is_sorted_and_newer(self, last_ms: Int64) -> bool:
        t, series, head = self.batch.time_ms, self.series[self.head], self.head
        ordered = (self.starts[1:] | (t[1:] > t[:-1])).all() and (series[1:] > series[:-1]).all()
        return bool(ordered and (t[head] > last_ms[series]).all())

    def first_in_slot(self, slot_ms: int, last_ms: Int64) -> Bool:
        """Mark the first sample of each series in each time slot of length ``slot_ms``."""
        slot = np.floor(self.batch.time_ms / slot_ms)
        first = np.empty(len(slot), np.bool_)
        np.not_equal(slot[1:], slot[:-1], out=first[1:])
        first[self.head] = slot[self.head] > np.floor(last_ms[self.series[self.head]] / slot_ms)
        return first

    def rank(self, mark: Bool) -> Int64:
        """For each sample, the number of marked samples of the same series before it."""
        before: Int64 = np.cumsum(mark) - mark
        length = np.diff(np.append(self.head, len(mark)))
        counted: Int64 = before - np.repeat(before[self.head], length)
        return counted

    def until_second(self, mark: Bool) -> Bool:
        """Mark the samples up to the second marked one of their series."""
        marked = np.flatnonzero(mark)
        end = np.append(self.head[1:], len(mark))
        second = np.searchsorted(marked, self.head) + 1
        exists = second < np.searchsorted(marked, end)
        last = end - 1
        last[exists] = marked[second[exists]]
        found: Bool = np.arange(len(mark)) <= np.repeat(last, end - self.head)
        return found

    def scores_for(self, batch: SampleBatch, scores: HeldScores) -> AnyScores:
        """Scores of the original batch, from those of these samples."""
        if self.row is None:
            return scores
        whole = Scores.unjudged(batch)
        whole.put(self.row, scores)
        return whole


class LatestScores:
    """The newest judgement of each series."""

    def __init__(self) -> None:
        self._table = StateTable(np.array([0.0, np.nan, np.nan, np.nan], np.float32))
        self._state = StateArrays({"reason": ArraySpec(np.uint8), "since_ms": ArraySpec(np.int64)})

    @property
    def bytes_per_series(self) -> int:
        """Bytes of state for each series."""
        return self._table.bytes_per_row + self._state.bytes_per_row

    def grow(self, rows: int) -> None:
        """Make room for ``rows`` series."""
        self._table.grow(rows)
        self._state.grow(rows)

    def outside(self, series: Int32, value: Float64) -> Bool:
        """Mark values outside the band of the newest judgement."""
        low, high = self._table[_FIELDS.index("low")], self._table[_FIELDS.index("high")]
        out: Bool = (value < low[series]) | (value > high[series])
        return out

    def hold(self, samples: ScorableSamples, judged_at: Bool, judged: Scores) -> HeldScores:
        """Scores of all samples: each has the newest judgement at or before it.

        ``judged`` belongs to the samples marked in ``judged_at`` and becomes the newest judgement.
        """
        at = np.flatnonzero(judged_at | samples.starts)
        series, fresh = samples.series[at], judged_at[at]
        table = self._table.take(series)
        reason, since_ms = self._state["reason"][series], self._state["since_ms"][series]
        onset = np.zeros(len(at))
        if len(judged):
            table[:, fresh] = [getattr(judged, name) for name in _FIELDS]
            reason[fresh], since_ms[fresh] = judged.reason, judged.since_ms
            onset[fresh] = judged.onset
            last = np.append(samples.starts[at[1:]], True)
            newest = series[last]
            self._table.put(newest, table[:, last])
            self._state["reason"][newest] = reason[last]
            self._state["since_ms"][newest] = since_ms[last]
        score, expected, low, high = table.astype(np.float64)
        scores = Scores(score, expected, low, high, reason, since_ms, onset)
        return HeldScores(at, scores, samples.batch.time_ms)

    def state(self) -> State:
        """A copy of the newest judgements."""
        return self._state.save() | self._table.save()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a saved state."""
        self._state.load(state)
        self._table.load(state)


def prefer_faults(statistical: HeldScores, fault: HeldScores, score: float) -> HeldScores:
    """The statistical scores, replaced by those of the fault layer where these reach ``score``."""
    begins = np.zeros(len(statistical), np.bool_)
    begins[statistical.begin] = begins[fault.begin] = True
    at = np.flatnonzero(begins)
    judged, faults = (_held_at(at, one) for one in (statistical, fault))
    doubt = faults.score >= score
    judged.put(doubt, faults.select(doubt))
    return HeldScores(at, judged, statistical.time_ms)


def _held_at(at: Int64, scores: HeldScores) -> Scores:
    """The judgements that hold at some indexes, with an onset only where they begin there."""
    which = np.searchsorted(scores.begin, at, side="right") - 1
    found = scores.judged.select(which)
    found.onset[scores.begin[which] != at] = 0.0
    return found


def _starts(series: Int32) -> tuple[Bool, Int64]:
    """The first entry of each series, as a mask and as indexes."""
    starts = np.ones(len(series), np.bool_)
    np.not_equal(series[1:], series[:-1], out=starts[1:])
    return starts, np.flatnonzero(starts)
