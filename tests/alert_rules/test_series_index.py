"""Which samples are a rule's own, found out once for all rules over the same series."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alert_rules.evaluator import SeriesIndex, SortedSamples
from telemetry.series import Series, SeriesKey

SERIES = [Series(i, SeriesKey("g", "d", f"m{i}"), "bd", "s", "pm10", "u", 1000) for i in range(7)]
INDICES = st.sets(st.integers(0, 6))


def runs_of(lengths: dict[int, int]) -> SortedSamples:
    series = np.repeat(np.array(sorted(lengths), np.int32), [lengths[s] for s in sorted(lengths)])
    return SortedSamples(series, np.arange(len(series)), np.zeros(len(series)))


@given(INDICES, INDICES, st.dictionaries(st.integers(0, 6), st.integers(1, 4)))
def test_the_samples_of_members_are_picked_whoever_they_are(
    first: set[int], more: set[int], lengths: dict[int, int]
) -> None:
    index, runs = SeriesIndex(), runs_of(lengths)
    for wanted in (first, more):  # those known first have the lower slots
        index.bind(SERIES, lambda one, wanted=wanted: one.index in wanted)
    slot, meant = index.select(runs)
    mine = [s in first | more for s in runs.series.tolist()]
    assert (meant.tolist() if meant is not None else [True] * len(runs)) == mine
    own = runs.series[np.array(mine, np.bool_)].tolist()
    assert [index.series[n].index for n in slot.tolist()] == own


def test_rules_over_the_same_series_share_what_was_found_out() -> None:
    index, others, runs = SeriesIndex(), SeriesIndex(), runs_of({0: 2, 3: 1})
    index.bind(SERIES, lambda one: one.index == 3)
    others.bind(SERIES, lambda one: one.index == 0)
    assert index.select(runs)[0] is index.select(runs)[0]
    assert len(others.select(runs)[0]) == 2
    assert len(index.select(runs_of({3: 5}))[0]) == 5
