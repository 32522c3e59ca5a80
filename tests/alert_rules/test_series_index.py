"""Which samples are a rule's own; found once for all rules that share an index."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alert_rules.evaluator import SeriesIndex, SortedSamples
from telemetry.series import Series, SeriesKey

SERIES = [Series(i, SeriesKey("g", "d", f"m{i}"), "bd", "s", "pm10", "u", 1000) for i in range(7)]
INDICES = st.sets(st.integers(0, 6))


def samples_of(lengths: dict[int, int]) -> SortedSamples:
    series = np.repeat(np.array(sorted(lengths), np.int32), [lengths[s] for s in sorted(lengths)])
    return SortedSamples(series, np.arange(len(series)), np.arange(len(series)) * 10.0)


@given(INDICES, INDICES, st.dictionaries(st.integers(0, 6), st.integers(1, 4)))
def test_an_index_selects_the_samples_of_its_series_whichever_they_are(
    first: set[int], more: set[int], lengths: dict[int, int]
) -> None:
    index, samples = SeriesIndex(), samples_of(lengths)
    for watched in (first, more):  # those registered first have the lower rows
        index.bind(SERIES, lambda one, watched=watched: one.index in watched)
    own = index.select(samples)
    expected = np.array([s in first | more for s in samples.series.tolist()], np.bool_)
    mask = own.mask if own.mask is not None else np.ones(len(samples), np.bool_)
    assert mask.tolist() == expected.tolist()
    assert [index.series[r].index for r in own.row.tolist()] == samples.series[expected].tolist()
    assert own.time_ms.tolist() == samples.time_ms[expected].tolist()
    assert own.value.tolist() == samples.value[expected].tolist()


def test_rules_that_share_an_index_share_the_selection() -> None:
    index, other, samples = SeriesIndex(), SeriesIndex(), samples_of({0: 2, 3: 1})
    index.bind(SERIES, lambda one: one.index == 3)
    other.bind(SERIES, lambda one: one.index == 0)
    assert index.select(samples) is index.select(samples)
    assert len(other.select(samples)) == 2
    assert len(index.select(samples_of({3: 5}))) == 5
