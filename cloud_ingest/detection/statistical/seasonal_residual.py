"""The first path: how far a value lies from what its series has at this hour of the day."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection.detector import HIGHEST_SCORE, NEVER, Reason, Scores, State
from cloud_ingest.detection.evaluation_ticks import Tick, ticks, usable
from cloud_ingest.detection.state_arrays import (
    ArraySpec,
    SparseState,
    StateArrays,
    StateTable,
    clip_to_float32,
    saved_table,
)
from telemetry.batches import Bool, Int64, SampleBatch
from telemetry.local_time import UTC_OFFSET_H
from telemetry.series import Series

HOURS = 24
HOUR_MS = 3_600_000
_DAY_MS = HOURS * HOUR_MS
_ABSOLUTE_TO_SIGMA = 1.2533  # mean absolute deviation of a Gaussian times this is its sigma
_EVENT_H = 1 / 6  # samples closer than this belong to one event, not to several chances
_SCALE_MEMORY_H = 96.0
_CLIP = 3.0  # a residual counts for at most this many sigma when learning
_MOST = 255.0
_COUNT, _INTERVAL_H, _MEAN, _SCALE, _SLOT_MEAN = range(5)

Reals = NDArray[np.floating[Any]]


class SeasonalResidualDetector:
    """Robust z-score of the residual from the hour-of-day profile.

    For each series: a mean for each hour of the local day (or for each of ``slots`` equal parts
    of it), learnt with residuals clipped at
    three sigma (Huber), and one scale of the residuals. Until an hour has been met often enough
    its mean is drawn towards the mean over all hours. The z-score becomes a return period
    through a tail that falls like z to the power of minus ``tail``, as environmental data does,
    instead of the Gaussian's. Works on all series of a batch at once.
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
        self._offset_ms = round(utc_offset_h * HOUR_MS)
        self._memory_h = memory_days * HOURS
        self._warm_up = warm_up_samples
        self._band = band_sigmas
        self._tail = tail
        self._memory = StateArrays(
            {
                "last_ms": ArraySpec(np.int64, NEVER),
                "reason": ArraySpec(np.uint8),
                "visits": ArraySpec(np.uint8, 0, (slots,)),
            }
        )
        self._numbers = StateTable(np.zeros(_SLOT_MEAN + slots, np.float32))
        self._since_ms = SparseState()

    @property
    def bytes_per_series(self) -> int:
        """StateArrays that one series takes."""
        return self._memory.bytes_per_row + self._numbers.bytes_per_row

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series."""
        if series:
            rows = max(s.index for s in series) + 1
            self._memory.grow(rows)
            self._numbers.grow(rows)

    def update(self, batch: SampleBatch) -> Scores:
        """Judge each sample, then learn from it."""
        scores = Scores.unjudged(batch)
        for tick in ticks(batch, usable(batch)):
            fresh = tick.time_ms > self._memory["last_ms"][tick.series]
            self._judge(tick if fresh.all() else tick.select(fresh), scores)
        return scores

    def state(self) -> State:
        """A copy of everything learnt."""
        numbers = {"numbers": self._numbers.save()}
        return self._memory.save() | numbers | self._since_ms.save("since_ms")

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        self._memory.load(state)
        self._numbers.load(saved_table(state))
        self._since_ms.load(state, "since_ms")

    def _judge(self, tick: Tick, scores: Scores) -> None:
        if not len(tick.place):
            return
        s, x = tick.series, clip_to_float32(tick.value)
        slot = (tick.time_ms + self._offset_ms) % _DAY_MS * self._slots // _DAY_MS
        numbers = self._numbers.take(s)
        step_ms = tick.time_ms - self._memory["last_ms"][s]
        interval_h = _follow_interval(numbers, step_ms)
        own_at = (_SLOT_MEAN + slot, np.arange(len(s)))
        own = numbers[own_at]
        seen = self._memory["visits"][s, slot].astype(np.float64)
        # An hour's own mean counts as much as it has been met, against two samples' worth.
        trust = seen / (seen + 2.0)
        expected = trust * own + (1.0 - trust) * numbers[_MEAN]
        sigma = np.maximum(numbers[_SCALE] * _ABSOLUTE_TO_SIGMA, 1e-9 + 1e-6 * np.abs(expected))
        away = x - expected
        self._report(
            tick, scores, numbers[_COUNT] >= self._warm_up, expected, sigma, away, interval_h
        )
        longest = np.maximum(self._memory_h / interval_h, 30.0)
        slot_rate = 1.0 / np.minimum(seen + 1.0, longest / self._slots + 1.0)
        step = np.where(seen < 1, x - own, _clipped(x - own, 3.0 * _CLIP * sigma))
        numbers[own_at] = own + slot_rate * step
        self._memory["visits"][s, slot] = np.minimum(seen + 1.0, _MOST)
        _learn(numbers, x, _CLIP * sigma, away, longest, interval_h)
        self._numbers.put(s, numbers)
        self._memory["last_ms"][s] = tick.time_ms

    def _report(
        self,
        tick: Tick,
        scores: Scores,
        ready: Bool,
        expected: Reals,
        sigma: Reals,
        away: Reals,
        interval_h: Reals,
    ) -> None:
        margin = self._band * sigma
        place, s = tick.place, tick.series
        expected = np.where(ready, expected, np.nan)
        scores.expected[place] = expected
        scores.low[place], scores.high[place] = expected - margin, expected + margin
        held, began_ms = self._memory["reason"], self._since_ms.times_of(s, tick.time_ms)
        out = np.flatnonzero(ready & (np.abs(away) > margin))
        before = held[s[out]]
        held[s] = Reason.NONE
        if not len(out):
            self._since_ms.assign(s, began_ms, np.zeros(len(s), np.bool_))
            return
        # P(|Z| > z) = (1 + z^2/tail)^(-tail/2): Student-like; one sample each interval_h hours.
        z = away[out] / sigma[out]
        log_p = -0.5 * self._tail * np.log10(1.0 + z * z / self._tail)
        score = np.log10(np.maximum(interval_h[out], _EVENT_H)) - log_p
        score = np.minimum(np.maximum(score, 0.0), HIGHEST_SCORE)
        reason = np.where(z > 0, Reason.HIGH_FOR_TIME, Reason.LOW_FOR_TIME).astype(np.uint8)
        begins = reason != before
        began_ms[out[begins]] = tick.time_ms[out[begins]]
        goes_on = np.zeros(len(s), np.bool_)
        goes_on[out] = True
        self._since_ms.assign(s, began_ms, goes_on)
        place, s = place[out], s[out]
        held[s] = reason
        scores.score[place], scores.reason[place] = score, reason
        scores.since_ms[place] = began_ms[out]
        scores.onset[place] = np.where(begins, score, 0.0)


def _follow_interval(numbers: Reals, step_ms: Int64) -> Reals:
    """The usual time between samples, in hours."""
    count, known = numbers[_COUNT], numbers[_INTERVAL_H]
    step_h = np.where(count < 1, 0.0, step_ms / HOUR_MS)
    # Follows the rate of sampling over some ten samples; a gap counts as two steps at most.
    followed = known + 0.1 * (np.minimum(step_h, 2.0 * known) - known)
    known[:] = np.where(count < 2, step_h, followed)
    interval_h: Reals = np.maximum(known, 1e-6)
    return interval_h


def _learn(
    numbers: Reals, x: Reals, limit: Reals, away: Reals, longest: Reals, interval_h: Reals
) -> None:
    """Mean and scale of all hours, from residuals of at most so much."""
    count, mean, scale = numbers[_COUNT], numbers[_MEAN], numbers[_SCALE]
    young = count < 8
    from_mean = x - mean
    rate = 1.0 / np.minimum(count + 1.0, longest)
    # The scale forgets sooner, so that the first days, without a profile, do not widen the band.
    scale_rate = np.maximum(rate, 1.0 / np.maximum(_SCALE_MEMORY_H / interval_h, 30.0))
    residual = np.abs(np.where(young, from_mean, _clipped(away, limit)))
    scale += scale_rate * (residual - scale)
    mean += rate * np.where(young, from_mean, _clipped(from_mean, limit))
    count += 1.0


def _clipped(x: Reals, limit: Reals) -> Reals:
    clipped: Reals = np.minimum(np.maximum(x, -limit), limit)
    return clipped
