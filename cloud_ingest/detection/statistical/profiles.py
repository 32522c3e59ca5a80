"""Usual values by time: means of the half hour and hour of the day and of two-hour cells of the week.

Within a two-hour cell of the week the half hours of the day give the shape, so that a steep rise
each morning is not unusual every week.
"""

from dataclasses import dataclass

import numpy as np

from cloud_ingest.detection.detector import NEVER
from cloud_ingest.detection.evaluation_ticks import Tick
from cloud_ingest.detection.state_arrays import ArraySpec, StateArrays
from telemetry.batches import Bool, Float64, Int64

HALF_HOUR_MS = 1_800_000
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
MONDAY_MS = 4 * DAY_MS  # 1970-01-05
HALF_HOURS, HOURS = 48, 24
_HALF_HOURS_PER_CELL = 4
WEEK_CELLS = 7 * HALF_HOURS // _HALF_HOURS_PER_CELL
_PROFILE_DAYS = 17  # days over which a mean of the day remembers, weeks for one of the week
_MOST_DAY_COUNT, _MOST_WEEK_COUNT = 250, 400

ARRAYS = {
    "first_ms": ArraySpec(np.int64, NEVER),
    "half_hour_mean": ArraySpec(np.float32, 0.0, (HALF_HOURS,)),
    "hour_mean": ArraySpec(np.float32, 0.0, (HOURS,)),
    "week_mean": ArraySpec(np.float32, 0.0, (WEEK_CELLS,)),
    "hour_distance": ArraySpec(np.float32, 0.0, (HOURS,)),
    "half_hour_count": ArraySpec(np.uint8, 0.0, (HALF_HOURS,)),
    "week_count": ArraySpec(np.uint16, 0.0, (WEEK_CELLS,)),
}


@dataclass(frozen=True, slots=True)
class _Profile:
    """How one profile learns and when it may be used.

    ``array``: name in the state. ``least``: samples that a cell needs before it is used, ``most``:
    samples that it remembers at least. ``cell_h``: length of a cell. ``days``: age that a series needs.
    """

    array: str
    least: int
    most: float
    cell_h: float
    days: int

    def memory(self, interval_h: Float64) -> Float64:
        """Number of samples over which a cell remembers."""
        longest: Float64 = _PROFILE_DAYS * self.cell_h / np.maximum(interval_h, 1e-9)
        return np.maximum(self.most, longest)


_HALF_HOUR = _Profile("half_hour_mean", 1, 100.0, 0.5, 1)
_HOUR = _Profile("hour_mean", 24, 400.0, 1.0, 1)
_WEEK = _Profile("week_mean", 1, 100.0, 2.0, 7)


@dataclass(frozen=True, slots=True, eq=False)
class ProfileResiduals:
    """Differences between the values of a tick and their profiles.

    ``residual`` and ``known`` are (3, samples): half hour, hour, week. ``distance`` is the mean
    absolute residual from the half hour, the largest of this hour and the two beside it, so that
    a daily event may come somewhat earlier or later.
    """

    residual: Float64
    known: Bool
    distance: Float64


def follow_profiles(
    state: StateArrays, tick: Tick, value: Float64, utc_offset_ms: int, interval_h: Float64
) -> ProfileResiduals:
    """Compare a tick with the profiles, then update them.

    ``utc_offset_ms`` is local time minus UTC, ``interval_h`` the usual time between samples.
    """
    s = tick.series
    first_ms = state["first_ms"][s]
    first_ms = np.where(first_ms == NEVER, tick.time_ms, first_ms)
    state["first_ms"][s] = first_ms
    age_ms = tick.time_ms - first_ms
    local_ms = tick.time_ms + utc_offset_ms
    half_hour = local_ms % DAY_MS // HALF_HOUR_MS
    hour = half_hour // 2
    week_cell = (local_ms - MONDAY_MS) % WEEK_MS // (_HALF_HOURS_PER_CELL * HALF_HOUR_MS)
    half_hour_count = state["half_hour_count"][s, half_hour].astype(np.int64)
    hour_count = half_hour_count + state["half_hour_count"][s, half_hour ^ 1]
    week_count = state["week_count"][s, week_cell].astype(np.int64)
    shape = _shape_within_cell(state, s, half_hour)
    residual, known = np.empty((3, len(s))), np.empty((3, len(s)), dtype=np.bool_)
    for k, profile, cell, count, expected in (
        (0, _HALF_HOUR, half_hour, half_hour_count, value),
        (1, _HOUR, hour, hour_count, value),
        (2, _WEEK, week_cell, week_count, value - shape),
    ):
        mean = state[profile.array][s, cell].astype(np.float64)
        residual[k] = expected - mean
        known[k] = (count >= profile.least) & (age_ms > profile.days * DAY_MS)
        mean += residual[k] / np.minimum(count + 1.0, profile.memory(interval_h))
        state[profile.array][s, cell] = mean
    distance = _follow_distance(state, s, hour, np.abs(residual[0]), hour_count, interval_h)
    state["half_hour_count"][s, half_hour] = np.minimum(half_hour_count + 1, _MOST_DAY_COUNT)
    state["week_count"][s, week_cell] = np.minimum(week_count + 1, _MOST_WEEK_COUNT)
    return ProfileResiduals(residual, known, distance)


def _shape_within_cell(state: StateArrays, s: Int64, half_hour: Int64) -> Float64:
    """Usual difference between a half hour and the mean of its two-hour cell, from the daily profile."""
    cell = half_hour[:, None] // _HALF_HOURS_PER_CELL * _HALF_HOURS_PER_CELL
    cell = cell + np.arange(_HALF_HOURS_PER_CELL)
    mean = state["half_hour_mean"][s[:, None], cell].astype(np.float64)
    seen = state["half_hour_count"][s[:, None], cell] > 0
    average = np.where(seen, mean, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    own = np.arange(len(s)), half_hour % _HALF_HOURS_PER_CELL
    return np.where(seen[own], mean[own] - average, 0.0)


def _follow_distance(
    state: StateArrays, s: Int64, hour: Int64, distance: Float64, count: Int64, interval_h: Float64
) -> Float64:
    """The largest mean distance of this hour and the two beside it, before ``distance`` is learnt."""
    table = state["hour_distance"]
    own = table[s, hour].astype(np.float64)
    beside = np.maximum(table[s, (hour + 1) % HOURS], table[s, (hour - 1) % HOURS])
    rate = 1.0 / np.minimum(np.maximum(count, 1), _HOUR.memory(interval_h))
    table[s, hour] = np.where(count > 0, own + rate * (distance - own), own)
    widest: Float64 = np.maximum(own, beside)
    return widest
