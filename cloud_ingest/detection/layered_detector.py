"""All layers as one detector, for the rules of the kind ``anomaly``."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection.decimation import LatestScores, ScorableSamples, prefer_faults
from cloud_ingest.detection.detector import (
    NEVER,
    AnyScores,
    HeldScores,
    Scores,
    State,
    threshold_for_budget,
)
from cloud_ingest.detection.sensor_faults.detector import FaultDetector
from cloud_ingest.detection.state_arrays import ArraySpec, StateArrays
from cloud_ingest.detection.statistical.ensemble import EnsembleDetector
from cloud_ingest.detection.statistical.seasonal_residual import SeasonalResidualDetector
from telemetry.batches import Bool, Int64, SampleBatch
from telemetry.series import Series
from telemetry.time.local_time import UTC_OFFSET_H

LONG_MS = 300_000
"""Interval of the ensemble, whose working step it is."""
MINUTE_MS = 60_000
"""Interval of the fault layer, and of the first path."""
SHORT_MS = 5_000
"""Shortest interval: for new series and values outside their band."""
_FIRST_SLOTS = 8
"""Parts of the day in the first path: few, because it works during the first days only."""
IN_DOUBT = threshold_for_budget(4.0)
"""From this fault score on, a sample has the score of the fault layer."""


class LayeredDetector:
    """The statistical layer (the ensemble) and the fault layer together.

    Until the ensemble knows a series (about a hundred samples, or eight hours where sampling is
    faster than every five minutes) the *first path* stands in for it: the residual from the hour
    of the day. Where the fault layer doubts the sensor, a sample has the fault's score, else the
    statistical one.

    The ensemble judges a series once in five minutes, the first path and the fault layer once a
    minute. Between its turns, the first path and the fault layer also judge a value outside the
    band of their last judgement, at most every five seconds. The first path also judges the first
    samples of a series. For all other samples the last judgement holds.
    """

    def __init__(self, *, utc_offset_h: float = UTC_OFFSET_H, warm_up_samples: int = 24) -> None:
        self._first = SeasonalResidualDetector(
            utc_offset_h=utc_offset_h, warm_up_samples=warm_up_samples, slots=_FIRST_SLOTS
        )
        self._ensemble = EnsembleDetector(utc_offset_h=utc_offset_h)
        self._fault = FaultDetector()
        self._early_samples = warm_up_samples + 1
        self._statistical_scores, self._fault_scores = LatestScores(), LatestScores()
        self._own = StateArrays(
            {
                "last_ms": ArraySpec(np.int64, NEVER),
                "early_count": ArraySpec(np.uint8),
                "known": ArraySpec(np.bool_),
            }
        )
        self._parts: dict[
            str, SeasonalResidualDetector | EnsembleDetector | FaultDetector | LatestScores
        ] = {
            "first": self._first,
            "statistical": self._ensemble,
            "fault": self._fault,
            "statistical_scores": self._statistical_scores,
            "fault_scores": self._fault_scores,
        }

    @property
    def bytes_per_series(self) -> int:
        """Bytes of state for each series."""
        return self._own.bytes_per_row + sum(p.bytes_per_series for p in self._parts.values())

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series."""
        for detector in (self._first, self._ensemble, self._fault):
            detector.register(series)
        self._own.grow(max((s.index for s in series), default=-1) + 1)
        for scores in (self._statistical_scores, self._fault_scores):
            scores.grow(self._own.rows)

    def update(self, batch: SampleBatch) -> AnyScores:
        """Judge each sample by every layer, then learn from it."""
        last_ms = self._own["last_ms"]
        samples = ScorableSamples.of(batch, last_ms)
        if not len(samples.series):
            return Scores.unjudged(batch)
        # Only the first samples in five seconds can be judged; for the others a judgement holds.
        short = samples.first_in_slot(SHORT_MS, last_ms)
        at = np.flatnonzero(short | samples.starts)
        found = self._judge(samples.subset(at), short[at], last_ms)
        scores = HeldScores(at[found.begin], found.judged, samples.batch.time_ms)
        last = np.append(samples.head[1:], len(short)) - 1
        last_ms[samples.series[last]] = samples.batch.time_ms[last]
        return samples.scores_for(batch, scores)

    def _judge(self, samples: ScorableSamples, short: Bool, last_ms: Int64) -> HeldScores:
        """Scores of all layers; ``short`` marks the first samples in five seconds."""
        minute = samples.first_in_slot(MINUTE_MS, last_ms)
        long = samples.first_in_slot(LONG_MS, last_ms)
        # In a backlog the band of the last judgement is soon out of date.
        recently_judged = short & samples.until_second(minute)
        statistical = self._judge_value(samples, long, minute, short, recently_judged)
        fault = self._judge_sensor(samples, minute, recently_judged)
        return prefer_faults(statistical, fault, IN_DOUBT)

    def _judge_value(
        self, samples: ScorableSamples, long: Bool, minute: Bool, short: Bool, recently_judged: Bool
    ) -> HeldScores:
        """Statistical scores, by the ensemble or, until it knows a series, by the first path."""
        known = self._own["known"]
        judged = self._ensemble.update(samples.batch.select(long))
        now_known = np.isfinite(judged.expected)
        first = minute & ~known[samples.series]
        first[self._early_or_outside(samples, short, recently_judged)] = True
        first[long] = ~now_known
        known[samples.series[long]] = now_known
        judged_at = long | first
        scores = Scores.unjudged(samples.batch.select(judged_at))
        scores.put(long[judged_at], judged)
        if first.any():
            scores.put(first[judged_at], self._first.update(samples.batch.select(first)))
        return self._statistical_scores.hold(samples, judged_at, scores)

    def _early_or_outside(
        self, samples: ScorableSamples, short: Bool, recently_judged: Bool
    ) -> Int64:
        """Of series that the ensemble does not know: the first samples and values outside the band."""
        early_count = self._own["early_count"]
        at: Int64 = np.flatnonzero(short)
        at = at[~self._own["known"][samples.series[at]]]
        if not len(at):
            return at
        s = samples.series[at]
        rank = early_count[s] + samples.rank(short)[at]
        early_count[s] = np.minimum(rank + 1, self._early_samples)
        chosen = rank < self._early_samples
        chosen |= self._statistical_scores.outside(s, samples.batch.value[at]) & recently_judged[at]
        found: Int64 = at[chosen]
        return found

    def _judge_sensor(
        self, samples: ScorableSamples, minute: Bool, recently_judged: Bool
    ) -> HeldScores:
        """Scores of the fault layer."""
        at = np.flatnonzero(recently_judged)
        outside = self._fault_scores.outside(samples.series[at], samples.batch.value[at])
        judged_at = minute.copy()
        judged_at[at[outside]] = True
        judged = self._fault.update(samples.batch.select(judged_at))
        return self._fault_scores.hold(samples, judged_at, judged)

    def state(self) -> State:
        """A copy of everything learnt."""
        saved = {"own": self._own.save()} | {n: p.state() for n, p in self._parts.items()}
        return {f"{name}.{key}": v for name, part in saved.items() for key, v in part.items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a saved state."""
        for name, part in self._parts.items():
            part.restore(_part_of(state, name))
        self._own.load(_part_of(state, "own"))


def _part_of(state: Mapping[str, NDArray[Any]], name: str) -> State:
    prefix = f"{name}."
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
