"""Slow means in half precision: exact where they can be, right on average where they cannot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.detection import float16_storage

TIMES = 1_795_000_000_000 + np.arange(20_000) * 300_000


@given(
    st.floats(1e-12, 1e20),
    st.lists(st.floats(-1, 1), min_size=1, max_size=50),
    st.integers(0, 2**42),
)
def test_a_packed_number_is_within_a_thousandth_at_any_scale(scale, shares, time_ms):
    value = scale * np.array(shares)
    unit = float16_storage.unit_for(np.full(len(value), scale), np.zeros(len(value)))
    chance = float16_storage.chance_of(np.full(len(value), time_ms, np.int64))
    kept = float16_storage.unpacked(float16_storage.packed(value, unit, chance), unit)
    assert (np.abs(kept - value) <= 1e-3 * np.abs(value) + 1e-7 * unit).all()


@given(st.lists(st.integers(-2048, 2048), min_size=1, max_size=50), st.integers(0, 2**42))
def test_what_half_precision_can_hold_is_kept_exactly(numbers, time_ms):
    value, unit = np.array(numbers) * 0.25, np.full(len(numbers), 0.25)
    chance = float16_storage.chance_of(np.full(len(value), time_ms, np.int64))
    assert (
        float16_storage.unpacked(float16_storage.packed(value, unit, chance), unit).tolist()
        == value.tolist()
    )


@given(st.floats(1e-9, 1e9), st.floats(0, 1e9))
def test_a_unit_that_was_widened_fits_and_is_no_wider_than_it_must_be(distance, before):
    distance, unit = np.array([distance]), np.array([before])
    if float16_storage.too_far(distance, unit).all():
        unit = float16_storage.unit_for(distance, unit)
    assert not float16_storage.too_far(distance, unit).any()
    assert before == 0 or unit[0] <= max(before, distance[0] / 4096)


@pytest.mark.parametrize("every_ms", [60_000, 300_000, 3_600_000, 86_400_000, 604_800_000])
def test_chance_is_even_over_regular_times(every_ms):
    chance = float16_storage.chance_of(1_795_000_000_000 + np.arange(4000) * every_ms)
    assert 0 <= chance.min() < chance.max() <= 0x1FFF
    parts = np.bincount(chance >> 10, minlength=8)
    assert parts.min() > 400


def test_a_slow_mean_follows_steps_far_below_what_half_precision_tells_apart():
    unit, mean = np.ones(1), np.full(1, 100.0, np.float16)
    rng = np.random.default_rng(1)
    for time_ms in TIMES[:5000]:
        before = float16_storage.unpacked(mean, unit)
        after = before + (101.0 + rng.normal(0, 1) - before) / 1000
        mean = float16_storage.packed(after, unit, float16_storage.chance_of(np.array([time_ms])))
    assert float(mean[0]) == pytest.approx(101.0, abs=0.5)


def test_rows_in_another_unit_hold_the_same_numbers():
    table = np.array([[1.0, -3.5], [1.0, 2.0]], np.float16)
    float16_storage.rescale(table, np.array([0]), np.array([0.25]))
    assert table.tolist() == [[0.25, -0.875], [1.0, 2.0]]
