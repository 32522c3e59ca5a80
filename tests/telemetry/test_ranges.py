"""The interval set against a plain set of integers."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.ranges import RangeSet

STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 60), st.integers(-3, 20)), max_size=40)


@given(STEPS, st.integers(-2, 85), st.integers(-3, 30))
@settings(max_examples=300)
def test_a_range_set_behaves_as_a_set(
    steps: list[tuple[bool, int, int]], asked: int, length: int
) -> None:
    ranges, plain = RangeSet(), set[int]()
    for add, first, more in steps:
        change = ranges.add if add else ranges.remove
        change(first, first + more)
        numbers = set(range(first, first + more + 1))
        plain = plain | numbers if add else plain - numbers
        assert as_set(ranges.ranges()) == plain
        assert all(b + 1 < c for (_, b), (c, _) in pairwise(ranges.ranges()))
    assert len(ranges) == len(plain)
    assert bool(ranges) == bool(plain)
    assert ranges.lowest == min(plain, default=None)
    assert ranges.highest == max(plain, default=None)
    assert (asked in ranges) == (asked in plain)
    numbers = set(range(asked, asked + length + 1))
    if numbers:
        assert ranges.has_all(asked, asked + length) == (numbers <= plain)
    assert ranges.has_any(asked, asked + length) == bool(numbers & plain)
    gaps = ranges.gaps(asked, asked + length)
    assert as_set(gaps) == numbers - plain
    assert all(b + 1 < c for (_, b), (c, _) in pairwise(gaps))
    assert RangeSet(ranges.ranges()) == ranges


def test_a_range_ends_before_the_first_number_that_is_missing() -> None:
    ranges = RangeSet([(0, 7), (9, 9)])
    assert [ranges.range_end(n) for n in (0, 7, 9)] == [7, 7, 9]
    with pytest.raises(KeyError):
        ranges.range_end(8)


def test_nothing_is_left_after_clear() -> None:
    ranges = RangeSet([(3, 5)])
    ranges.clear()
    assert ranges == RangeSet()
    assert ranges != RangeSet([(3, 5)])


def as_set(ranges: list[tuple[int, int]]) -> set[int]:
    return {n for first, last in ranges for n in range(first, last + 1)}
