"""What surprises at the same hour day after day is a habit, not an event.

A job at night, a pump that starts at six: each of them leaves the band, each day anew. For each
hour of the day the highest surprise of its last three days is kept. What all three had in
common, in this hour or one beside it, is taken from the surprise of today.
"""

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection.state_arrays import ArraySpec, StateArrays
from telemetry.batches import Float64, Int64

DAYS, HOURS = 3, 24
_FINENESS = 20.0  # a byte holds surprises up to 12.75
_HOUR_MS = 3_600_000
_NO_HOUR = -1

ARRAYS = {
    "daily_surprise": ArraySpec(np.uint8, 0.0, (DAYS, HOURS)),
    "hour_surprise": ArraySpec(np.uint8),
    "current_hour": ArraySpec(np.int8, _NO_HOUR),
}


def follow_daily_pattern(
    memory: StateArrays, s: Int64, local_ms: Int64, surprise: Float64
) -> Float64:
    """How much of each surprise is usual at this hour; this one is learnt."""
    hour = local_ms // _HOUR_MS % HOURS
    before = memory["current_hour"][s].astype(np.int64)
    now = memory["hour_surprise"][s]
    over = np.flatnonzero(before != hour)
    if len(over):
        done = over[before[over] != _NO_HOUR]
        _close_hour(memory, s[done], before[done], now[done])
        now[over] = 0
        memory["current_hour"][s[over]] = hour[over]
    fresh = np.minimum(surprise * _FINENESS, 255.0).astype(np.uint8)
    memory["hour_surprise"][s] = np.maximum(now, fresh)
    around = np.stack([(hour + step) % HOURS for step in (-1, 0, 1)])
    habit = memory["daily_surprise"]
    days = [habit[s, day, around].max(axis=0) for day in range(DAYS)]
    usual: Float64 = np.minimum.reduce(days) / _FINENESS
    return usual


def _close_hour(memory: StateArrays, s: Int64, hour: Int64, highest: NDArray[np.uint8]) -> None:
    habit = memory["daily_surprise"]
    for day in range(DAYS - 1, 0, -1):
        habit[s, day, hour] = habit[s, day - 1, hour]
    habit[s, 0, hour] = highest
