"""Level shifts: distance of a value from the last few ones, spikes that return, and stuck values."""

from dataclasses import dataclass

import numpy as np

from cloud_ingest.detection.sensor_faults.sensor_state import RECENT_VALUES, Float32, SensorField
from telemetry.batches import Bool

CONFIRM = 4
"""A shift that returns within this many samples is a spike; otherwise the level has changed."""
RETURNED = 0.4  # of the height of the shift: a value this close to the start has returned
MANY_REPEATS = 3.0  # times the longest usual run
_LEAST_RUN = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class LevelShifts:
    """Features of the samples of a tick.

    ``distance`` from the median of the last five values (``expected``), ``known`` where there are
    five; ``returned``: the value is back where the last shift started; ``stuck``: evidence that
    the value is stuck (5 is enough to alert); ``at_limit``: it repeats the highest or lowest value
    ever; ``new_zero``: an exact 0 from a sensor that practically never gives it; ``run``: number of
    repetitions.
    """

    distance: Float32
    known: Bool
    expected: Float32
    returned: Bool
    stuck: Float32
    at_limit: Bool
    new_zero: Bool
    run: Float32


def follow_level_shifts(sensor: Float32, x: Float32) -> LevelShifts:
    """Compare the samples of a tick with the recent values of their sensors, then update these."""
    recent = sensor[RECENT_VALUES]
    median = _median_of_five(*recent)
    known = ~np.isnan(recent[0])  # filled from the end
    distance = np.where(known, x - median, np.float32(0.0))
    since = sensor[SensorField.SINCE_SHIFT]
    since += 1.0
    height = np.abs(sensor[SensorField.SHIFT_HEIGHT])
    from_start = np.abs(x - sensor[SensorField.SHIFT_START])
    returned = (since <= CONFIRM) & (from_start < RETURNED * height)
    stuck, at_limit = _follow_run(sensor, x, recent[-1])
    zeros, zero, steps = sensor[SensorField.ZEROS], x == 0, sensor[SensorField.STEPS]
    new_zero = zero & (steps > 300) & (zeros < 0.002 * steps)
    new_zero &= sensor[SensorField.LOWEST] >= 0
    zeros += zero
    recent[:-1] = recent[1:]
    recent[-1] = x
    expected = np.where(known, median, np.float32(np.nan))
    run = sensor[SensorField.RUN_LENGTH]
    return LevelShifts(distance, known, expected, returned, stuck, at_limit, new_zero, run)


def record_level_shift(
    sensor: Float32, which: Bool, x: Float32, shifts: LevelShifts, evidence: Float32
) -> None:
    """Store where the marked shifts started, to see later whether they return."""
    distance = shifts.distance[which]
    sensor[SensorField.SHIFT_EVIDENCE, which] = evidence[which]
    sensor[SensorField.SHIFT_START, which] = x[which] - distance
    sensor[SensorField.SHIFT_HEIGHT, which] = distance
    sensor[SensorField.SINCE_SHIFT, which] = 0.0


def _median_of_five(a: Float32, b: Float32, c: Float32, d: Float32, e: Float32) -> Float32:
    """The median element by element; NaN where one of them is NaN."""
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    middle: Float32 = np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), e))
    return middle


def _follow_run(sensor: Float32, x: Float32, last: Float32) -> tuple[Float32, Bool]:
    """Evidence that a value is stuck, and whether it is the highest or lowest value ever.

    Two conditions must hold. The run of equal values is several times longer than the longest
    usual run, because a quiet or coarse sensor often repeats its value. And a run of this length
    is improbable at the rate at which the series repeats its value.
    """
    same = x == last
    run, usual = sensor[SensorField.RUN_LENGTH], sensor[SensorField.LONGEST_USUAL_RUN]
    repeats, steps = sensor[SensorField.REPEATS], sensor[SensorField.STEPS]
    ended = ~same & (run > 0)
    if ended.any():
        # The longest usual run rises at once, to at most twice its length, and falls slowly.
        grown = np.minimum(run, 2.0 * usual + 4.0)
        usual[ended] = np.maximum(grown, usual + (run - usual) * 0.002)[ended]
    run += 1.0
    run *= same
    needed = MANY_REPEATS * usual + _LEAST_RUN
    evidence = np.zeros_like(run)
    at = np.flatnonzero((steps > 100) & (run >= needed))
    if len(at):
        rate = (repeats[at] + 1.0) / (steps[at] + 2.0)
        surprise = -run[at] * np.log10(rate)
        evidence[at] = np.minimum(surprise, 5.0 * run[at] / needed[at])
    fading = np.minimum(1.0, 20_000.0 / (steps + 1.0))
    # Repeats beyond the needed length do not count, or a stuck sensor would become a quiet one.
    counted = same & (run <= needed)
    repeats += counted
    repeats *= fading
    steps += counted | ~same
    steps *= fading
    highest, lowest = sensor[SensorField.HIGHEST], sensor[SensorField.LOWEST]
    at_limit = same & ((x >= highest) | (x <= lowest))
    np.maximum(highest, x, out=highest)
    np.minimum(lowest, x, out=lowest)
    return evidence, at_limit
