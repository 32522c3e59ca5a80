"""Features of the statistical layer: the streams of a series.

Each stream is one way of being unusual: against the time of the day or week, against the last
hours, in the noise, in the distribution of values, or beyond all values so far. No stream is made
for one kind of data; the detector relies on the number of different streams (docs/detection.md).
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection.detector import NEVER
from cloud_ingest.detection.evaluation_ticks import Tick
from cloud_ingest.detection.state_arrays import ArraySpec, StateArrays
from cloud_ingest.detection.statistical import profiles
from telemetry.batches import Bool, Float64, Int64

HOUR_MS = 3_600_000


class Stream(IntEnum):
    """The streams of a series: rows of the feature arrays."""

    HALF_HOUR = 0  # residual from the mean of the half hour of the day,
    HOUR = 1  # of the hour of the day,
    WEEK_HOUR = 2  # and of the two-hour cell of the week
    HOUR_MEAN = 3  # short means of the last two residuals
    WEEK_HOUR_MEAN = 4
    HALF_HOUR_RATIO = 5  # first residual divided by its usual size at that time
    LEVEL = 6  # means over 12, 48 and 144 steps,
    LEVEL_MIDDLE = 7
    LEVEL_LONG = 8
    SHIFT = 9  # and the difference of each to its baseline, a longer mean
    SHIFT_MIDDLE = 10
    SHIFT_LONG = 11
    LOG_SHIFT = 12  # the same for the logarithm of large values
    LOG_SHIFT_MIDDLE = 13
    ROUGH = 14  # logarithm of the mean step height: high when the series is noisy,
    QUIET = 15  # high when it is unusually steady,
    LOG_ROUGH = 16  # from the logarithm of large values,
    UNSTEADY = 17  # and from the size of the first residual
    RECORD = 18  # distance beyond the highest or lowest so far: of the value,
    RECORD_HALF_HOUR = 19  # and of the three residuals
    RECORD_HOUR = 20
    RECORD_WEEK_HOUR = 21
    DISTRIBUTION = 22  # difference between the recent and the usual distribution of values


STREAMS = len(Stream)
UPPER_ONLY: Bool = np.array(
    [
        [s in {Stream.ROUGH, Stream.QUIET, Stream.LOG_ROUGH, Stream.UNSTEADY, Stream.DISTRIBUTION}]
        for s in Stream
    ]
)
"""(STREAMS, 1): streams for which only high values are unusual."""
_RECORDS = slice(Stream.RECORD, Stream.RECORD_WEEK_HOUR + 1)
OF_THE_DAY = [
    Stream.HALF_HOUR,
    Stream.HOUR,
    Stream.WEEK_HOUR,
    Stream.HOUR_MEAN,
    Stream.WEEK_HOUR_MEAN,
    Stream.HALF_HOUR_RATIO,
    Stream.UNSTEADY,
    Stream.RECORD_HALF_HOUR,
    Stream.RECORD_HOUR,
    Stream.RECORD_WEEK_HOUR,
]
"""Streams that depend on a profile."""
_DIMENSIONLESS = [
    Stream.HALF_HOUR_RATIO,
    Stream.LOG_SHIFT,
    Stream.LOG_SHIFT_MIDDLE,
    Stream.ROUGH,
    Stream.QUIET,
    Stream.LOG_ROUGH,
    Stream.UNSTEADY,
    Stream.DISTRIBUTION,
]

# Lengths are in working steps: a sample, or five minutes where sampling is faster.
WORKING_STEP_H = 1 / 12
SHORT, MIDDLE, LONG = 12.0, 48.0, 144.0
_USUAL = 2000.0
_RECORD_FADES = 10_000.0
_TOLERANCE = 1e-5  # of the usual size of the series: smaller differences are rounding
_LOG_TOLERANCE = 1e-3
_RECORD_TOLERANCE = 0.02  # of the span between the records
_LEAST_TOLERANCE = 1e-9
_LEAST_ROUGH = 1e-2  # of the usual roughness
_TINY = 1e-30


class Mean(IntEnum):
    """The exponential means of a series: columns of the array ``means``."""

    SHORT = 0
    MIDDLE = 1
    LONG = 2
    BASELINE_SHORT = 3
    BASELINE_MIDDLE = 4
    BASELINE_LONG = 5
    LOG_SHORT = 6
    LOG_MIDDLE = 7
    LOG_BASELINE_SHORT = 8
    LOG_BASELINE_MIDDLE = 9
    HOUR = 10
    WEEK_HOUR = 11
    DISTANCE = 12
    USUAL_DISTANCE = 13
    SIZE = 14
    ROUGH = 15
    ROUGH_MIDDLE = 16
    LOG_ROUGH = 17
    USUAL_ROUGH = 18
    USUAL_LOG_ROUGH = 19


_LENGTHS = np.array(
    [
        [SHORT, MIDDLE, LONG, 100.0, 500.0, 1000.0, SHORT, MIDDLE, 100.0, 500.0],
        [SHORT, SHORT, SHORT, _USUAL, _USUAL, SHORT, MIDDLE, MIDDLE, _USUAL, _USUAL],
    ]
).reshape(-1, 1)
_FROM_STEPS = slice(Mean.ROUGH, Mean.USUAL_LOG_ROUGH + 1)

CLASSES = 8
_RECENT_LENGTH, _USUAL_LENGTH = 100.0, 2000.0
_REACH = 3.0  # the classes cover this many usual deviations to either side of the mean

ARRAYS = {
    "last_ms": ArraySpec(np.int64, NEVER),
    "last_value": ArraySpec(np.float32),
    "count": ArraySpec(np.float32),
    "interval_h": ArraySpec(np.float32),
    "means": ArraySpec(np.float32, 0.0, (len(Mean),)),
    "records": ArraySpec(np.float32, 0.0, (8,)),
    "centre": ArraySpec(np.float32, 0.0, (2,)),
    "recent_shares": ArraySpec(np.float32, 1 / CLASSES, (CLASSES,)),
    "usual_shares": ArraySpec(np.float32, 1 / CLASSES, (CLASSES,)),
    **profiles.ARRAYS,
}


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The streams of one tick.

    ``value``, ``valid`` and ``tolerance`` are (STREAMS, samples): the feature, whether it exists,
    and the size of differences that are only rounding. The other arrays have one number for each
    sample: ``scale`` is the number of samples in a working step, ``gap_steps`` the time since the
    last sample in working steps (1 where there was no gap), ``expected`` the usual value now.
    """

    value: Float64
    valid: Bool
    tolerance: Float64
    scale: Float64
    interval_h: Float64
    gap_steps: Float64
    expected: Float64


