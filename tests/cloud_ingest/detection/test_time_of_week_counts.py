"""Visits in four bits: exact at first, right on average later."""

import numpy as np
import pytest

from cloud_ingest.detection import float16_storage
from cloud_ingest.detection.statistical import time_of_week_counts

TIMES = 1_795_000_000_000 + np.arange(300) * 86_400_000


def counted(many, series=400):
    """Each series is met at its own times, in both slots of a byte, one twice as often."""
    table = np.zeros((series, 1), np.uint8)
    s, first, second = np.arange(series), np.zeros(series, np.int64), np.ones(series, np.int64)
    for time_ms in TIMES[:many]:
        for slot, later in ((first, 0), (second, 1), (second, 2)):
            chance = float16_storage.chance_of(time_ms + s * 3_600_000 + later * 300_000)
            time_of_week_counts.count_visit(table, s, slot, chance)
    return time_of_week_counts.visits_of(table, s, first), time_of_week_counts.visits_of(
        table, s, second
    )


@pytest.mark.parametrize("many", [0, 1, 4, 6])
def test_the_first_visits_are_exact(many):
    assert (counted(many)[0] == many).all()


@pytest.mark.parametrize("many", [9, 20, 50, 90])
def test_later_visits_are_right_on_average_and_slots_are_apart(many):
    one, other = counted(many)
    assert one.mean() == pytest.approx(many, rel=0.1)
    assert other.mean() == pytest.approx(2 * many, rel=0.1)


def test_visits_end_at_the_highest_level():
    table, s = np.full((1, 1), 0xFF, np.uint8), np.zeros(1, np.int64)
    time_of_week_counts.count_visit(table, s, s, np.zeros(1, np.uint32))
    assert table[0, 0] == 0xFF
    assert time_of_week_counts.visits_of(table, s, s) == 400
