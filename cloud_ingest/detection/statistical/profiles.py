"""What is usual at a time: means of the half hour and hour of the day, and of the time of the week.

A time of the week is two hours long. How a series moves within them is taken from the half hours
of the day, so a steep morning is no surprise each week.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection import float16_storage
from cloud_ingest.detection.evaluation_ticks import Tick
from cloud_ingest.detection.state_arrays import ArraySpec, StateArrays
from cloud_ingest.detection.statistical import time_of_week_counts as visits
from telemetry.batches import Bool, Float64, Int64

HALF_HOUR_MS = 1_800_000
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
MONDAY_MS = 4 * DAY_MS  # 1970-01-05
HALF_HOURS, HOURS = 48, 24
_HALVES = 4  # half hours in a time of the week
WEEK_TIMES = 7 * HALF_HOURS // _HALVES
_NEVER = -(2**62)
_PROFILE_DAYS = 17
_MOST_VISITS = 250

# (least visits, most visits that count, hours of a slot)
_HALF_HOUR_VISITS = (1, 100.0, 0.5)
_HOUR_VISITS = (24, 400.0, 1.0)
_WEEK_VISITS = (1, 100.0, 2.0)

ARRAYS = {
    "first_ms": ArraySpec(np.int64, _NEVER),
    "zero": ArraySpec(np.float32),
    "unit": ArraySpec(np.float32),
    "half_hour_mean": ArraySpec(np.float16, 0.0, (HALF_HOURS,)),
    "hour_mean": ArraySpec(np.float16, 0.0, (HOURS,)),
    "week_mean": ArraySpec(np.float16, 0.0, (WEEK_TIMES,)),
    "hour_distance": ArraySpec(np.float16, 0.0, (HOURS,)),
    "visits": ArraySpec(np.uint8, 0.0, (HALF_HOURS,)),
    "week_visits": ArraySpec(np.uint8, 0.0, (WEEK_TIMES // 2,)),
}
_PACKED = ("half_hour_mean", "hour_mean", "week_mean", "hour_distance")


@dataclass(frozen=True, slots=True, eq=False)
class ProfileResiduals:
    """Residuals from the three profiles (3, samples), which exist, and the usual distance.

    ``distance`` is the mean distance from the half hour's mean, the largest of this half hour
    and its neighbours: what happens each day, but not to the minute, is not unusual.
    """

    residual: Float64
    exists: Bool
    distance: Float64


def follow_profiles(
    memory: StateArrays, tick: Tick, value: Float64, offset_ms: int, interval_h: Float64
) -> ProfileResiduals:
    """Where this round's values lie in their day and week; the profiles learn them."""
    s = tick.series
    first = memory["first_ms"][s]
    new = first == _NEVER
    if new.any():
        first[new] = tick.time_ms[new]
        memory["first_ms"][s] = first
        memory["zero"][s[new]] = value[new]
    away, unit = _in_reach(memory, s, value)
    chance = float16_storage.chance_of(tick.time_ms)
    age_ms = tick.time_ms - first
    local = tick.time_ms + offset_ms
    half = local % DAY_MS // HALF_HOUR_MS
    hour = half // 2
    week_time = (local - MONDAY_MS) % WEEK_MS // (_HALVES * HALF_HOUR_MS)
    seen_half = memory["visits"][s, half].astype(np.int64)
    seen_hour = seen_half + memory["visits"][s, half ^ 1]
    seen_week = visits.visits_of(memory["week_visits"], s, week_time)
    within = (0.0, 0.0, _within_two_hours(memory, s, half, unit))
    residual, exists = np.empty((3, len(s))), np.empty((3, len(s)), dtype=np.bool_)
    for k, name, slot, seen, limits, days in (
        (0, "half_hour_mean", half, seen_half, _HALF_HOUR_VISITS, 1),
        (1, "hour_mean", hour, seen_hour, _HOUR_VISITS, 1),
        (2, "week_mean", week_time, seen_week, _WEEK_VISITS, 7),
    ):
        least, most, hours = limits
        mean = float16_storage.unpacked(memory[name][s, slot], unit)
        residual[k] = away - mean - within[k]
        exists[k] = (seen >= least) & (age_ms > days * DAY_MS)
        longest = np.maximum(most, _PROFILE_DAYS * hours / np.maximum(interval_h, 1e-9))
        mean += residual[k] / np.minimum(seen + 1.0, longest)
        memory[name][s, slot] = float16_storage.packed(mean, unit, chance)
    distances = _Distances(memory["hour_distance"], s, hour, unit, chance)
    distance = distances.follow(np.abs(residual[0]), seen_hour, interval_h)
    memory["visits"][s, half] = np.minimum(seen_half + 1, _MOST_VISITS)
    visits.count_visit(memory["week_visits"], s, week_time, chance)
    return ProfileResiduals(residual, exists, distance)


def _within_two_hours(memory: StateArrays, s: Int64, half: Int64, unit: Float64) -> Float64:
    """By how much a half hour usually differs from the others of its two hours of the day."""
    slots = half[:, None] // _HALVES * _HALVES + np.arange(_HALVES)
    mean = memory["half_hour_mean"][s[:, None], slots].astype(np.float64)
    met = memory["visits"][s[:, None], slots] > 0
    average = np.where(met, mean, 0.0).sum(axis=1) / np.maximum(met.sum(axis=1), 1)
    own = np.arange(len(s)), half % _HALVES
    return np.where(met[own], mean[own] - average, 0.0) * unit


def _in_reach(memory: StateArrays, s: Int64, value: Float64) -> tuple[Float64, Float64]:
    """How far values are from their series' zero, and units in which that can be packed."""
    away = value - memory["zero"][s]
    unit = memory["unit"][s].astype(np.float64)
    far = np.flatnonzero(float16_storage.too_far(away, unit))
    if len(far):
        rows, before = s[far], unit[far]
        unit[far] = memory["unit"][rows] = float16_storage.unit_for(away[far], before)
        held = before > 0  # without a unit there are only zeros
        if held.any():
            for name in _PACKED:
                float16_storage.rescale(memory[name], rows[held], (before / unit[far])[held])
    return away, np.where(unit > 0, unit, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Distances:
    """The mean distances from the half hour's mean, by hour of the day."""

    kept: NDArray[np.float16]
    series: Int64
    hour: Int64
    unit: Float64
    chance: NDArray[np.uint32]

    def follow(self, far: Float64, visits: Int64, interval_h: Float64) -> Float64:
        """The widest of this hour and those beside it; the distances ``far`` are learnt."""
        own = self._of(self.hour)
        beside = np.maximum(self._of((self.hour + 1) % HOURS), self._of((self.hour - 1) % HOURS))
        _, most, hours = _HOUR_VISITS
        longest = np.maximum(most, _PROFILE_DAYS * hours / np.maximum(interval_h, 1e-9))
        learnt = own + (far - own) / np.minimum(np.maximum(visits, 1), longest)
        learnt = np.where(visits > 0, learnt, own)
        self.kept[self.series, self.hour] = float16_storage.packed(learnt, self.unit, self.chance)
        widest: Float64 = np.maximum(own, beside)
        return widest

    def _of(self, hour: Int64) -> Float64:
        return float16_storage.unpacked(self.kept[self.series, hour], self.unit)
