"""LevelShifts of a series away from its last few values, what became of them, and stuck values."""

from dataclasses import dataclass

import numpy as np

from cloud_ingest.detection.sensor_faults.sensor_state import RECENT_VALUES, Float32, SensorField
from telemetry.batches import Bool

CONFIRM = 4
"""Samples within which a spike comes back; a step has stayed away for longer."""
RETURNED = 0.4  # of the jump's height
MANY_REPEATS = 3.0  # times the longest usual run
_LEAST_RUN = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class LevelShifts:
    """For each sample of a round: its distance from the median of the last few values."""

    distance: Float32
    known: Bool
    expected: Float32
    returned: Bool
    stuck: Float32
    at_limit: Bool
    new_zero: Bool
    run: Float32


def follow_level_shifts(sensor: Float32, x: Float32) -> LevelShifts:
    """Measure this round's samples against the last few, and remember them."""
    ring = sensor[RECENT_VALUES]
    median = _median_of_five(*ring)
    known = ~np.isnan(ring[0])  # filled from the end
    distance = np.where(known, x - median, np.float32(0.0))
    since = sensor[SensorField.SINCE_SHIFT]
    since += 1.0
    height = np.abs(sensor[SensorField.SHIFT_HEIGHT])
    returned = (since <= CONFIRM) & (
        np.abs(x - sensor[SensorField.SHIFT_START]) < RETURNED * height
    )
    stuck, at_limit = _follow_run(sensor, x, ring[-1])
    zeros, zero = sensor[SensorField.ZEROS], x == 0
    new_zero = (
        zero & (sensor[SensorField.STEPS] > 300) & (zeros < 0.002 * sensor[SensorField.STEPS])
    )
    new_zero &= sensor[SensorField.LOWEST] >= 0
    zeros += zero
    ring[:-1] = ring[1:]
    ring[-1] = x
    expected = np.where(known, median, np.float32(np.nan))
    run = sensor[SensorField.RUN_LENGTH]
    return LevelShifts(distance, known, expected, returned, stuck, at_limit, new_zero, run)


def record_level_shift(
    sensor: Float32, which: Bool, x: Float32, shifts: LevelShifts, evidence: Float32
) -> None:
    """Remember where these jumps started, to see whether they come back."""
    distance = shifts.distance[which]
    sensor[SensorField.SHIFT_EVIDENCE, which] = evidence[which]
    sensor[SensorField.SHIFT_START, which] = x[which] - distance
    sensor[SensorField.SHIFT_HEIGHT, which] = distance
    sensor[SensorField.SINCE_SHIFT, which] = 0.0


def _median_of_five(a: Float32, b: Float32, c: Float32, d: Float32, e: Float32) -> Float32:
    """The median line by line; NaN where one is NaN."""
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    middle: Float32 = np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), e))
    return middle


def _follow_run(sensor: Float32, x: Float32, last: Float32) -> tuple[Float32, Bool]:
    """Evidence that a value is stuck (5: enough to alert), and whether it is at an extreme.

    Two things must hold: the run of equal values is several times longer than the series'
    usual longest run (a quiet sensor, or a coarse one, repeats itself), and so long a run is
    improbable at the rate at which the series repeats its value.
    """
    same = x == last
    run, usual = sensor[SensorField.RUN_LENGTH], sensor[SensorField.LONGEST_USUAL_RUN]
    repeats, steps = sensor[SensorField.REPEATS], sensor[SensorField.STEPS]
    ended = ~same & (run > 0)
    if ended.any():
        # The usual longest run: up at once (to at most twice of itself), down slowly.
        grown = np.minimum(run, 2.0 * usual + 4.0)
        usual[ended] = np.maximum(grown, usual + (run - usual) * 0.002)[ended]
    run += 1.0
    run *= same
    patience = MANY_REPEATS * usual + _LEAST_RUN
    evidence = np.zeros_like(run)
    able = np.flatnonzero((steps > 100) & (run >= patience))
    if len(able):
        rate = (repeats[able] + 1.0) / (steps[able] + 2.0)
        surprise = -run[able] * np.log10(rate)
        evidence[able] = np.minimum(surprise, 5.0 * run[able] / patience[able])
    fading = np.minimum(1.0, 20_000.0 / (steps + 1.0))
    # A long run counts once in the rate of repeats, or a stuck sensor would seem a quiet one.
    counted = same & (run <= patience)
    repeats += counted
    repeats *= fading
    steps += counted | ~same
    steps *= fading
    highest, lowest = sensor[SensorField.HIGHEST], sensor[SensorField.LOWEST]
    at_limit = same & ((x >= highest) | (x <= lowest))
    np.maximum(highest, x, out=highest)
    np.minimum(lowest, x, out=lowest)
    return evidence, at_limit
