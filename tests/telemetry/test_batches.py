"""Samples in columns: sorted, and the newest of each series."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telemetry.batches import SampleBatch

samples = st.lists(
    st.tuples(st.one_of(st.integers(0, 5), st.integers(65_530, 65_540)), st.integers(0, 20)),
    max_size=40,
)


def batch_of(rows: list[tuple[int, int]]) -> SampleBatch:
    """A batch whose values tell where each sample stood."""
    series, time_ms = [s for s, _ in rows], [t for _, t in rows]
    return SampleBatch.of(series, time_ms, list(map(float, range(len(rows)))), [1] * len(rows))


@given(samples, st.booleans())
def test_samples_are_sorted_by_series_then_time_and_equal_ones_keep_their_order(
    rows: list[tuple[int, int]], in_time: bool
) -> None:
    if in_time:  # as gateways send them
        rows = sorted(rows, key=lambda row: row[1])
    batch = batch_of(rows)
    found = batch.sorted()
    expected = sorted((*row, i) for i, row in enumerate(rows))
    got = zip(found.series.tolist(), found.time_ms.tolist(), found.value.tolist(), strict=True)
    assert list(got) == expected
    assert found.is_sorted
    assert batch.is_sorted == (rows == sorted(rows))


@given(samples)
def test_the_newest_of_each_series_is_found_in_any_order(rows: list[tuple[int, int]]) -> None:
    newest: dict[int, tuple[int, int]] = {}
    for i, (series, time_ms) in enumerate(rows):
        newest[series] = max(newest.get(series, (-1, -1)), (time_ms, i))
    found = batch_of(rows).newest_of_each()
    got = zip(found.series.tolist(), found.time_ms.tolist(), found.value.tolist(), strict=True)
    assert list(got) == [(s, t, i) for s, (t, i) in sorted(newest.items())]


def test_a_batch_without_samples_is_sorted() -> None:
    empty = SampleBatch.empty()
    assert empty.is_sorted
    assert len(empty.sorted()) == len(empty.newest_of_each()) == 0
    assert np.array_equal(empty.sorted().series, empty.series)
