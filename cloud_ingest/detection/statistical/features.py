"""What the statistical layer looks at: the streams of a series.

Each stream is one way to be unusual: against the time of the day and week, against the last
hours, in the noise, in the mixture of values, or further out than ever. None of them is chosen
for a kind of data: it is their breadth that counts (see docs/detection.md).
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from cloud_ingest.detection import float16_storage
from cloud_ingest.detection.evaluation_ticks import Tick
from cloud_ingest.detection.state_arrays import ArraySpec, StateArrays
from cloud_ingest.detection.statistical import profiles
from telemetry.batches import Bool, Float64, Int64

NEVER = -(2**62)
HOUR_MS = 3_600_000


class Stream(IntEnum):
    """The streams of a series, in the order of their lines."""

    HALF_HOUR = 0  # residuals from the usual value of the half hour of the day,
    HOUR = 1  # of the hour of the day,
    WEEK_HOUR = 2  # and of the two hours of the week
    HOUR_MEAN = 3  # short means of two of them
    WEEK_HOUR_MEAN = 4
    HALF_HOUR_RATIO = 5  # the first one, by what is usual at that time
    LEVEL = 6  # means over 12, 48 and 144 steps,
    LEVEL_MIDDLE = 7
    LEVEL_LONG = 8
    SHIFT = 9  # and each of them against a longer one
    SHIFT_MIDDLE = 10
    SHIFT_LONG = 11
    RATIO = 12  # the same for the logarithm of large values
    RATIO_MIDDLE = 13
    ROUGH = 14  # logarithms of the mean step height: upwards,
    QUIET = 15  # downwards,
    RATIO_ROUGH = 16  # of the logarithm
    UNSTEADY = 17  # and of the mean size of the first residual
    RECORD = 18  # how far beyond anything remembered: the value,
    RECORD_HALF_HOUR = 19  # and the three residuals
    RECORD_HOUR = 20
    RECORD_WEEK_HOUR = 21
    MIXTURE = 22  # how unlike the usual mixture of values the recent one is


STREAMS = len(Stream)
UPPER_ONLY: Bool = np.array(
    [
        [s in {Stream.ROUGH, Stream.QUIET, Stream.RATIO_ROUGH, Stream.UNSTEADY, Stream.MIXTURE}]
        for s in Stream
    ]
)
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
_FREE_OF_UNIT = [
    Stream.HALF_HOUR_RATIO,
    Stream.RATIO,
    Stream.RATIO_MIDDLE,
    Stream.ROUGH,
    Stream.QUIET,
    Stream.RATIO_ROUGH,
    Stream.UNSTEADY,
    Stream.MIXTURE,
]

# Lengths in working steps: a sample, or five minutes where sampling is faster.
WORKING_STEP_H = 1 / 12
SHORT, MIDDLE, LONG = 12.0, 48.0, 144.0
_USUAL = 2000.0
_RECORD_FADES = 10_000.0
_DUST = 1e-5  # of a series' usual size: differences below it are rounding
_DUST_OF_RATIO = 1e-3
_LEAST_RECORD = 0.02  # of the span remembered
_LEAST_DUST = 1e-9
_LEAST_ROUGH = 1e-2  # of the usual roughness
_TINY = 1e-30


class Mean(IntEnum):
    """Exponential means, in the order of their lines."""

    SHORT = 0
    MIDDLE = 1
    LONG = 2
    BEHIND_SHORT = 3
    BEHIND_MIDDLE = 4
    BEHIND_LONG = 5
    RATIO_SHORT = 6
    RATIO_MIDDLE = 7
    RATIO_BEHIND_SHORT = 8
    RATIO_BEHIND_MIDDLE = 9
    HOUR = 10
    WEEK_HOUR = 11
    DISTANCE = 12
    USUAL_DISTANCE = 13
    SIZE = 14
    ROUGH = 15
    ROUGH_MIDDLE = 16
    RATIO_ROUGH = 17
    USUAL_ROUGH = 18
    USUAL_RATIO_ROUGH = 19


_LENGTHS = np.array(
    [
        [SHORT, MIDDLE, LONG, 100.0, 500.0, 1000.0, SHORT, MIDDLE, 100.0, 500.0],
        [SHORT, SHORT, SHORT, _USUAL, _USUAL, SHORT, MIDDLE, MIDDLE, _USUAL, _USUAL],
    ]
).reshape(-1, 1)
_STEPPED = slice(Mean.ROUGH, Mean.USUAL_RATIO_ROUGH + 1)

CLASSES = 8
_MIXTURE_SHORT, _MIXTURE_USUAL = 100.0, 2000.0
_WHOLE = 65_528  # a share of all, in the 16 bits in which it is kept
_REACH = 3.0  # usual spreads to either side that the classes cover

ARRAYS = {
    "last_ms": ArraySpec(np.int64, NEVER),
    "last_value": ArraySpec(np.float32),
    "count": ArraySpec(np.float32),
    "interval_h": ArraySpec(np.float32),
    "means": ArraySpec(np.float32, 0.0, (len(Mean),)),
    "records": ArraySpec(np.float32, 0.0, (8,)),
    "centre": ArraySpec(np.float32, 0.0, (2,)),
    "mixture": ArraySpec(np.uint16, _WHOLE // CLASSES, (2 * CLASSES,)),
    **profiles.ARRAYS,
}


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The streams of one round, (STREAMS, samples): values, which exist, and what is rounding."""

    value: Float64
    given: Bool
    dust: Float64
    scale: Float64
    interval_h: Float64
    gap_steps: Float64
    usual: Float64


