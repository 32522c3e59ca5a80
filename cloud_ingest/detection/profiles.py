"""What is usual at a time: means of the half hour and hour of the day, and the hour of the week."""

from dataclasses import dataclass

import numpy as np

from cloud_ingest.detection.memory import Column, Memory
from cloud_ingest.detection.rounds import Round
from telemetry.batches import Bool, Float64, Int64

HALF_HOUR_MS = 1_800_000
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
MONDAY_MS = 4 * DAY_MS  # 1970-01-05
HALF_HOURS, HOURS, WEEK_HOURS = 48, 24, 168
_NEVER = -(2**62)
_PROFILE_DAYS = 17
_MOST_VISITS = 250

# (least visits, most visits that count, hours of a slot)
_HALF_HOUR_VISITS = (1, 100.0, 0.5)
_HOUR_VISITS = (24, 400.0, 1.0)
_WEEK_HOUR_VISITS = (1, 100.0, 1.0)

COLUMNS = {
    "first_ms": Column(np.int64, _NEVER),
    "by_half_hour": Column(np.float32, 0.0, (HALF_HOURS,)),
    "by_hour": Column(np.float32, 0.0, (HOURS,)),
    "by_week_hour": Column(np.float32, 0.0, (WEEK_HOURS,)),
    "by_hour_far": Column(np.float32, 0.0, (HOURS,)),
    "visits": Column(np.uint8, 0.0, (HALF_HOURS,)),
    "week_visits": Column(np.uint8, 0.0, (WEEK_HOURS,)),
}


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Residuals from the three profiles (3, samples), which exist, and the usual distance.

    ``distance`` is the mean distance from the half hour's mean, the largest of this half hour
    and its neighbours: what happens each day, but not to the minute, is not unusual.
    """

    residual: Float64
    exists: Bool
    distance: Float64


def follow_profiles(
    memory: Memory, turn: Round, value: Float64, offset_ms: int, interval_h: Float64
) -> Place:
    """Where this round's values lie in their day and week; the profiles learn them."""
    s = turn.series
    first = memory["first_ms"][s]
    first = np.where(first == _NEVER, turn.time_ms, first)
    memory["first_ms"][s] = first
    age_ms = turn.time_ms - first
    local = turn.time_ms + offset_ms
    half = local % DAY_MS // HALF_HOUR_MS
    hour = half // 2
    week_hour = (local - MONDAY_MS) % WEEK_MS // (2 * HALF_HOUR_MS)
    visits = memory["visits"][s, half].astype(np.int64)
    hour_visits = visits + memory["visits"][s, half ^ 1]
    week_visits = memory["week_visits"][s, week_hour].astype(np.int64)
    residual, exists = np.empty((3, len(s))), np.empty((3, len(s)), dtype=np.bool_)
    for k, name, slot, seen, limits, days in (
        (0, "by_half_hour", half, visits, _HALF_HOUR_VISITS, 1),
        (1, "by_hour", hour, hour_visits, _HOUR_VISITS, 1),
        (2, "by_week_hour", week_hour, week_visits, _WEEK_HOUR_VISITS, 7),
    ):
        least, most, hours = limits
        mean = memory[name][s, slot].astype(np.float64)
        residual[k] = value - mean
        exists[k] = (seen >= least) & (age_ms > days * DAY_MS)
        longest = np.maximum(most, _PROFILE_DAYS * hours / np.maximum(interval_h, 1e-9))
        memory[name][s, slot] = mean + residual[k] / np.minimum(seen + 1.0, longest)
    distance = _follow_distance(memory, s, hour, np.abs(residual[0]), hour_visits, interval_h)
    memory["visits"][s, half] = np.minimum(visits + 1, _MOST_VISITS)
    memory["week_visits"][s, week_hour] = np.minimum(week_visits + 1, _MOST_VISITS)
    return Place(residual, exists, distance)


def _follow_distance(
    memory: Memory, s: Int64, hour: Int64, far: Float64, visits: Int64, interval_h: Float64
) -> Float64:
    distances = memory["by_hour_far"]
    own = distances[s, hour].astype(np.float64)
    beside = np.maximum(distances[s, (hour + 1) % HOURS], distances[s, (hour - 1) % HOURS])
    _, most, hours = _HOUR_VISITS
    longest = np.maximum(most, _PROFILE_DAYS * hours / np.maximum(interval_h, 1e-9))
    learnt = own + (far - own) / np.minimum(np.maximum(visits, 1), longest)
    distances[s, hour] = np.where(visits > 0, learnt, own)
    widest: Float64 = np.maximum(own, beside)
    return widest
