"""How often each time of the week was met, in four bits.

Four bits hold a level. Up to the sixth visit each one counts; from then on a visit lifts the
level by chance, as rarely as the next level is far away, so levels are right on average. Chance is
that of halves.py, a function of the time of the sample.
"""

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection import float16_storage
from telemetry.batches import Int64

_LEVELS = np.array([0, 1, 2, 3, 4, 5, 6, 8, 11, 16, 24, 40, 64, 110, 200, 400])
_WIDTH = np.append(np.diff(_LEVELS), 0)

Table = NDArray[np.uint8]


def visits_of(table: Table, series: Int64, slot: Int64) -> Int64:
    """About how often each slot was met; ``table`` (series, half as many as slots) holds two a byte."""
    found: Int64 = _LEVELS[_level(table, series, slot)]
    return found


def count_visit(table: Table, series: Int64, slot: Int64, chance: NDArray[np.uint32]) -> None:
    """Each of these slots (of different series) is met once more."""
    level = _level(table, series, slot)
    width = _WIDTH[level]
    more = (width > 0) & (chance * width < float16_storage.CHANCES)
    table[series[more], slot[more] // 2] += (1 << 4 * (slot[more] % 2)).astype(np.uint8)


def _level(table: Table, series: Int64, slot: Int64) -> Int64:
    return (table[series, slot // 2].astype(np.int64) >> 4 * (slot % 2)) & 15