def compute_features(
    state: StateArrays, tick: Tick, value: Float64, utc_offset_ms: int
) -> Features:
    """The streams of a tick; updates the state. ``utc_offset_ms`` is local time minus UTC."""
    s = tick.series
    count = state["count"][s].astype(np.float64)
    interval_h, step_h = _follow_interval(state, tick, count)
    scale = np.maximum(WORKING_STEP_H / np.maximum(interval_h, 1e-9), 1.0)
    gap_steps = np.where(step_h > 1.9 * interval_h, step_h / np.maximum(interval_h, 1e-9), 1.0)
    profile = profiles.follow_profiles(state, tick, value, utc_offset_ms, interval_h)
    means = _follow_means(state, s, value, profile, count, scale, gap_steps)
    out = np.empty((STREAMS, len(s)))
    valid = np.ones(out.shape, dtype=np.bool_)
    residual = profile.residual
    size = means[Mean.SIZE]
    out[:3], valid[:3] = residual, profile.known
    out[Stream.HOUR_MEAN], out[Stream.WEEK_HOUR_MEAN] = means[Mean.HOUR : Mean.WEEK_HOUR + 1]
    valid[3:5] = profile.known[1:]
    usual_size = profile.distance + 0.2 * means[Mean.USUAL_DISTANCE] + _TOLERANCE * size + _TINY
    out[Stream.HALF_HOUR_RATIO] = residual[0] / usual_size
    valid[Stream.HALF_HOUR_RATIO] = profile.known[0]
    _compare_means(out, means)
    _measure_noise(out, means, size)
    valid[Stream.UNSTEADY] = profile.known[0]
    known = np.where(profile.known, residual, 0.0)
    span = _compare_records(state, s, out[_RECORDS], np.vstack([value, known]), means, count, scale)
    valid[_RECORDS][1:] = profile.known
    out[Stream.DISTRIBUTION] = _compare_distribution(state, s, value, count, scale)
    tolerance = np.broadcast_to(_TOLERANCE * size + _LEAST_TOLERANCE, out.shape).copy()
    tolerance[_DIMENSIONLESS] = _LOG_TOLERANCE
    tolerance[_RECORDS] += _RECORD_TOLERANCE * span
    state["count"][s] = count + 1.0
    state["last_ms"][s], state["last_value"][s] = tick.time_ms, value
    expected = np.where(profile.known[0], value - residual[0], means[Mean.BASELINE_SHORT])
    return Features(out, valid, tolerance, scale, interval_h, gap_steps / scale, expected)


