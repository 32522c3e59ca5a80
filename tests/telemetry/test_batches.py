"""Batches in columns: sorted, and where each series ends."""

from hypothesis import given
from hypothesis import strategies as st

from telemetry.batches import SampleBatch

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=12)


def batch_of(rows: list[tuple[int, int]]) -> SampleBatch:
    """Rows of series and time; the value is the position."""
    series, time_ms = zip(*rows, strict=True) if rows else ((), ())
    return SampleBatch.of(series, time_ms, range(len(rows)), [1] * len(rows))


@given(ROWS)
def test_the_ends_of_series_are_told_of_batches_in_order_only(rows: list[tuple[int, int]]) -> None:
    ends = batch_of(rows).ends()
    assert (ends is not None) == (rows == sorted(rows))
    rows.sort()
    last = {series: position for position, (series, _) in enumerate(rows)}
    found = batch_of(rows).ends()
    assert found is not None
    assert found.tolist() == list(last.values())


def test_empty_batches_add_nothing() -> None:
    some = batch_of([(1, 1)])
    assert SampleBatch.concat([SampleBatch.empty(), some, SampleBatch.empty()]) is some
    assert len(SampleBatch.concat([SampleBatch.empty(), SampleBatch.empty()])) == 0


@given(
    st.lists(
        st.tuples(st.one_of(st.integers(0, 5), st.integers(65_530, 65_540)), st.integers(0, 20)),
        max_size=40,
    ),
    st.booleans(),
)
def test_samples_are_sorted_by_series_then_time_and_equal_ones_keep_their_order(
    rows: list[tuple[int, int]], in_time: bool
) -> None:
    if in_time:  # as gateways send them
        rows.sort(key=lambda row: row[1])
    found = batch_of(rows).sorted()
    got = zip(found.series.tolist(), found.time_ms.tolist(), found.value.tolist(), strict=True)
    assert list(got) == sorted((*row, i) for i, row in enumerate(rows))
