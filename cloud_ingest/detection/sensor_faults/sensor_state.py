"""State of a sensor in the fault layer: one float32 table, (fields, series)."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection import pareto_tail
from cloud_ingest.detection.pareto_tail import TailField

RECENT_COUNT = 5
"""Number of recent values; a new value is compared with their median."""


class TailFeature(IntEnum):
    """Features of a sensor that are compared with their own history: streams of its tails."""

    LEVEL_SHIFT = 0
    ROUGHNESS = 1
    DIFFERENCE = 2
    RATIO = 3
    DISTANCE = 4


class SensorField(IntEnum):
    """Rows of the table, before the recent values and the tails. "Usual" is a slow mean."""

    LAST_VALUE = 0
    INTERVAL_MS = 1  # usual time between samples
    COUNT = 2  # samples seen
    ROUGHNESS = 3  # mean height of the last steps
    EVENT_EVIDENCE = 4  # of the present event, 0 without one
    CALM_SAMPLES = 5  # since the evidence of the event was last high
    SHIFT_START = 6  # value before the last level shift
    SHIFT_HEIGHT = 7
    SHIFT_EVIDENCE = 8
    SINCE_SHIFT = 9  # samples
    RUN_LENGTH = 10  # repetitions of the last value
    REPEATS = 11  # steps without change, fading
    STEPS = 12  # all steps, fading
    LONGEST_USUAL_RUN = 13
    HIGHEST = 14
    LOWEST = 15
    ZEROS = 16  # samples that were exactly 0
    PEER_DIFFERENCE = 17  # short means of the comparison with the peers (peers.py)
    PEER_RATIO = 18
    PEER_DISTANCE = 19
    USUAL_PEER_DIFFERENCE = 20
    COMPARISONS = 21  # samples compared with peers
    PEER_LEVEL = 22  # usual absolute value of the peers
    EVENT_AGE = 23  # samples since the event began
    DEVIATION_SIDE = 24  # mean of the last deviations from the usual difference
    DEVIATION_COUNT = 25  # samples since the deviation last changed its sign
    DEVIATION_MEAN = 26  # plain mean since then
    DEVIATION_LATE_MEAN = 27  # mean since then in which late samples weigh more
    USUAL_ROUGHNESS = 28  # of the logarithm


RECENT_VALUES = slice(len(SensorField), len(SensorField) + RECENT_COUNT)
TAILS = slice(RECENT_VALUES.stop, RECENT_VALUES.stop + len(TailField) * len(TailFeature))

Float32 = NDArray[np.float32]


def initial_sensor_state() -> Float32:
    """State of a sensor without samples: (fields,)."""
    start = np.zeros(TAILS.stop, np.float32)
    start[SensorField.SINCE_SHIFT] = 1e9
    start[SensorField.LONGEST_USUAL_RUN] = 1.0
    start[SensorField.HIGHEST], start[SensorField.LOWEST] = -np.inf, np.inf
    start[RECENT_VALUES] = np.nan
    start[TAILS] = pareto_tail.initial_tails(len(TailFeature)).ravel()
    return start
