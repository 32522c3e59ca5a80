"""What the statistical layer looks at: a few streams for each series.

Place in the day and week (half hour, hour, hour of the week), shift (a short mean against a
longer one, at two lengths), local spread, and the short mean itself.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from cloud_ingest.detection.memory import Column, Memory
from cloud_ingest.detection.rounds import Round
from telemetry.batches import Bool, Float64, Int64

HALF_HOUR_MS = 1_800_000
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
MONDAY_MS = 4 * DAY_MS  # 1970-01-05
HALF_HOURS, HOURS, WEEK_HOURS = 48, 24, 168
NEVER = -(2**62)


class Stream(IntEnum):
    """The streams of a series, in the order of their columns."""

    HALF_HOUR = 0
    HOUR = 1
    WEEK_HOUR = 2
    SHIFT_SLOW = 3
    SHIFT_FAST = 4
    SPREAD = 5
    LEVEL = 6


STREAMS = len(Stream)
UPPER_ONLY: Bool = np.array([s is Stream.SPREAD for s in Stream])

# Lengths in working steps: a sample, or five minutes where sampling is faster.
WORKING_STEP_H = 1 / 12
SHORT, MIDDLE = 12.0, 48.0
AGAINST_SHORT, AGAINST_MIDDLE = 100.0, 500.0
_MEANS = np.array([SHORT, MIDDLE, AGAINST_SHORT, AGAINST_MIDDLE, SHORT])
_MEAN_SHORT, _MEAN_MIDDLE, _LONG, _LONGER, _ROUGHNESS = range(5)

# (slots, where they start in the profile, least visits, most visits that count, days to wait)
_PROFILES = (
    (HALF_HOURS, 0, 1, 100, 1),
    (HOURS, HALF_HOURS, 24, 400, 1),
    (WEEK_HOURS, HALF_HOURS + HOURS, 1, 100, 7),
)
_SLOTS = HALF_HOURS + HOURS + WEEK_HOURS
_PROFILE_DAYS = 17

COLUMNS = {
    "first_ms": Column(np.int64, NEVER),
    "last_ms": Column(np.int64, NEVER),
    "last_value": Column(np.float64),
    "count": Column(np.float64),
    "interval_h": Column(np.float64),
    "scale": Column(np.float64),
    "usual_roughness": Column(np.float64),
    "means": Column(np.float64, 0.0, (len(_MEANS),)),
    "profile": Column(np.float32, 0.0, (_SLOTS,)),
    "visits": Column(np.uint16, 0.0, (_SLOTS,)),
}


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The streams of one round: (samples, STREAMS) values, and which of them exist yet."""

    value: Float64
    given: Bool
    scale: Float64
    interval_h: Float64
    gap_steps: Float64
    usual: Float64


def compute_features(memory: Memory, turn: Round, value: Float64, offset_ms: int) -> Features:
    """The streams of this round's values; brings the memory up to date with them."""
    s = turn.series
    count = memory["count"][s]
    interval_h, step_h = _follow_interval(memory, turn, count)
    scale = np.maximum(WORKING_STEP_H / np.maximum(interval_h, 1e-9), 1.0)
    gap_steps = np.where(step_h > 1.9 * interval_h, step_h / np.maximum(interval_h, 1e-9), 1.0)
    after_gap = gap_steps > SHORT * scale
    residual, exists = _place_in_time(memory, turn, value, offset_ms, interval_h)
    means = _follow_means(memory, s, value, count, scale, gap_steps, after_gap)
    n = len(s)
    out, given = np.zeros((n, STREAMS)), np.ones((n, STREAMS), dtype=np.bool_)
    out[:, :3], given[:, :3] = residual, exists
    out[:, Stream.SHIFT_SLOW] = means[:, _MEAN_MIDDLE] - means[:, _LONGER]
    out[:, Stream.SHIFT_FAST] = means[:, _MEAN_SHORT] - means[:, _LONG]
    rough = means[:, _ROUGHNESS]
    usual_rough = memory["usual_roughness"][s]
    usual_rough += (np.minimum(rough, 3.0 * usual_rough + 1e-300 * (count > 0)) - usual_rough) / (
        np.minimum(count + 1.0, 2000.0 * scale)
    )
    memory["usual_roughness"][s] = np.where(count < 2, rough, usual_rough)
    out[:, Stream.SPREAD] = np.log(rough + 1e-2 * usual_rough + 1e-9)
    out[:, Stream.LEVEL] = means[:, _MEAN_SHORT]
    memory["count"][s] = count + 1.0
    memory["last_ms"][s], memory["last_value"][s] = turn.time_ms, value
    memory["scale"][s] = scale
    usual = np.where(exists[:, 0], value - residual[:, 0], means[:, _LONG])
    return Features(out, given, scale[:, None], interval_h, gap_steps / scale, usual)


