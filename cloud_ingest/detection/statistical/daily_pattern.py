"""The daily pattern of surprise: what is unusual at the same hour every day is not an event.

A job at night or a pump that starts at six leaves the band every day. For each hour of the day the
state holds the highest surprise of each of the last three days. The part that all three days have
in common, in this hour or one beside it, is subtracted from the surprise of today.
"""

import numpy as np

from cloud_ingest.detection.state_arrays import ArraySpec, StateArrays
from telemetry.batches import Float64, Int64, UInt8

DAYS, HOURS = 3, 24
_STEPS = 20.0  # per unit of surprise: a byte holds up to 12.75, rounded down
_HOUR_MS = 3_600_000
_NO_HOUR = -1

ARRAYS = {
    "daily_surprise": ArraySpec(np.uint8, 0.0, (DAYS, HOURS)),
    "hour_surprise": ArraySpec(np.uint8),
    "current_hour": ArraySpec(np.int8, _NO_HOUR),
}


def follow_daily_pattern(
    state: StateArrays, s: Int64, local_ms: Int64, surprise: Float64
) -> Float64:
    """The part of each surprise that is usual at this hour; the surprise is learnt."""
    hour = local_ms // _HOUR_MS % HOURS
    before = state["current_hour"][s].astype(np.int64)
    highest = state["hour_surprise"][s]
    changed = np.flatnonzero(before != hour)
    if len(changed):
        done = changed[before[changed] != _NO_HOUR]
        _close_hour(state, s[done], before[done], highest[done])
        highest[changed] = 0
        state["current_hour"][s[changed]] = hour[changed]
    rounded = np.minimum(surprise * _STEPS, 255.0).astype(np.uint8)
    state["hour_surprise"][s] = np.maximum(highest, rounded)
    hours = np.stack([(hour + step) % HOURS for step in (-1, 0, 1)])
    days = [state["daily_surprise"][s, day, hours].max(axis=0) for day in range(DAYS)]
    usual: Float64 = np.minimum.reduce(days) / _STEPS
    return usual


def _close_hour(state: StateArrays, s: Int64, hour: Int64, highest: UInt8) -> None:
    """Store the highest surprise of an hour that is over; the oldest of the three days is dropped."""
    table = state["daily_surprise"]
    table[s, 1:, hour] = table[s, :-1, hour]
    table[s, 0, hour] = highest
