"""The statistical layer: is this unusual for this series."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection import float16_storage, pareto_tail
from cloud_ingest.detection.detector import HIGHEST_SCORE, Reason, Scores, State
from cloud_ingest.detection.evaluation_ticks import Round, rounds, usable
from cloud_ingest.detection.state_arrays import (
    Column,
    Memory,
    Numbers,
    Rare,
    saved_numbers,
    within_reach,
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
        self._tails = Numbers(pareto_tail.start_tails(STREAMS).ravel())
        self._memory = Memory(
            {
                "kind": Column(np.uint8),
                "recent": Column(np.float32),
                "settling": Column(np.float32),
                "reason": Column(np.uint8),
                **features.COLUMNS,
                **daily_pattern.COLUMNS,
                **events.COLUMNS,
            }
        )
        self._since_ms, self._readings = Rare(), Rare()  # of events, of counters

    @property
    def bytes_a_series(self) -> int:
        """Memory that one series takes."""
        return self._memory.bytes_a_row + self._tails.bytes_a_row

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series."""
        if not series:
            return
        rows = max(s.index for s in series) + 1
        self._memory.make_room(rows)
        self._tails.make_room(rows)
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
        for turn in rounds(batch, usable(batch)):
            fresh = turn.time_ms > self._memory["last_ms"][turn.series]
            fresh &= self._memory["kind"][turn.series] != _CIRCULAR
            turn = turn if fresh.all() else turn.select(fresh)  # noqa: PLW2901
            if len(turn.place):
                self._judge(*self._signal(turn), scores)
        return scores

    def state(self) -> State:
        """A copy of everything learnt."""
        rare = self._since_ms.save("since_ms") | self._readings.save("reading")
        return self._memory.save() | {"numbers": self._tails.save()} | rare

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        self._memory.load(state)
        self._tails.load(saved_numbers(state))
        self._since_ms.load(state, "since_ms")
        self._readings.load(state, "reading")

    def _signal(self, turn: Round) -> tuple[Round, Float64]:
        """The samples to judge, and their values: for a counter the increase an hour."""
        memory, s = self._memory, turn.series
        counter = memory["kind"][s] == _CUMULATIVE
        if not counter.any():
            return turn, turn.value
        grown = turn.value - self._readings.numbers_of(s)
        self._readings.keep(s, turn.value, counter)
        hours = (turn.time_ms - memory["last_ms"][s]) / HOUR_MS
        value = np.where(counter, grown / np.maximum(hours, 1e-9), turn.value)
        # The first reading and one after a reset have no increase.
        known = ~counter | (grown >= 0)
        memory["last_ms"][s[~known]] = turn.time_ms[~known]
        return turn.select(known), value[known]

    def _judge(self, turn: Round, value: Float64, scores: Scores) -> None:
        if not len(turn.place):
            return
        memory, s = self._memory, turn.series
        seen = features.compute_features(memory, turn, within_reach(value), self._offset_ms)
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
            chance=float16_storage.chance_of(turn.time_ms),
        )
        self._tails.put(s, held)
        # Beyond the band by no more than rounding is within it.
        within = (seen.value <= high + seen.dust) & (seen.value >= low - seen.dust)
        judged[within | ~able] = 0.0
        np.clip(judged, -_MOST, _MOST, out=judged)
        surprise, awake = self._combine(turn, judged, able, seen)
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
        self._report(turn, scores, told, judged, band)

    def _combine(
        self, turn: Round, judged: NDArray[Any], able: Bool, seen: features.Features
    ) -> tuple[Float64, Bool]:
        memory, s, scale = self._memory, turn.series, seen.scale
        many = able.sum(axis=0)
        mean = np.abs(judged).sum(axis=0, dtype=np.float64) / np.maximum(many, _ENOUGH_STREAMS)
        recent = memory["recent"][s].astype(np.float64)
        recent += (mean - recent) / (_SMOOTHING * scale)
        memory["recent"][s] = recent
        settling = np.maximum(memory["settling"][s] - 1.0 / scale, 0.0)
        settling = np.where(seen.gap_steps > _LONG_GAP_STEPS, _SETTLING, settling)
        memory["settling"][s] = settling
        surprise = mean + 0.5 * recent
        surprise -= daily_pattern.follow_habits(memory, s, turn.time_ms + self._offset_ms, surprise)
        return surprise, (many > 0) & (settling <= 0)

    def _report(
        self,
        turn: Round,
        scores: Scores,
        told: events.Events,
        judged: NDArray[Any],
        band: Float64,
    ) -> None:
        memory, s, place = self._memory, turn.series, turn.place
        scores.score[place] = told.score
        scores.onset[place] = told.onset
        scores.expected[place], scores.low[place], scores.high[place] = band
        most = np.abs(judged).argmax(axis=0)
        strongest = judged[most, np.arange(len(most))]
        fresh = np.where(strongest >= 0, _HIGHER[most], _LOWER[most])
        # An event keeps the reason of its highest onset.
        reason = np.where(told.onset > 0, fresh, memory["reason"][s]) * told.ongoing
        since = np.where(told.began, turn.time_ms, self._since_ms.of(s, turn.time_ms))
        self._since_ms.keep(s, since, told.ongoing)
        memory["reason"][s] = reason
        scores.reason[place], scores.since_ms[place] = reason, since