def _follow_interval(memory: Memory, turn: Round, count: Float64) -> tuple[Float64, Float64]:
    s = turn.series
    step_h = (turn.time_ms - memory["last_ms"][s]) / (2.0 * HALF_HOUR_MS)
    known = memory["interval_h"][s]
    step_h = np.where(count < 1, 0.0, step_h)
    # Follows the rate of sampling over some twenty samples; a gap counts as two steps at most.
    followed = known + 0.05 * (np.minimum(step_h, 2.0 * known) - known)
    interval = np.where(count < 2, step_h, followed)
    memory["interval_h"][s] = interval
    memory["first_ms"][s] = np.where(count < 1, turn.time_ms, memory["first_ms"][s])
    return interval, step_h


def _place_in_time(
    memory: Memory, turn: Round, value: Float64, offset_ms: int, interval_h: Float64
) -> tuple[Float64, Bool]:
    s = turn.series
    local = turn.time_ms + offset_ms
    places = (
        local % DAY_MS // HALF_HOUR_MS,
        local % DAY_MS // (2 * HALF_HOUR_MS),
        (local - MONDAY_MS) % WEEK_MS // (2 * HALF_HOUR_MS),
    )
    age_ms = turn.time_ms - memory["first_ms"][s]
    residual = np.zeros((len(s), len(_PROFILES)))
    exists = np.zeros((len(s), len(_PROFILES)), dtype=np.bool_)
    for k, (slots, start, least, most, days) in enumerate(_PROFILES):
        slot = start + places[k]
        mean = memory["profile"][s, slot].astype(np.float64)
        visits = memory["visits"][s, slot]
        residual[:, k] = value - mean
        exists[:, k] = (visits >= least) & (age_ms > days * DAY_MS)
        hours = 24.0 / slots if slots == HALF_HOURS else 1.0
        longest = np.maximum(most, _PROFILE_DAYS * hours / np.maximum(interval_h, 1e-9))
        now = np.minimum(visits + 1.0, 60_000.0)
        memory["profile"][s, slot] = mean + residual[:, k] / np.minimum(now, longest)
        memory["visits"][s, slot] = now
    return residual, exists


def _follow_means(
    memory: Memory,
    s: Int64,
    value: Float64,
    count: Float64,
    scale: Float64,
    gap_steps: Float64,
    after_gap: Bool,
) -> Float64:
    means = memory["means"][s]
    rate = 1.0 / (_MEANS * scale[:, None])
    # After k missed steps an exponential mean has forgotten as if it had seen k samples.
    many = gap_steps > 1.0
    if many.any():
        rate[many] = 1.0 - (1.0 - rate[many]) ** np.minimum(gap_steps[many], 1e4)[:, None]
    rate = np.maximum(rate, 1.0 / (count + 1.0)[:, None])
    change = np.where((count < 1) | after_gap, 0.0, np.abs(value - memory["last_value"][s]))
    rate[after_gap, _ROUGHNESS] = 0.0
    for k in (_MEAN_SHORT, _MEAN_MIDDLE):
        means[:, k] += rate[:, k] * (value - means[:, k])
    for k, source in ((_LONG, _MEAN_SHORT), (_LONGER, _MEAN_MIDDLE)):
        means[:, k] += rate[:, k] * (means[:, source] - means[:, k])
    means[:, _ROUGHNESS] += rate[:, _ROUGHNESS] * (change - means[:, _ROUGHNESS])
    memory["means"][s] = means
    return means