def compute_features(memory: StateArrays, tick: Tick, value: Float64, offset_ms: int) -> Features:
    """The streams of this round's values; brings the memory up to date with them."""
    s = tick.series
    count = memory["count"][s].astype(np.float64)
    interval_h, step_h = _follow_interval(memory, tick, count)
    scale = np.maximum(WORKING_STEP_H / np.maximum(interval_h, 1e-9), 1.0)
    gap_steps = np.where(step_h > 1.9 * interval_h, step_h / np.maximum(interval_h, 1e-9), 1.0)
    place = profiles.follow_profiles(memory, tick, value, offset_ms, interval_h)
    means = _follow_means(memory, s, value, place, count, scale, gap_steps)
    out = np.empty((STREAMS, len(s)))
    given = np.ones(out.shape, dtype=np.bool_)
    residual = place.residual
    size = means[Mean.SIZE]
    out[:3], given[:3] = residual, place.exists
    out[Stream.HOUR_MEAN], out[Stream.WEEK_HOUR_MEAN] = means[Mean.HOUR : Mean.WEEK_HOUR + 1]
    given[3:5] = place.exists[1:]
    at_the_time = place.distance + 0.2 * means[Mean.USUAL_DISTANCE] + _DUST * size + _TINY
    out[Stream.HALF_HOUR_RATIO] = residual[0] / at_the_time
    given[Stream.HALF_HOUR_RATIO] = place.exists[0]
    _compare_means(out, means)
    _measure_noise(out, means, size)
    given[Stream.UNSTEADY] = place.exists[0]
    known = np.where(place.exists, residual, 0.0)
    span = _compare_records(
        memory, s, out[_RECORDS], np.vstack([value, known]), means, count, scale
    )
    given[_RECORDS][1:] = place.exists
    out[Stream.MIXTURE] = _compare_mixture(memory, tick, value, count, scale)
    dust = np.broadcast_to(_DUST * size + _LEAST_DUST, out.shape).copy()
    dust[_FREE_OF_UNIT] = _DUST_OF_RATIO
    dust[_RECORDS] += _LEAST_RECORD * span
    memory["count"][s] = count + 1.0
    memory["last_ms"][s], memory["last_value"][s] = tick.time_ms, value
    usual = np.where(place.exists[0], value - residual[0], means[Mean.BEHIND_SHORT])
    return Features(out, given, dust, scale, interval_h, gap_steps / scale, usual)


