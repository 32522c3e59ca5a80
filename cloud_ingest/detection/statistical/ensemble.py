"""The statistical layer: is this value unusual for its series."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection import pareto_tail
from cloud_ingest.detection.detector import HIGHEST_SCORE, Reason, Scores, State
from cloud_ingest.detection.evaluation_ticks import Tick, ticks
from cloud_ingest.detection.pareto_tail import TailField
from cloud_ingest.detection.state_arrays import ArraySpec, StateArrays, StateTable, clip_to_float32
from cloud_ingest.detection.statistical import daily_pattern, events, features
from cloud_ingest.detection.statistical.features import STREAMS, Stream
from telemetry.batches import Bool, Float64, SampleBatch, usable
from telemetry.quantities import QUANTITIES
from telemetry.series import Series
from telemetry.time.local_time import UTC_OFFSET_H

HOUR_MS = 3_600_000
_SMOOTHING = 6.0  # working steps over which recent surprise adds to the present one
_SETTLING = 12.0  # working steps without onsets after a long gap
_LONG_GAP_STEPS = 288.0  # a day
_MOST = 10.0  # limit of the surprise of one stream, for series without any noise
_ENOUGH_STREAMS = 0.4 * STREAMS  # where fewer exist, the missing ones count as not surprised

_PLAIN, _CUMULATIVE, _CIRCULAR = range(3)

_FOR_TIME = (Reason.HIGH_FOR_TIME, Reason.LOW_FOR_TIME)
_LEVEL = (Reason.HIGH, Reason.LOW)
_STEP = (Reason.RISE, Reason.FALL)
_SHIFT = (Reason.SHIFT_UP, Reason.SHIFT_DOWN)
_NOISE = (Reason.UNSTEADY, Reason.UNSTEADY)
_REASONS = {
    Stream.HALF_HOUR: _FOR_TIME,
    Stream.HOUR: _FOR_TIME,
    Stream.WEEK_HOUR: _FOR_TIME,
    Stream.HOUR_MEAN: _FOR_TIME,
    Stream.WEEK_HOUR_MEAN: _FOR_TIME,
    Stream.HALF_HOUR_RATIO: _FOR_TIME,
    Stream.LEVEL: _LEVEL,
    Stream.LEVEL_MIDDLE: _LEVEL,
    Stream.LEVEL_LONG: _LEVEL,
    Stream.SHIFT: _STEP,
    Stream.SHIFT_MIDDLE: _SHIFT,
    Stream.SHIFT_LONG: _SHIFT,
    Stream.LOG_SHIFT: _STEP,
    Stream.LOG_SHIFT_MIDDLE: _SHIFT,
    Stream.ROUGH: _NOISE,
    Stream.QUIET: (Reason.QUIET, Reason.QUIET),
    Stream.LOG_ROUGH: _NOISE,
    Stream.UNSTEADY: _NOISE,
    Stream.RECORD: _LEVEL,
    Stream.RECORD_HALF_HOUR: _FOR_TIME,
    Stream.RECORD_HOUR: _FOR_TIME,
    Stream.RECORD_WEEK_HOUR: _FOR_TIME,
    Stream.DISTRIBUTION: _NOISE,
}
"""Reasons for high and for low values of each stream."""
_HIGHER, _LOWER = np.array([_REASONS[stream] for stream in Stream], dtype=np.uint8).T


class EnsembleDetector:
    """The mean surprise of many streams, as a calibrated return period.

    Each stream of a series (features.py) is compared with its own history (pareto_tail.py). The
    mean surprise is smoothed, and what is usual at this hour is subtracted (daily_pattern.py). The
    result makes events with a return period (events.py). A counter is judged by its increase per
    hour; an angle is not judged. The reason comes from the stream with the highest surprise, the
    band from the profile of the half hour.
    """

    def __init__(self, *, utc_offset_h: float = UTC_OFFSET_H) -> None:
        self._utc_offset_ms = round(utc_offset_h * HOUR_MS)
        self._tails = StateTable(pareto_tail.initial_tails(STREAMS).ravel())
        self._state = StateArrays(
            {
                "kind": ArraySpec(np.uint8),
                "counter": ArraySpec(np.float64, np.nan),
                "recent": ArraySpec(np.float32),
                "settling": ArraySpec(np.float32),
                "reason": ArraySpec(np.uint8),
                "since_ms": ArraySpec(np.int64),
                **features.ARRAYS,
                **daily_pattern.ARRAYS,
                **events.ARRAYS,
            }
        )

    @property
    def bytes_per_series(self) -> int:
        """Bytes of state for each series."""
        return self._state.bytes_per_row + self._tails.bytes_per_row

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series."""
        if not series:
            return
        rows = max(s.index for s in series) + 1
        self._state.grow(rows)
        self._tails.grow(rows)
        for one in series:
            known = QUANTITIES.get(one.quantity)
            kind = _PLAIN
            if known is not None and known.cumulative:
                kind = _CUMULATIVE
            elif known is not None and known.circular:
                kind = _CIRCULAR
            self._state["kind"][one.index] = kind

    def update(self, batch: SampleBatch) -> Scores:
        """Judge each sample, then learn from it."""
        scores = Scores.unjudged(batch)
        for tick in ticks(batch, usable(batch.value, batch.quality)):
            fresh = tick.time_ms > self._state["last_ms"][tick.series]
            fresh &= self._state["kind"][tick.series] != _CIRCULAR
            tick = tick if fresh.all() else tick.select(fresh)  # noqa: PLW2901  # the samples left of it
            if len(tick):
                self._judge(*self._signal(tick), scores)
        return scores

    def state(self) -> State:
        """A copy of everything learnt."""
        return self._state.save() | self._tails.save()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a saved state."""
        self._state.load(state)
        self._tails.load(state)

    def _signal(self, tick: Tick) -> tuple[Tick, Float64]:
        """The samples to judge and their values; the value of a counter is its increase per hour."""
        state, s = self._state, tick.series
        counter = state["kind"][s] == _CUMULATIVE
        if not counter.any():
            return tick, tick.value
        increase = tick.value - state["counter"][s]
        state["counter"][s[counter]] = tick.value[counter]
        hours = (tick.time_ms - state["last_ms"][s]) / HOUR_MS
        value = np.where(counter, increase / np.maximum(hours, 1e-9), tick.value)
        # The first sample and the first one after a reset have no increase.
        known = ~counter | (increase >= 0)
        state["last_ms"][s[~known]] = tick.time_ms[~known]
        return tick.select(known), value[known]

    def _judge(self, tick: Tick, value: Float64, scores: Scores) -> None:
        if not len(tick):
            return
        state, s = self._state, tick.series
        seen = features.compute_features(state, tick, clip_to_float32(value), self._utc_offset_ms)
        table = self._tails.take(s)
        tails = table.reshape(len(TailField), STREAMS, len(s))
        high, low = tails[TailField.HIGH].copy(), tails[TailField.LOW].copy()
        able = seen.valid & pareto_tail.has_band(tails)
        # A stream that depends on a profile needs a full day before its band is right.
        counts = tails[TailField.COUNT][features.OF_THE_DAY]
        able[features.OF_THE_DAY] &= counts * seen.interval_h >= 24.0
        surprises = pareto_tail.update_tails(
            tails,
            seen.value.astype(np.float32),
            seen.valid,
            seen.scale,
            upper_only=features.UPPER_ONLY,
        )
        self._tails.put(s, table)
        within = (seen.value <= high + seen.tolerance) & (seen.value >= low - seen.tolerance)
        surprises[within | ~able] = 0.0
        np.clip(surprises, -_MOST, _MOST, out=surprises)
        surprise, awake = self._combine(tick, surprises, able, seen)
        found = events.find_events(
            state,
            s,
            surprise,
            awake,
            seen.scale,
            np.minimum(seen.gap_steps, 2.0) * seen.interval_h,
            HIGHEST_SCORE,
        )
        offsets = np.stack([np.zeros(len(s)), low[Stream.HALF_HOUR], high[Stream.HALF_HOUR]])
        band = np.where(able[Stream.HALF_HOUR], seen.expected + offsets, np.nan)
        self._report(tick, scores, found, surprises, band)

    def _combine(
        self, tick: Tick, surprises: NDArray[Any], able: Bool, seen: features.Features
    ) -> tuple[Float64, Bool]:
        """The surprise of each sample over all streams, and which series may have an onset now."""
        state, s, scale = self._state, tick.series, seen.scale
        streams = able.sum(axis=0)
        total = np.abs(surprises).sum(axis=0, dtype=np.float64)
        mean = total / np.maximum(streams, _ENOUGH_STREAMS)
        recent = state["recent"][s].astype(np.float64)
        recent += (mean - recent) / (_SMOOTHING * scale)
        state["recent"][s] = recent
        settling = np.maximum(state["settling"][s] - 1.0 / scale, 0.0)
        settling = np.where(seen.gap_steps > _LONG_GAP_STEPS, _SETTLING, settling)
        state["settling"][s] = settling
        surprise = mean + 0.5 * recent
        local_ms = tick.time_ms + self._utc_offset_ms
        surprise -= daily_pattern.follow_daily_pattern(state, s, local_ms, surprise)
        return surprise, (streams > 0) & (settling <= 0)

    def _report(
        self,
        tick: Tick,
        scores: Scores,
        found: events.Events,
        surprises: NDArray[Any],
        band: Float64,
    ) -> None:
        """Write the scores of a tick; ``band`` is (3, samples): expected, low, high."""
        state, s, row = self._state, tick.series, tick.row
        scores.score[row], scores.onset[row] = found.score, found.onset
        scores.expected[row], scores.low[row], scores.high[row] = band
        most = np.abs(surprises).argmax(axis=0)
        strongest = surprises[most, np.arange(len(most))]
        fresh = np.where(strongest >= 0, _HIGHER[most], _LOWER[most])
        # An event keeps the reason of its highest onset.
        reason = np.where(found.onset > 0, fresh, state["reason"][s]) * found.ongoing
        since_ms = np.where(found.began, tick.time_ms, state["since_ms"][s])
        state["reason"][s], state["since_ms"][s] = reason, since_ms
        scores.reason[row] = reason
        scores.since_ms[row] = np.where(found.ongoing, since_ms, tick.time_ms)
