"""What the fault layer remembers of a sensor: one line of numbers for each name here."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection import pareto_tail

TAIL_FEATURES = 5
"""What is judged of each sensor against its own history; see ``TailFeature``."""
RECENT_COUNT = 5
"""Values whose median a new one is compared with."""


class TailFeature(IntEnum):
    """What is judged of each sensor, in the order of the lines of its tails."""

    LEVEL_SHIFT = 0
    ROUGHNESS = 1
    DIFFERENCE = 2
    RATIO = 3
    DISTANCE = 4


class SensorField(IntEnum):
    """The lines of a sensor's numbers, before those of the last values and the tails."""

    LAST_VALUE = 0
    INTERVAL_MS = 1
    COUNT = 2
    ROUGHNESS = 3
    EVENT_EVIDENCE = 4
    CALM_SAMPLES = 5
    SHIFT_START = 6
    SHIFT_HEIGHT = 7
    SHIFT_EVIDENCE = 8
    SINCE_SHIFT = 9
    RUN_LENGTH = 10
    REPEATS = 11
    STEPS = 12
    LONGEST_USUAL_RUN = 13
    HIGHEST = 14
    LOWEST = 15
    ZEROS = 16
    PEER_DIFFERENCE = 17
    PEER_RATIO = 18
    PEER_DISTANCE = 19
    USUAL_PEER_DIFFERENCE = 20
    COMPARISONS = 21
    PEER_LEVEL = 22
    EVENT_AGE = 23
    DEVIATION_SIDE = 24
    DEVIATION_COUNT = 25
    DEVIATION_MEAN = 26
    DEVIATION_LATE_MEAN = 27
    USUAL_ROUGHNESS = 28


RECENT_VALUES = slice(len(SensorField), len(SensorField) + RECENT_COUNT)
TAILS = slice(RECENT_VALUES.stop, RECENT_VALUES.stop + pareto_tail.FIELDS * TAIL_FEATURES)

Float32 = NDArray[np.float32]


def initial_sensor_state() -> Float32:
    """The numbers of a sensor of which nothing has been seen."""
    start = np.zeros(TAILS.stop, np.float32)
    start[SensorField.SINCE_SHIFT] = 1e9
    start[SensorField.LONGEST_USUAL_RUN] = 1.0
    start[SensorField.HIGHEST], start[SensorField.LOWEST] = -np.inf, np.inf
    start[RECENT_VALUES] = np.nan
    start[TAILS] = pareto_tail.start_tails(TAIL_FEATURES).ravel()
    return start
