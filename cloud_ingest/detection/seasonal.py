"""The first path: how far a value lies from what its series has at this hour of the day."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection.memory import Column, Memory
from cloud_ingest.detection.protocol import HIGHEST_SCORE, NEVER, Reason, Scores, State
from cloud_ingest.detection.rounds import Round, rounds, usable
from telemetry.batches import Float64, Int64, SampleBatch
from telemetry.series import Series

HOURS = 24
HOUR_MS = 3_600_000
_ABSOLUTE_TO_SIGMA = 1.2533  # mean absolute deviation of a Gaussian times this is its sigma
_EVENT_H = 1 / 6  # samples closer than this belong to one event, not to several chances
_SCALE_MEMORY_H = 96.0
_CLIP = 3.0  # a residual counts for at most this many sigma when learning


class SeasonalResidualDetector:
    """Robust z-score of the residual from the hour-of-day profile.

    For each series: a mean for each hour of the local day, learnt with residuals clipped at
    three sigma (Huber), and one scale of the residuals. Until an hour has been met often enough
    its mean is drawn towards the mean over all hours. The z-score becomes a return period
    through a tail that falls like z to the power of minus ``tail``, as environmental data does,
    instead of the Gaussian's. Works on all series of a batch at once.
    """

    def __init__(
        self,
        *,
        utc_offset_h: float = 7.0,
        memory_days: float = 21.0,
        warm_up_samples: int = 48,
        band_sigmas: float = 3.0,
        tail: float = 6.0,
    ) -> None:
        self._offset_ms = round(utc_offset_h * HOUR_MS)
        self._memory_h = memory_days * HOURS
        self._warm_up = warm_up_samples
        self._band = band_sigmas
        self._tail = tail
        self._memory = Memory(
            {
                "last_ms": Column(np.int64, NEVER),
                "since_ms": Column(np.int64, NEVER),
                "reason": Column(np.uint8),
                "count": Column(np.float64),
                "interval_h": Column(np.float64),
                "mean": Column(np.float64),
                "scale": Column(np.float64),
                "hour_mean": Column(np.float32, 0.0, (HOURS,)),
                "hour_count": Column(np.float32, 0.0, (HOURS,)),
            }
        )

    @property
    def bytes_a_series(self) -> int:
        """Memory that one series takes."""
        return self._memory.bytes_a_row

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series."""
        if series:
            self._memory.make_room(max(s.index for s in series) + 1)

    def update(self, batch: SampleBatch) -> Scores:
        """Judge each sample, then learn from it."""
        scores = Scores.unjudged(batch)
        for turn in rounds(batch, usable(batch)):
            fresh = turn.time_ms > self._memory["last_ms"][turn.series]
            self._judge(turn if fresh.all() else turn.select(fresh), scores)
        return scores

    def state(self) -> State:
        """A copy of everything learnt."""
        return self._memory.save()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        self._memory.load(state)

    def _judge(self, turn: Round, scores: Scores) -> None:
        if not len(turn.place):
            return
        memory, s, x = self._memory, turn.series, turn.value
        hour = (turn.time_ms + self._offset_ms) // HOUR_MS % HOURS
        count, mean, scale = memory["count"][s], memory["mean"][s], memory["scale"][s]
        seen = memory["hour_count"][s, hour].astype(np.float64)
        own = memory["hour_mean"][s, hour].astype(np.float64)
        interval_h = self._interval(turn, count)
        # An hour's own mean counts as much as it has been met, against two samples' worth.
        trust = seen / (seen + 2.0)
        expected = trust * own + (1.0 - trust) * mean
        sigma = np.maximum(scale * _ABSOLUTE_TO_SIGMA, 1e-9 + 1e-6 * np.abs(expected))
        z = (x - expected) / sigma
        ready = count >= self._warm_up
        self._report(turn, scores, ready, expected, sigma, z, interval_h)
        self._learn(turn, hour, count, z, sigma, own, seen, interval_h)

    def _interval(self, turn: Round, count: Float64) -> Float64:
        memory, s = self._memory, turn.series
        step_h = (turn.time_ms - memory["last_ms"][s]) / HOUR_MS
        known = memory["interval_h"][s]
        first = count < 2
        step_h = np.where(count < 1, 0.0, step_h)
        # Follows the rate of sampling over some ten samples; a gap counts as two steps at most.
        followed = known + 0.1 * (np.minimum(step_h, 2.0 * known) - known)
        interval = np.where(first, step_h, followed)
        memory["interval_h"][s] = interval
        return np.maximum(interval, 1e-6)

    def _report(
        self,
        turn: Round,
        scores: Scores,
        ready: NDArray[np.bool_],
        expected: Float64,
        sigma: Float64,
        z: Float64,
        interval_h: Float64,
    ) -> None:
        # P(|Z| > z) = (1 + z^2/tail)^(-tail/2): Student-like; one sample each interval_h hours.
        log_p = -0.5 * self._tail * np.log10(1.0 + z * z / self._tail)
        score = np.clip(np.log10(np.maximum(interval_h, _EVENT_H)) - log_p, 0.0, HIGHEST_SCORE)
        outside = ready & (np.abs(z) > self._band)
        place = turn.place
        scores.score[place] = np.where(outside, score, 0.0)
        margin = self._band * sigma
        scores.expected[place] = np.where(ready, expected, np.nan)
        scores.low[place] = np.where(ready, expected - margin, np.nan)
        scores.high[place] = np.where(ready, expected + margin, np.nan)
        reason = np.where(
            outside, np.where(z > 0, Reason.HIGH_FOR_TIME, Reason.LOW_FOR_TIME), Reason.NONE
        ).astype(np.uint8)
        memory, s = self._memory, turn.series
        goes_on = reason == memory["reason"][s]
        since = np.where(goes_on & (reason > 0), memory["since_ms"][s], turn.time_ms)
        scores.onset[place] = np.where(goes_on, 0.0, scores.score[place])
        memory["reason"][s], memory["since_ms"][s] = reason, since
        scores.reason[place], scores.since_ms[place] = reason, since

    def _learn(
        self,
        turn: Round,
        hour: Int64,
        count: Float64,
        z: Float64,
        sigma: Float64,
        own: Float64,
        seen: Float64,
        interval_h: Float64,
    ) -> None:
        memory, s, x = self._memory, turn.series, turn.value
        longest = np.maximum(self._memory_h / interval_h, 30.0)
        young = count < 8
        residual = np.where(young, x - memory["mean"][s], np.clip(z, -_CLIP, _CLIP) * sigma)
        rate = 1.0 / np.minimum(count + 1.0, longest)
        memory["mean"][s] += rate * np.where(young, residual, _towards(x, memory["mean"][s], sigma))
        # The scale forgets sooner, so that the first days, without a profile, do not widen the band.
        scale_rate = np.maximum(rate, 1.0 / np.maximum(_SCALE_MEMORY_H / interval_h, 30.0))
        memory["scale"][s] += scale_rate * (np.abs(residual) - memory["scale"][s])
        hour_rate = 1.0 / np.minimum(seen + 1.0, longest / HOURS + 1.0)
        step = np.where(seen < 1, x - own, _towards(x, own, sigma * 3.0))
        memory["hour_mean"][s, hour] = own + hour_rate * step
        memory["hour_count"][s, hour] = seen + 1.0
        memory["count"][s] = count + 1.0
        memory["last_ms"][s] = turn.time_ms


def _towards(x: Float64, centre: Float64, sigma: Float64) -> Float64:
    return np.clip(x - centre, -_CLIP * sigma, _CLIP * sigma)
