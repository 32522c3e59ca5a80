"""The time of day, and times ahead of it."""

import time

import numpy as np

from telemetry.batches import FUTURE_TOLERANCE_MS, is_too_far_ahead
from telemetry.time.clock import utc_now_ms


def test_now_is_the_time_of_the_system_clock() -> None:
    before = time.time_ns()
    now_ms = utc_now_ms()
    assert before // 1_000_000 <= now_ms <= time.time_ns() // 1_000_000


def test_a_time_is_too_far_ahead_only_beyond_the_tolerance() -> None:
    now_ms = 1_796_058_000_000
    times = np.array([0, now_ms, now_ms + 5000, now_ms + 5001], dtype=np.int64)
    assert is_too_far_ahead(times, now_ms, 5000).tolist() == [False, False, False, True]
    limit = now_ms + FUTURE_TOLERANCE_MS
    assert is_too_far_ahead(np.array([limit, limit + 1]), now_ms).tolist() == [False, True]
