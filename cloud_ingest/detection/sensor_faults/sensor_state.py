"""What the fault layer remembers of a sensor: one line of numbers for each name here."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection import pareto_tail

LOOKS = 5
"""What is judged of each sensor against its own history; see ``Look``."""
LAST = 5
"""Values whose median a new one is compared with."""


class Look(IntEnum):
    """What is judged of each sensor, in the order of the lines of its tails."""

    JUMP = 0
    ROUGH = 1
    DIFFERENCE = 2
    RATIO = 3
    APART = 4


class Of(IntEnum):
    """The lines of a sensor's numbers, before those of the last values and the tails."""

    LAST_VALUE = 0
    INTERVAL_MS = 1
    COUNT = 2
    ROUGHNESS = 3
    ACTIVE = 4
    CALM = 5
    JUMP_FROM = 6
    JUMP_HEIGHT = 7
    JUMP_EVIDENCE = 8
    SINCE_JUMP = 9
    RUN = 10
    REPEATS = 11
    STEPS = 12
    USUAL_RUN = 13
    HIGHEST = 14
    LOWEST = 15
    ZEROS = 16
    DIFFERENCE = 17
    RATIO = 18
    APART = 19
    USUAL_DIFFERENCE = 20
    COMPARED = 21
    SIZE = 22
    AGE = 23
    SIDE = 24
    AWAY = 25
    AWAY_MEAN = 26
    AWAY_LATE = 27
    USUAL_ROUGHNESS = 28


RING = slice(len(Of), len(Of) + LAST)
TAILS = slice(RING.stop, RING.stop + pareto_tail.FIELDS * LOOKS)

Numbers = NDArray[np.float32]


def new_sensor() -> Numbers:
    """The numbers of a sensor of which nothing has been seen."""
    start = np.zeros(TAILS.stop, np.float32)
    start[Of.SINCE_JUMP] = 1e9
    start[Of.USUAL_RUN] = 1.0
    start[Of.HIGHEST], start[Of.LOWEST] = -np.inf, np.inf
    start[RING] = np.nan
    start[TAILS] = pareto_tail.start_tails(LOOKS).ravel()
    return start