def _follow_interval(memory: StateArrays, tick: Tick, count: Float64) -> tuple[Float64, Float64]:
    s = tick.series
    step_h = (tick.time_ms - memory["last_ms"][s]) / HOUR_MS
    known = memory["interval_h"][s].astype(np.float64)
    step_h = np.where(count < 1, 0.0, step_h)
    # Follows the rate of sampling over some twenty samples; a gap counts as two steps at most.
    followed = known + 0.05 * (np.minimum(step_h, 2.0 * known) - known)
    interval = np.where(count < 2, step_h, followed)
    memory["interval_h"][s] = interval
    return interval, step_h


def _follow_means(
    memory: StateArrays,
    s: Int64,
    value: Float64,
    place: profiles.ProfileResiduals,
    count: Float64,
    scale: Float64,
    gap_steps: Float64,
) -> Float64:
    means = memory["means"][s].T.astype(np.float64)
    rate = 1.0 / (_LENGTHS * scale)
    # After k missed steps an exponential mean has forgotten as if it had seen k samples.
    many = gap_steps > 1.0
    if many.any():
        rate[:, many] = 1.0 - (1.0 - rate[:, many]) ** np.minimum(gap_steps[many], 1e4)
    np.maximum(rate, 1.0 / (count + 1.0), out=rate)
    # A step over a gap says nothing of the noise.
    rate[_STEPPED, gap_steps > SHORT * scale] = 0.0
    means[Mean.SIZE] += rate[Mean.SIZE] * (np.abs(value) - means[Mean.SIZE])
    size = means[Mean.SIZE] + _TINY
    before = np.where(count < 1, value, memory["last_value"][s].astype(np.float64))
    ratio = np.arcsinh(value / size)
    change, ratio_change = np.abs(value - before), np.abs(ratio - np.arcsinh(before / size))
    residual = np.where(place.exists, place.residual, 0.0)
    far = np.abs(residual[0])
    usual_far = means[Mean.USUAL_DISTANCE]
    for k, source in (
        (Mean.SHORT, value),
        (Mean.MIDDLE, value),
        (Mean.LONG, value),
        (Mean.BEHIND_SHORT, means[Mean.SHORT]),
        (Mean.BEHIND_MIDDLE, means[Mean.MIDDLE]),
        (Mean.BEHIND_LONG, means[Mean.LONG]),
        (Mean.RATIO_SHORT, ratio),
        (Mean.RATIO_MIDDLE, ratio),
        (Mean.RATIO_BEHIND_SHORT, means[Mean.RATIO_SHORT]),
        (Mean.RATIO_BEHIND_MIDDLE, means[Mean.RATIO_MIDDLE]),
        (Mean.HOUR, residual[1]),
        (Mean.WEEK_HOUR, residual[2]),
        (Mean.DISTANCE, far),
        (Mean.USUAL_DISTANCE, np.where(usual_far > 0, np.minimum(far, 10.0 * usual_far), far)),
        (Mean.ROUGH, change),
        (Mean.ROUGH_MIDDLE, change),
        (Mean.RATIO_ROUGH, ratio_change),
    ):
        means[k] += rate[k] * (source - means[k])
    for k, of in (
        (Mean.USUAL_ROUGH, Mean.ROUGH),
        (Mean.USUAL_RATIO_ROUGH, Mean.RATIO_ROUGH),
    ):
        source = np.where(means[k] > 0, np.minimum(means[of], 3.0 * means[k]), means[of])
        means[k] += rate[k] * (source - means[k])
    memory["means"][s] = means.T
    return means


def _compare_means(out: Float64, means: Float64) -> None:
    out[Stream.LEVEL : Stream.LEVEL_LONG + 1] = means[Mean.SHORT : Mean.LONG + 1]
    np.subtract(
        means[Mean.SHORT : Mean.LONG + 1],
        means[Mean.BEHIND_SHORT : Mean.BEHIND_LONG + 1],
        out=out[Stream.SHIFT : Stream.SHIFT_LONG + 1],
    )
    np.subtract(
        means[Mean.RATIO_SHORT : Mean.RATIO_MIDDLE + 1],
        means[Mean.RATIO_BEHIND_SHORT : Mean.RATIO_BEHIND_MIDDLE + 1],
        out=out[Stream.RATIO : Stream.RATIO_MIDDLE + 1],
    )