def _follow_interval(state: StateArrays, tick: Tick, count: Float64) -> tuple[Float64, Float64]:
    """The usual time between samples and the time since the last one, in hours."""
    s = tick.series
    step_h = (tick.time_ms - state["last_ms"][s]) / HOUR_MS
    known = state["interval_h"][s].astype(np.float64)
    step_h = np.where(count < 1, 0.0, step_h)
    # Follows the sampling rate over about twenty samples; a gap counts as two steps at most.
    followed = known + 0.05 * (np.minimum(step_h, 2.0 * known) - known)
    interval = np.where(count < 2, step_h, followed)
    state["interval_h"][s] = interval
    return interval, step_h


def _follow_means(
    state: StateArrays,
    s: Int64,
    value: Float64,
    profile: profiles.ProfileResiduals,
    count: Float64,
    scale: Float64,
    gap_steps: Float64,
) -> Float64:
    """The exponential means (Mean, samples) after this tick."""
    means = state["means"][s].T.astype(np.float64)
    rate = 1.0 / (_LENGTHS * scale)
    # After k missed steps an exponential mean has forgotten as much as after k samples.
    many = gap_steps > 1.0
    if many.any():
        rate[:, many] = 1.0 - (1.0 - rate[:, many]) ** np.minimum(gap_steps[many], 1e4)
    np.maximum(rate, 1.0 / (count + 1.0), out=rate)
    # A step over a gap tells nothing about the noise.
    rate[_FROM_STEPS, gap_steps > SHORT * scale] = 0.0
    means[Mean.SIZE] += rate[Mean.SIZE] * (np.abs(value) - means[Mean.SIZE])
    size = means[Mean.SIZE] + _TINY
    before = np.where(count < 1, value, state["last_value"][s].astype(np.float64))
    logged = np.arcsinh(value / size)
    change, log_change = np.abs(value - before), np.abs(logged - np.arcsinh(before / size))
    residual = np.where(profile.known, profile.residual, 0.0)
    far = np.abs(residual[0])
    usual_far = means[Mean.USUAL_DISTANCE]
    for k, source in (
        (Mean.SHORT, value),
        (Mean.MIDDLE, value),
        (Mean.LONG, value),
        (Mean.BASELINE_SHORT, means[Mean.SHORT]),
        (Mean.BASELINE_MIDDLE, means[Mean.MIDDLE]),
        (Mean.BASELINE_LONG, means[Mean.LONG]),
        (Mean.LOG_SHORT, logged),
        (Mean.LOG_MIDDLE, logged),
        (Mean.LOG_BASELINE_SHORT, means[Mean.LOG_SHORT]),
        (Mean.LOG_BASELINE_MIDDLE, means[Mean.LOG_MIDDLE]),
        (Mean.HOUR, residual[1]),
        (Mean.WEEK_HOUR, residual[2]),
        (Mean.DISTANCE, far),
        (Mean.USUAL_DISTANCE, np.where(usual_far > 0, np.minimum(far, 10.0 * usual_far), far)),
        (Mean.ROUGH, change),
        (Mean.ROUGH_MIDDLE, change),
        (Mean.LOG_ROUGH, log_change),
    ):
        means[k] += rate[k] * (source - means[k])
    for k, of in (
        (Mean.USUAL_ROUGH, Mean.ROUGH),
        (Mean.USUAL_LOG_ROUGH, Mean.LOG_ROUGH),
    ):
        source = np.where(means[k] > 0, np.minimum(means[of], 3.0 * means[k]), means[of])
        means[k] += rate[k] * (source - means[k])
    state["means"][s] = means.T
    return means


