"""The first path: distance of a value from the usual value at this hour of the day."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection.detector import HIGHEST_SCORE, NEVER, Reason, Scores, State
from cloud_ingest.detection.evaluation_ticks import Tick, ticks
from cloud_ingest.detection.state_arrays import ArraySpec, StateArrays, StateTable, clip_to_float32
from telemetry.batches import Bool, Int64, SampleBatch, usable
from telemetry.series import Series
from telemetry.time.local_time import UTC_OFFSET_H

HOURS = 24
HOUR_MS = 3_600_000
_DAY_MS = HOURS * HOUR_MS
_ABSOLUTE_TO_SIGMA = 1.2533  # sigma of a Gaussian divided by its mean absolute deviation
_EVENT_H = 1 / 6  # samples closer than this belong to one event
_SCALE_MEMORY_H = 96.0
_CLIP = 3.0  # a residual counts for at most this many sigma when learning
_MOST_COUNT = 255
_COUNT, _INTERVAL_H, _MEAN, _SCALE, _SLOT_MEAN = range(5)

Floats = NDArray[np.floating[Any]]


class SeasonalResidualDetector:
    """Robust z-score of the residual from the profile of the day.

    The profile has a mean for each of ``slots`` equal parts of the local day. It learns from
    residuals clipped at three sigma (Huber). One scale of the residuals serves all slots. While a
    slot has few samples, its mean is drawn towards the mean of the whole day. The z-score becomes a
    return period through a tail that falls like z to the power of minus ``tail``, as environmental
    data does, instead of a Gaussian.
    """

    def __init__(
        self,
        *,
        utc_offset_h: float = UTC_OFFSET_H,
        memory_days: float = 21.0,
        warm_up_samples: int = 48,
        band_sigmas: float = 3.0,
        tail: float = 6.0,
        slots: int = HOURS,
    ) -> None:
        self._slots = slots
        self._utc_offset_ms = round(utc_offset_h * HOUR_MS)
        self._memory_h = memory_days * HOURS
        self._warm_up = warm_up_samples
        self._band = band_sigmas
        self._tail = tail
        self._state = StateArrays(
            {
                "last_ms": ArraySpec(np.int64, NEVER),
                "since_ms": ArraySpec(np.int64),
                "reason": ArraySpec(np.uint8),
                "slot_count": ArraySpec(np.uint8, 0, (slots,)),
            }
        )
        self._table = StateTable(np.zeros(_SLOT_MEAN + slots, np.float32))

    @property
    def bytes_per_series(self) -> int:
        """Bytes of state for each series."""
        return self._state.bytes_per_row + self._table.bytes_per_row

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series."""
        if series:
            rows = max(s.index for s in series) + 1
            self._state.grow(rows)
            self._table.grow(rows)

    def update(self, batch: SampleBatch) -> Scores:
        """Judge each sample, then learn from it."""
        scores = Scores.unjudged(batch)
        for tick in ticks(batch, usable(batch.value, batch.quality)):
            fresh = tick.time_ms > self._state["last_ms"][tick.series]
            self._judge(tick if fresh.all() else tick.select(fresh), scores)
        return scores

    def state(self) -> State:
        """A copy of everything learnt."""
        return self._state.save() | self._table.save()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a saved state."""
        self._state.load(state)
        self._table.load(state)

    def _judge(self, tick: Tick, scores: Scores) -> None:
        if not len(tick):
            return
        s, x = tick.series, clip_to_float32(tick.value)
        slot = (tick.time_ms + self._utc_offset_ms) % _DAY_MS * self._slots // _DAY_MS
        table = self._table.take(s)
        step_ms = tick.time_ms - self._state["last_ms"][s]
        interval_h = _follow_interval(table, step_ms)
        own_at = (_SLOT_MEAN + slot, np.arange(len(s)))
        own = table[own_at]
        count = self._state["slot_count"][s, slot].astype(np.float64)
        # The mean of all slots counts as much as two samples of this slot.
        trust = count / (count + 2.0)
        expected = trust * own + (1.0 - trust) * table[_MEAN]
        sigma = np.maximum(table[_SCALE] * _ABSOLUTE_TO_SIGMA, 1e-9 + 1e-6 * np.abs(expected))
        away = x - expected
        ready = table[_COUNT] >= self._warm_up
        self._report(tick, scores, ready, expected, sigma, away, interval_h)
        longest = np.maximum(self._memory_h / interval_h, 30.0)
        slot_rate = 1.0 / np.minimum(count + 1.0, longest / self._slots + 1.0)
        step = np.where(count < 1, x - own, _clipped(x - own, 3.0 * _CLIP * sigma))
        table[own_at] = own + slot_rate * step
        self._state["slot_count"][s, slot] = np.minimum(count + 1.0, _MOST_COUNT)
        _learn(table, x, _CLIP * sigma, away, longest, interval_h)
        self._table.put(s, table)
        self._state["last_ms"][s] = tick.time_ms

    def _report(
        self,
        tick: Tick,
        scores: Scores,
        ready: Bool,
        expected: Floats,
        sigma: Floats,
        away: Floats,
        interval_h: Floats,
    ) -> None:
        """Write the scores of a tick; an event lasts while values stay outside on the same side."""
        margin = self._band * sigma
        s, row = tick.series, tick.row
        expected = np.where(ready, expected, np.nan)
        scores.expected[row] = expected
        scores.low[row], scores.high[row] = expected - margin, expected + margin
        out = np.flatnonzero(ready & (np.abs(away) > margin))
        reasons, since_ms = self._state["reason"], self._state["since_ms"]
        before = reasons[s[out]]
        reasons[s] = Reason.NONE
        if not len(out):
            return
        # P(|Z| > z) = (1 + z^2/tail)^(-tail/2), as of a Student t; one sample every interval_h hours.
        z = away[out] / sigma[out]
        log_p = -0.5 * self._tail * np.log10(1.0 + z * z / self._tail)
        score = np.log10(np.maximum(interval_h[out], _EVENT_H)) - log_p
        score = np.minimum(np.maximum(score, 0.0), HIGHEST_SCORE)
        reason = np.where(z > 0, Reason.HIGH_FOR_TIME, Reason.LOW_FOR_TIME).astype(np.uint8)
        begins = reason != before
        s, row, time_ms = s[out], row[out], tick.time_ms[out]
        since_ms[s[begins]] = time_ms[begins]
        reasons[s] = reason
        scores.score[row], scores.reason[row] = score, reason
        scores.since_ms[row] = since_ms[s]
        scores.onset[row] = np.where(begins, score, 0.0)


def _follow_interval(table: Floats, step_ms: Int64) -> Floats:
    """The usual time between samples, in hours."""
    count, known = table[_COUNT], table[_INTERVAL_H]
    step_h = np.where(count < 1, 0.0, step_ms / HOUR_MS)
    # Follows the sampling rate over about ten samples; a gap counts as two steps at most.
    followed = known + 0.1 * (np.minimum(step_h, 2.0 * known) - known)
    known[:] = np.where(count < 2, step_h, followed)
    interval_h: Floats = np.maximum(known, 1e-6)
    return interval_h


def _learn(
    table: Floats, x: Floats, limit: Floats, away: Floats, longest: Floats, interval_h: Floats
) -> None:
    """Update mean and scale over all slots, with residuals clipped at ``limit``."""
    count, mean, scale = table[_COUNT], table[_MEAN], table[_SCALE]
    young = count < 8
    from_mean = x - mean
    rate = 1.0 / np.minimum(count + 1.0, longest)
    # The scale forgets sooner, so that the first days, without a profile, do not widen the band.
    scale_rate = np.maximum(rate, 1.0 / np.maximum(_SCALE_MEMORY_H / interval_h, 30.0))
    residual = np.abs(np.where(young, from_mean, _clipped(away, limit)))
    scale += scale_rate * (residual - scale)
    mean += rate * np.where(young, from_mean, _clipped(from_mean, limit))
    count += 1.0


def _clipped(x: Floats, limit: Floats) -> Floats:
    clipped: Floats = np.minimum(np.maximum(x, -limit), limit)
    return clipped