def _measure_noise(out: Float64, means: Float64, size: Float64) -> None:
    least = _LEAST_ROUGH * means[Mean.USUAL_ROUGH] + _DUST * size + _TINY
    out[Stream.ROUGH] = np.log(means[Mean.ROUGH] + least)
    out[Stream.QUIET] = -np.log(means[Mean.ROUGH_MIDDLE] + least)
    least_ratio = _LEAST_ROUGH * means[Mean.USUAL_RATIO_ROUGH] + _DUST
    out[Stream.RATIO_ROUGH] = np.log(means[Mean.RATIO_ROUGH] + least_ratio)
    least_far = _LEAST_ROUGH * means[Mean.USUAL_DISTANCE] + _DUST * size + _TINY
    out[Stream.UNSTEADY] = np.log(means[Mean.DISTANCE] + least_far)


def _compare_records(
    memory: StateArrays,
    s: Int64,
    out: Float64,
    source: Float64,
    means: Float64,
    count: Float64,
    scale: Float64,
) -> Float64:
    """How far each of four numbers is beyond its highest or lowest, and the span between these.

    Both slowly come back.
    """
    kept = memory["records"][s].T.astype(np.float64)
    first = count < 1
    high, low = np.where(first, source, kept[:4]), np.where(first, source, kept[4:])
    out[:] = np.maximum(source - high, 0.0) - np.maximum(low - source, 0.0)
    high, low = np.maximum(high, source), np.minimum(low, source)
    centre = np.zeros_like(high)
    centre[0] = means[Mean.BEHIND_LONG]
    fade = 1.0 / (_RECORD_FADES * scale)
    high += (centre - high) * fade
    low += (centre - low) * fade
    memory["records"][s] = np.vstack([high, low]).T
    span: Float64 = high - low
    return span


def _compare_mixture(
    memory: StateArrays, tick: Tick, value: Float64, count: Float64, scale: Float64
) -> Float64:
    """Relative entropy of the recent mixture of values against the usual one."""
    s = tick.series
    mean, spread = memory["centre"][s].T.astype(np.float64)
    start = 1.0 / (count + 1.0)
    slow = np.maximum(start, 1.0 / (_MIXTURE_USUAL * scale))
    mean = mean + slow * (value - mean)
    away = value - mean
    # Far values count little for the spread once it is known.
    most = np.where(count > 20 * scale, 5.0 * spread, np.inf)
    spread = spread + slow * (np.minimum(np.abs(away), most) - spread)
    memory["centre"][s] = np.stack([mean, spread], axis=1)
    z = away / (1.25 * spread + _DUST * np.abs(mean) + _TINY)
    place = ((z + _REACH) * (CLASSES / (2.0 * _REACH))).clip(0, CLASSES - 1).astype(np.int64)
    kept = memory["mixture"][s].T.astype(np.float32) / np.float32(_WHOLE)
    recent, usual = kept[:CLASSES], kept[CLASSES:]
    fast = (1.0 / (_MIXTURE_SHORT * scale)).astype(np.float32)
    slow = np.maximum(1.0 / (count + 2.0), slow).astype(np.float32)
    recent *= 1.0 - fast
    usual *= 1.0 - slow
    columns = np.arange(len(s))
    recent[place, columns] += fast
    usual[place, columns] += slow
    # Rounded up or down by chance, as the profiles are: a slow share moves by less than a step.
    chance = (float16_storage.chance_of(tick.time_ms) / float16_storage.CHANCES).astype(np.float32)
    memory["mixture"][s] = np.minimum(kept * _WHOLE + chance, _WHOLE).T
    entropy: Float64 = (recent * np.log((recent + 1e-12) / (usual + 1e-3))).sum(axis=0)
    return entropy