def _compare_means(out: Float64, means: Float64) -> None:
    """Fill in the level streams and the differences of means to their baselines."""
    out[Stream.LEVEL : Stream.LEVEL_LONG + 1] = means[Mean.SHORT : Mean.LONG + 1]
    np.subtract(
        means[Mean.SHORT : Mean.LONG + 1],
        means[Mean.BASELINE_SHORT : Mean.BASELINE_LONG + 1],
        out=out[Stream.SHIFT : Stream.SHIFT_LONG + 1],
    )
    np.subtract(
        means[Mean.LOG_SHORT : Mean.LOG_MIDDLE + 1],
        means[Mean.LOG_BASELINE_SHORT : Mean.LOG_BASELINE_MIDDLE + 1],
        out=out[Stream.LOG_SHIFT : Stream.LOG_SHIFT_MIDDLE + 1],
    )


def _measure_noise(out: Float64, means: Float64, size: Float64) -> None:
    """Fill in the streams that follow the noise."""
    least = _LEAST_ROUGH * means[Mean.USUAL_ROUGH] + _TOLERANCE * size + _TINY
    out[Stream.ROUGH] = np.log(means[Mean.ROUGH] + least)
    out[Stream.QUIET] = -np.log(means[Mean.ROUGH_MIDDLE] + least)
    least_ratio = _LEAST_ROUGH * means[Mean.USUAL_LOG_ROUGH] + _TOLERANCE
    out[Stream.LOG_ROUGH] = np.log(means[Mean.LOG_ROUGH] + least_ratio)
    least_far = _LEAST_ROUGH * means[Mean.USUAL_DISTANCE] + _TOLERANCE * size + _TINY
    out[Stream.UNSTEADY] = np.log(means[Mean.DISTANCE] + least_far)


def _compare_records(
    state: StateArrays,
    s: Int64,
    out: Float64,
    source: Float64,
    means: Float64,
    count: Float64,
    scale: Float64,
) -> Float64:
    """Fill ``out`` (4, samples) with the distance of ``source`` beyond its highest or lowest so far.

    Returns the span between highest and lowest, which both move slowly back to the centre.
    """
    kept = state["records"][s].T.astype(np.float64)
    first = count < 1
    high, low = np.where(first, source, kept[:4]), np.where(first, source, kept[4:])
    out[:] = np.maximum(source - high, 0.0) - np.maximum(low - source, 0.0)
    high, low = np.maximum(high, source), np.minimum(low, source)
    centre = np.zeros_like(high)
    centre[0] = means[Mean.BASELINE_LONG]
    fade = 1.0 / (_RECORD_FADES * scale)
    high += (centre - high) * fade
    low += (centre - low) * fade
    state["records"][s] = np.vstack([high, low]).T
    span: Float64 = high - low
    return span


def _compare_distribution(
    state: StateArrays, s: Int64, value: Float64, count: Float64, scale: Float64
) -> Float64:
    """Relative entropy of the recent distribution of values against the usual one."""
    mean, deviation = state["centre"][s].T.astype(np.float64)
    slow = np.maximum(1.0 / (count + 1.0), 1.0 / (_USUAL_LENGTH * scale))
    mean = mean + slow * (value - mean)
    away = value - mean
    # Once the mean deviation is known, a value far away counts for at most five of it.
    most = np.where(count > 20 * scale, 5.0 * deviation, np.inf)
    deviation = deviation + slow * (np.minimum(np.abs(away), most) - deviation)
    state["centre"][s] = np.stack([mean, deviation], axis=1)
    z = away / (1.25 * deviation + _TOLERANCE * np.abs(mean) + _TINY)
    found = ((z + _REACH) * (CLASSES / (2.0 * _REACH))).clip(0, CLASSES - 1).astype(np.int64)
    fast = 1.0 / (_RECENT_LENGTH * scale)
    recent = _follow_shares(state["recent_shares"], s, found, fast)
    usual = _follow_shares(state["usual_shares"], s, found, slow)
    entropy: Float64 = (recent * np.log((recent + 1e-12) / (usual + 1e-3))).sum(axis=1)
    return entropy


def _follow_shares(
    table: NDArray[np.float32], s: Int64, found: Int64, rate: Float64
) -> NDArray[np.float32]:
    """Exponential means of how often each class occurs, after one more value of class ``found``."""
    rates = rate.astype(np.float32)
    shares: NDArray[np.float32] = table[s] * (np.float32(1.0) - rates)[:, None]
    shares[np.arange(len(s)), found] += rates
    table[s] = shares
    return shares
