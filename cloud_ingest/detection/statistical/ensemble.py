"""The statistical layer: is this unusual for this series."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection import float16_storage, pareto_tail
from cloud_ingest.detection.detector import HIGHEST_SCORE, Reason, Scores, State
from cloud_ingest.detection.evaluation_ticks import Tick, ticks, usable
from cloud_ingest.detection.state_arrays import (
    ArraySpec,
    SparseState,
    StateArrays,
    StateTable,
    clip_to_float32,
    saved_table,
)
from cloud_ingest.detection.statistical import daily_pattern, events, features
from cloud_ingest.detection.statistical.features import STREAMS, Stream
from telemetry.batches import Bool, Float64, SampleBatch
from telemetry.local_time import UTC_OFFSET_H
from telemetry.quantities import QUANTITIES
from telemetry.series import Series

HOUR_MS = 3_600_000
_SMOOTHING = 6.0  # working steps over which recent surprise adds to the present one
_SETTLING = 12.0  # working steps after a gap of a day in which nothing is an onset
_LONG_GAP_STEPS = 288.0
_MOST = 10.0  # a series without any noise is not infinitely surprised
_ENOUGH_STREAMS = 0.4 * STREAMS  # fewer count as if the rest were not surprised

_PLAIN, _CUMULATIVE, _CIRCULAR = range(3)

_AT_THE_TIME = (Reason.HIGH_FOR_TIME, Reason.LOW_FOR_TIME)
_AT_ALL = (Reason.HIGH, Reason.LOW)
_STEP = (Reason.RISE, Reason.FALL)
_SHIFT = (Reason.SHIFT_UP, Reason.SHIFT_DOWN)
_NOISE = (Reason.UNSTEADY, Reason.UNSTEADY)
_REASONS = {
    Stream.HALF_HOUR: _AT_THE_TIME,
    Stream.HOUR: _AT_THE_TIME,
    Stream.WEEK_HOUR: _AT_THE_TIME,
    Stream.HOUR_MEAN: _AT_THE_TIME,
    Stream.WEEK_HOUR_MEAN: _AT_THE_TIME,
    Stream.HALF_HOUR_RATIO: _AT_THE_TIME,
    Stream.LEVEL: _AT_ALL,
    Stream.LEVEL_MIDDLE: _AT_ALL,
    Stream.LEVEL_LONG: _AT_ALL,
    Stream.SHIFT: _STEP,
    Stream.SHIFT_MIDDLE: _SHIFT,
    Stream.SHIFT_LONG: _SHIFT,
    Stream.RATIO: _STEP,
    Stream.RATIO_MIDDLE: _SHIFT,
    Stream.ROUGH: _NOISE,
    Stream.QUIET: (Reason.QUIET, Reason.QUIET),
    Stream.RATIO_ROUGH: _NOISE,
    Stream.UNSTEADY: _NOISE,
    Stream.RECORD: _AT_ALL,
    Stream.RECORD_HALF_HOUR: _AT_THE_TIME,
    Stream.RECORD_HOUR: _AT_THE_TIME,
    Stream.RECORD_WEEK_HOUR: _AT_THE_TIME,
    Stream.MIXTURE: _NOISE,
}
_HIGHER, _LOWER = np.array([_REASONS[stream] for stream in Stream], dtype=np.uint8).T


class EnsembleDetector:
    """The mean surprise of many streams, as a calibrated return period.

    Each stream of a series (see features) is judged against its own history (see excess); the
    mean surprise, smoothed a little and without what is usual at this hour (see habits), makes
    events with a return period (see events). A counter is judged by its increase an hour; an
    angle is not judged. Reason and band come from the stream that is most surprised and from
    the profile of the half hour.
    """

    def __init__(self, *, utc_offset_h: float = UTC_OFFSET_H) -> None:
        self._offset_ms = round(utc_offset_h * HOUR_MS)
        self._tails = StateTable(pareto_tail.start_tails(STREAMS).ravel())
        self._memory = StateArrays(
            {
                "kind": ArraySpec(np.uint8),
                "recent": ArraySpec(np.float32),
                "settling": ArraySpec(np.float32),
                "reason": ArraySpec(np.uint8),
                **features.ARRAYS,
                **daily_pattern.ARRAYS,
                **events.ARRAYS,
            }
        )
        self._since_ms, self._readings = SparseState(), SparseState()  # of events, of counters

    @property
    def bytes_per_series(self) -> int:
        """StateArrays that one series takes."""
        return self._memory.bytes_per_row + self._tails.bytes_per_row

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series."""
        if not series:
            return
        rows = max(s.index for s in series) + 1
        self._memory.grow(rows)
        self._tails.grow(rows)
        for one in series:
            known = QUANTITIES.get(one.quantity)
            kind = _PLAIN
            if known is not None and known.cumulative:
                kind = _CUMULATIVE
            elif known is not None and known.circular:
                kind = _CIRCULAR
            self._memory["kind"][one.index] = kind

    def update(self, batch: SampleBatch) -> Scores:
        """Judge each sample, then learn from it."""
        scores = Scores.unjudged(batch)
        for tick in ticks(batch, usable(batch)):
            fresh = tick.time_ms > self._memory["last_ms"][tick.series]
            fresh &= self._memory["kind"][tick.series] != _CIRCULAR
            tick = tick if fresh.all() else tick.select(fresh)  # noqa: PLW2901
            if len(tick.place):
                self._judge(*self._signal(tick), scores)
        return scores

    def state(self) -> State:
        """A copy of everything learnt."""
        rare = self._since_ms.save("since_ms") | self._readings.save("reading")
        return self._memory.save() | {"numbers": self._tails.save()} | rare

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        self._memory.load(state)
        self._tails.load(saved_table(state))
        self._since_ms.load(state, "since_ms")
        self._readings.load(state, "reading")

    def _signal(self, tick: Tick) -> tuple[Tick, Float64]:
        """The samples to judge, and their values: for a counter the increase an hour."""
        memory, s = self._memory, tick.series
        counter = memory["kind"][s] == _CUMULATIVE
        if not counter.any():
            return tick, tick.value
        grown = tick.value - self._readings.values_of(s)
        self._readings.assign(s, tick.value, counter)
        hours = (tick.time_ms - memory["last_ms"][s]) / HOUR_MS
        value = np.where(counter, grown / np.maximum(hours, 1e-9), tick.value)
        # The first reading and one after a reset have no increase.
        known = ~counter | (grown >= 0)
        memory["last_ms"][s[~known]] = tick.time_ms[~known]
        return tick.select(known), value[known]

    def _judge(self, tick: Tick, value: Float64, scores: Scores) -> None:
        if not len(tick.place):
            return
        memory, s = self._memory, tick.series
        seen = features.compute_features(memory, tick, clip_to_float32(value), self._offset_ms)
        held = self._tails.take(s)
        tails = held.reshape(pareto_tail.FIELDS, STREAMS, len(s))
        high, low = tails[pareto_tail.HIGH].copy(), tails[pareto_tail.LOW].copy()
        able = seen.given & pareto_tail.has_band(tails)
        # A stream that has seen part of a day only does not know its own band.
        able[features.OF_THE_DAY] &= (
            pareto_tail.values_seen(tails)[features.OF_THE_DAY] * seen.interval_h >= 24.0
        )
        judged = pareto_tail.judge_tails(
            tails,
            seen.value.astype(np.float32),
            seen.given,
            seen.scale,
            upper_only=features.UPPER_ONLY,
            chance=float16_storage.chance_of(tick.time_ms),
        )
        self._tails.put(s, held)
        # Beyond the band by no more than rounding is within it.
        within = (seen.value <= high + seen.dust) & (seen.value >= low - seen.dust)
        judged[within | ~able] = 0.0
        np.clip(judged, -_MOST, _MOST, out=judged)
        surprise, awake = self._combine(tick, judged, able, seen)
        told = events.find_events(
            memory,
            s,
            surprise,
            awake,
            seen.scale,
            np.minimum(seen.gap_steps, 2.0) * seen.interval_h,
            HIGHEST_SCORE,
        )
        band = np.where(
            able[Stream.HALF_HOUR],
            seen.usual
            + np.stack([np.zeros(len(s)), low[Stream.HALF_HOUR], high[Stream.HALF_HOUR]]),
            np.nan,
        )
        self._report(tick, scores, told, judged, band)

    def _combine(
        self, tick: Tick, judged: NDArray[Any], able: Bool, seen: features.Features
    ) -> tuple[Float64, Bool]:
        memory, s, scale = self._memory, tick.series, seen.scale
        many = able.sum(axis=0)
        mean = np.abs(judged).sum(axis=0, dtype=np.float64) / np.maximum(many, _ENOUGH_STREAMS)
        recent = memory["recent"][s].astype(np.float64)
        recent += (mean - recent) / (_SMOOTHING * scale)
        memory["recent"][s] = recent
        settling = np.maximum(memory["settling"][s] - 1.0 / scale, 0.0)
        settling = np.where(seen.gap_steps > _LONG_GAP_STEPS, _SETTLING, settling)
        memory["settling"][s] = settling
        surprise = mean + 0.5 * recent
        surprise -= daily_pattern.follow_daily_pattern(
            memory, s, tick.time_ms + self._offset_ms, surprise
        )
        return surprise, (many > 0) & (settling <= 0)

    def _report(
        self,
        tick: Tick,
        scores: Scores,
        told: events.Events,
        judged: NDArray[Any],
        band: Float64,
    ) -> None:
        memory, s, place = self._memory, tick.series, tick.place
        scores.score[place] = told.score
        scores.onset[place] = told.onset
        scores.expected[place], scores.low[place], scores.high[place] = band
        most = np.abs(judged).argmax(axis=0)
        strongest = judged[most, np.arange(len(most))]
        fresh = np.where(strongest >= 0, _HIGHER[most], _LOWER[most])
        # An event keeps the reason of its highest onset.
        reason = np.where(told.onset > 0, fresh, memory["reason"][s]) * told.ongoing
        since = np.where(told.began, tick.time_ms, self._since_ms.times_of(s, tick.time_ms))
        self._since_ms.assign(s, since, told.ongoing)
        memory["reason"][s] = reason
        scores.reason[place], scores.since_ms[place] = reason, since
