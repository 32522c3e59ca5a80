"""All layers as one detector: what the rules of the kind ``anomaly`` run on."""

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
from cloud_ingest.detection.state_arrays import ArraySpec, StateArrays, saved_table
from cloud_ingest.detection.statistical.ensemble import EnsembleDetector
from cloud_ingest.detection.statistical.seasonal_residual import SeasonalResidualDetector
from telemetry.batches import Bool, Int64, SampleBatch
from telemetry.local_time import UTC_OFFSET_H
from telemetry.series import Series

LOOK_MS = 60_000
SHORT_LOOK_MS = 5_000
LONG_LOOK_MS = 300_000
_FIRST_SLOTS = 8
"""Parts of the day that the first path tells apart: in the days before the ensemble takes over it
meets each one or two times."""
IN_DOUBT = threshold_for_budget(4.0)
"""From this fault score on, a sample speaks of its sensor and not of the world."""


class LayeredDetector:
    """The statistical and the fault layer side by side, with a first path until they have learnt.

    Until the ensemble knows a series (about a hundred samples, or eight hours where sampling is
    faster than every five minutes) the residual from the hour of the day stands in for it. A
    sample whose sensor is in doubt carries the fault; any other one the statistical judgement.

    Series that are sampled faster are looked at once a minute, by the ensemble, whose streams
    step in five minutes, once in five: what needs minutes to be seen does not gain from a look
    each second. Up to every five seconds the first path also looks at the first samples of a
    series, and both it and the fault layer at values outside the band that they drew. Between
    two looks a judgement stands.
    """

    def __init__(self, *, utc_offset_h: float = UTC_OFFSET_H, warm_up_samples: int = 24) -> None:
        self._first = SeasonalResidualDetector(
            utc_offset_h=utc_offset_h, warm_up_samples=warm_up_samples, slots=_FIRST_SLOTS
        )
        self._statistical = EnsembleDetector(utc_offset_h=utc_offset_h)
        self._fault = FaultDetector()
        self._young_looks = warm_up_samples + 1
        self._world, self._sensor = LatestScores(), LatestScores()
        self._own = StateArrays(
            {
                "last_ms": ArraySpec(np.int64, NEVER),
                "looks": ArraySpec(np.uint8),
                "known": ArraySpec(np.bool_),
            }
        )
        self._parts: dict[str, SeasonalResidualDetector | EnsembleDetector | FaultDetector] = {
            "first": self._first,
            "statistical": self._statistical,
            "fault": self._fault,
        }
        self._memories = {
            "own": self._own,
            "world": self._world.memory,
            "sensor": self._sensor.memory,
        }

    @property
    def bytes_per_series(self) -> int:
        """StateArrays that one series takes."""
        held = self._world.numbers.bytes_per_row + self._sensor.numbers.bytes_per_row
        own = sum(m.bytes_per_row for m in self._memories.values())
        return held + own + sum(p.bytes_per_series for p in self._parts.values())

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series."""
        for part in self._parts.values():
            part.register(series)
        for memory in self._memories.values():
            memory.grow(max((s.index for s in series), default=-1) + 1)
        for held in (self._world, self._sensor):
            held.numbers.grow(self._own.rows)

    def update(self, batch: SampleBatch) -> AnyScores:
        """Judge each sample by every layer, then learn from it."""
        last_ms = self._own["last_ms"]
        stretch = ScorableSamples.of(batch, last_ms)
        if not len(stretch.series):
            return Scores.unjudged(batch)
        # Where nothing is looked at, a judgement stands: all else needs these samples only.
        short = stretch.first_in_slot(SHORT_LOOK_MS, last_ms)
        places = np.flatnonzero(short | stretch.starts)
        found = self._look(stretch.at(places), short[places], last_ms)
        scores = HeldScores(places[found.begin], found.judged, stretch.batch.time_ms)
        last = np.append(stretch.head[1:], len(short)) - 1
        last_ms[stretch.series[last]] = stretch.batch.time_ms[last]
        return stretch.in_place_of(batch, scores)

    def _look(self, stretch: ScorableSamples, short: Bool, last_ms: Int64) -> HeldScores:
        """Judge what there is to look at; ``short`` are the first samples in five seconds."""
        minute = stretch.first_in_slot(LOOK_MS, last_ms)
        long = stretch.first_in_slot(LONG_LOOK_MS, last_ms)
        # In a backlog the band that was held is soon out of date.
        outside = short & stretch.early(minute)
        world = self._look_at_world(stretch, long, minute, short, outside)
        sensor = self._look_at_sensor(stretch, minute, outside)
        return prefer_faults(world, sensor, IN_DOUBT)

    def _look_at_world(
        self, stretch: ScorableSamples, long: Bool, minute: Bool, short: Bool, outside: Bool
    ) -> HeldScores:
        """What is unusual for the series: the ensemble's word, else the first path's."""
        known = self._own["known"]
        judged = self._statistical.update(stretch.batch.select(long))
        told = np.isfinite(judged.expected)
        first = minute & ~known[stretch.series]
        first[self._odd(stretch, short, outside)] = True
        first[long] = ~told
        known[stretch.series[long]] = told
        look = long | first
        scores = Scores.unjudged(stretch.batch.select(look))
        scores.put(long[look], judged)
        if first.any():
            scores.put(first[look], self._first.update(stretch.batch.select(first)))
        return self._world.between(stretch, look, scores)

    def _odd(self, stretch: ScorableSamples, short: Bool, outside: Bool) -> Int64:
        """Where series that the ensemble does not know are new, or outside the last band."""
        looks = self._own["looks"]
        at: Int64 = np.flatnonzero(short)
        at = at[~self._own["known"][stretch.series[at]]]
        if not len(at):
            return at
        s = stretch.series[at]
        rank = looks[s] + stretch.rank(short)[at]
        looks[s] = np.minimum(rank + 1, self._young_looks)
        odd = rank < self._young_looks
        odd |= self._world.outside(s, stretch.batch.value[at]) & outside[at]
        found: Int64 = at[odd]
        return found

    def _look_at_sensor(self, stretch: ScorableSamples, minute: Bool, outside: Bool) -> HeldScores:
        """What is wrong with the sensor."""
        at = np.flatnonzero(outside)
        odd = self._sensor.outside(stretch.series[at], stretch.batch.value[at])
        look = minute.copy()
        look[at[odd]] = True
        judged = self._fault.update(stretch.batch.select(look))
        return self._sensor.between(stretch, look, judged)

    def state(self) -> State:
        """A copy of everything learnt."""
        saved = {n: p.state() for n, p in self._parts.items()}
        saved |= {n: m.save() for n, m in self._memories.items()}
        for name, held in (("world", self._world), ("sensor", self._sensor)):
            saved[name]["numbers"] = held.numbers.save()
            saved[name] |= held.since_ms.save("since_ms")
        return {f"{name}.{key}": v for name, part in saved.items() for key, v in part.items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        for name, part in self._parts.items():
            part.restore(_part_of(state, name))
        for name, memory in self._memories.items():
            memory.load(_part_of(state, name))
        for name, held in (("world", self._world), ("sensor", self._sensor)):
            held.numbers.load(saved_table(_part_of(state, name)))
            held.since_ms.load(_part_of(state, name), "since_ms")


def _part_of(state: Mapping[str, NDArray[Any]], name: str) -> State:
    prefix = f"{name}."
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
