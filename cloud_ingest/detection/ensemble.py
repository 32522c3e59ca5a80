"""The statistical layer: is this unusual for this series."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection import events, features, tails
from cloud_ingest.detection.features import STREAMS, Stream
from cloud_ingest.detection.memory import Column, Memory
from cloud_ingest.detection.protocol import HIGHEST_SCORE, Reason, Scores, State
from cloud_ingest.detection.rounds import Round, rounds, usable
from telemetry.batches import Bool, Float64, SampleBatch
from telemetry.quantities import QUANTITIES
from telemetry.series import Series

HOUR_MS = 3_600_000
_SMOOTHING = 6.0  # working steps over which recent surprise adds to the present one
_SETTLING = 12.0  # working steps after a gap of a day in which nothing is an onset
_LONG_GAP_STEPS = 288.0

_PLAIN, _CUMULATIVE, _CIRCULAR = range(3)

_HIGHER = np.array(
    [
        Reason.HIGH_FOR_TIME,
        Reason.HIGH_FOR_TIME,
        Reason.HIGH_FOR_TIME,
        Reason.SHIFT_UP,
        Reason.RISE,
        Reason.UNSTEADY,
        Reason.HIGH,
    ],
    dtype=np.uint8,
)
_LOWER = np.array(
    [
        Reason.LOW_FOR_TIME,
        Reason.LOW_FOR_TIME,
        Reason.LOW_FOR_TIME,
        Reason.SHIFT_DOWN,
        Reason.FALL,
        Reason.QUIET,
        Reason.LOW,
    ],
    dtype=np.uint8,
)


class EnsembleDetector:
    """The mean surprise of several streams, as a calibrated return period.

    Seven streams for each series (see features), each judged against its own history (see
    tails); their mean surprise, smoothed a little, makes events with a return period (see
    events). A counter is judged by its increase an hour; an angle is not judged. Reason and band
    come from the stream that is most surprised and from the profile of the half hour.
    """

    def __init__(self, *, utc_offset_h: float = 7.0) -> None:
        self._offset_ms = round(utc_offset_h * HOUR_MS)
        self._memory = Memory(
            {
                "kind": Column(np.uint8),
                "raw_value": Column(np.float64),
                "raw_ms": Column(np.int64, features.NEVER),
                "recent": Column(np.float64),
                "settling": Column(np.float64),
                "reason": Column(np.uint8),
                "since_ms": Column(np.int64, features.NEVER),
                "tails": Column(np.float64, 0.0, (tails.FIELDS, STREAMS)),
                **features.COLUMNS,
                **events.COLUMNS,
            }
        )

    @property
    def bytes_a_series(self) -> int:
        """Memory that one series takes."""
        return self._memory.bytes_a_row

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series."""
        if not series:
            return
        self._memory.make_room(max(s.index for s in series) + 1)
        for one in series:
            known = QUANTITIES.get(one.quantity)
            kind = _PLAIN
            if known is not None and known.cumulative:
                kind = _CUMULATIVE
            elif known is not None and known.circular:
                kind = _CIRCULAR
            self._memory["kind"][one.index] = kind
            if self._memory["count"][one.index] == 0:
                self._memory["tails"][one.index] = tails.start_tails((tails.FIELDS, STREAMS))

    def update(self, batch: SampleBatch) -> Scores:
        """Judge each sample, then learn from it."""
        scores = Scores.unjudged(batch)
        for turn in rounds(batch, usable(batch)):
            fresh = turn.time_ms > self._memory["raw_ms"][turn.series]
            fresh &= self._memory["kind"][turn.series] != _CIRCULAR
            turn = turn if fresh.all() else turn.select(fresh)  # noqa: PLW2901
            if len(turn.place):
                self._judge(*self._signal(turn), scores)
        return scores

    def state(self) -> State:
        """A copy of everything learnt."""
        return self._memory.save()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        self._memory.load(state)

    def _signal(self, turn: Round) -> tuple[Round, Float64]:
        """The samples to judge, and their values: for a counter the increase an hour."""
        memory, s = self._memory, turn.series
        counter = memory["kind"][s] == _CUMULATIVE
        before, before_ms = memory["raw_value"][s], memory["raw_ms"][s]
        memory["raw_value"][s], memory["raw_ms"][s] = turn.value, turn.time_ms
        if not counter.any():
            return turn, turn.value
        grown = turn.value - before
        hours = (turn.time_ms - before_ms) / HOUR_MS
        value = np.where(counter, grown / np.maximum(hours, 1e-9), turn.value)
        # The first reading and one after a reset have no increase.
        known = ~counter | ((grown >= 0) & (before_ms != features.NEVER))
        return turn.select(known), value[known]

    def _judge(self, turn: Round, value: Float64, scores: Scores) -> None:
        if not len(turn.place):
            return
        memory, s = self._memory, turn.series
        seen = features.compute_features(memory, turn, value, self._offset_ms)
        before = memory["tails"][s]
        judged, memory["tails"][s] = tails.judge_tails(
            before, seen.value, seen.given, seen.scale, upper_only=features.UPPER_ONLY
        )
        scale = seen.scale[:, 0]
        surprise, awake = self._combine(turn, judged, before, seen, scale)
        told = events.find_events(
            memory,
            s,
            surprise,
            awake,
            scale,
            np.minimum(seen.gap_steps, 2.0) * seen.interval_h,
            HIGHEST_SCORE,
        )
        self._report(turn, scores, told, judged, before, seen)

    def _combine(
        self,
        turn: Round,
        judged: Float64,
        before: Float64,
        seen: features.Features,
        scale: Float64,
    ) -> tuple[Float64, Bool]:
        memory, s = self._memory, turn.series
        able = seen.given & (before[:, tails.OVERS] >= 0)
        many = able.sum(axis=1)
        mean = np.abs(judged).sum(axis=1) / np.maximum(many, 0.4 * STREAMS)
        recent = memory["recent"][s]
        recent += (mean - recent) / (_SMOOTHING * scale)
        memory["recent"][s] = recent
        settling = np.maximum(memory["settling"][s] - 1.0 / scale, 0.0)
        settling = np.where(seen.gap_steps > _LONG_GAP_STEPS, _SETTLING, settling)
        memory["settling"][s] = settling
        return mean + 0.5 * recent, (many > 0) & (settling <= 0)

    def _report(
        self,
        turn: Round,
        scores: Scores,
        told: events.Events,
        judged: Float64,
        before: Float64,
        seen: features.Features,
    ) -> None:
        memory, s, place = self._memory, turn.series, turn.place
        scores.score[place] = told.score
        scores.onset[place] = told.onset
        profile = before[:, :, Stream.HALF_HOUR]
        able = seen.given[:, Stream.HALF_HOUR] & (profile[:, tails.OVERS] >= 0)
        scores.expected[place] = np.where(able, seen.usual, np.nan)
        scores.low[place] = np.where(able, seen.usual + profile[:, tails.LOW], np.nan)
        scores.high[place] = np.where(able, seen.usual + profile[:, tails.HIGH], np.nan)
        most = np.abs(judged).argmax(axis=1)
        strongest = judged[np.arange(len(most)), most]
        fresh = np.where(strongest >= 0, _HIGHER[most], _LOWER[most])
        # An event keeps the reason of its highest onset.
        reason = np.where(told.onset > 0, fresh, memory["reason"][s]) * told.ongoing
        since = np.where(told.ongoing & ~told.began, memory["since_ms"][s], turn.time_ms)
        memory["reason"][s], memory["since_ms"][s] = reason, since
        scores.reason[place], scores.since_ms[place] = reason, since
