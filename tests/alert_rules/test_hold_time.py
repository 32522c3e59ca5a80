"""Hold times agree with a plain model, however the verdicts are split into portions."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_rules.evaluator import Verdicts
from alert_rules.hold_time import HoldTime
from tests.alert_rules.models import HoldModel, changes_of

moments = st.lists(
    st.tuples(st.integers(1, 12), st.booleans(), st.floats(0, 100)), min_size=1, max_size=40
)


def verdicts(entries):
    """Verdicts from (row, time, level, value)."""
    rows = sorted(entries, key=lambda r: (r[0], r[1]))
    return Verdicts(
        np.array([r[0] for r in rows], np.int32),
        np.array([r[1] for r in rows], np.int64),
        np.array([r[2] for r in rows], np.int8),
        np.array([r[3] for r in rows], np.float64),
    )


@settings(max_examples=300)
@given(
    st.lists(moments, min_size=1, max_size=3),
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(1, 30),
)
def test_hold_times_agree_with_the_model_in_any_portions(series, hold, clear_after, portion):
    gap = 8
    rows, expected = [], []
    for row, steps in enumerate(series):
        time = 100
        for step, on, value in steps:
            time += step
            rows.append((row, time, on, value))
    for row in range(len(series)):
        model = HoldModel(hold, clear_after, gap)
        expected.append([e for r in rows if r[0] == row for e in model.feed(*r[1:])])
    rows.sort(key=lambda r: r[1])
    hold_time = HoldTime(1, hold, clear_after)
    hold_time.grow(np.full(len(series), gap, np.int64))
    found = [[] for _ in series]
    for i in range(0, len(rows), portion):
        for change in hold_time.advance(verdicts(rows[i : i + portion])):
            found[change.row].append((change.change, change.time_ms))
    assert found == expected


@settings(max_examples=200)
@given(moments, st.integers(0, 20), st.integers(0, 20), st.integers(0, 40))
def test_a_restart_between_any_two_moments_changes_nothing(steps, hold, clear_after, at):
    rows, time = [], 100
    for step, on, value in steps:
        time += step
        rows.append((0, time, on, value))
    whole = HoldTime(1, hold, clear_after)
    whole.grow(np.full(1, 8, np.int64))
    expected = whole.advance(verdicts(rows))
    first = HoldTime(1, hold, clear_after)
    first.grow(np.full(1, 8, np.int64))
    found = first.advance(verdicts(rows[:at])) if rows[:at] else []
    second = HoldTime(1, hold, clear_after)
    second.grow(np.full(1, 8, np.int64))
    second.restore({k: v.copy() for k, v in first.state().items()})
    found += second.advance(verdicts(rows[at:])) if rows[at:] else []
    assert changes_of(found) == changes_of(expected)
    assert [t.start_ms for t in found] == [t.start_ms for t in expected]


@settings(max_examples=200)
@given(moments, st.integers(0, 20))
def test_the_peak_is_the_worst_value_of_the_span(steps, hold):
    model, hold_time, time = HoldModel(hold, 0, 8), HoldTime(1, hold, 0), 100
    hold_time.grow(np.full(1, 8, np.int64))
    for step, on, value in steps:
        time += step
        model.feed(time, on, value)
        hold_time.advance(verdicts([(0, time, on, value)]))
        if model.firing:
            assert hold_time.peak_of(0) == model.peak


@settings(max_examples=200)
@given(moments, st.integers(0, 20), st.integers(0, 20), st.integers(1, 40))
def test_each_change_has_the_worst_value_of_its_own_span(steps, hold, clear_after, portion):
    model, rows, expected, time = HoldModel(hold, clear_after, 8), [], [], 100
    for step, on, value in steps:
        time += step
        rows.append((0, time, on, value))
        peak = model.peak
        for change, at in model.feed(time, on, value):
            expected.append((change, at, model.peak if on else peak))
    hold_time = HoldTime(1, hold, clear_after)
    hold_time.grow(np.full(1, 8, np.int64))
    found = []
    for i in range(0, len(rows), portion):
        found += hold_time.advance(verdicts(rows[i : i + portion]))
    assert [(t.change, t.time_ms, t.peak) for t in found] == expected


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), min_size=1, max_size=40),
    st.integers(0, 20), st.integers(0, 20), st.integers(1, 40),
)  # fmt: skip
def test_each_level_has_a_hold_time_of_its_own(steps, hold, clear_after, portion):
    models = [HoldModel(hold, clear_after, 8) for _ in range(3)]
    rows, expected, time = [], [], 100
    for step, level in steps:
        time += step
        rows.append((0, time, level, float(level)))
        for number, model in enumerate(models, start=1):
            changes = model.feed(time, level >= number, float(level))
            if number > 1:  # only the first level begins and ends the span
                changes = [("rise", at) for change, at in changes if change == "fire"]
            expected += [(at, number, change) for change, at in changes]
    hold_time = HoldTime(3, hold, clear_after)
    hold_time.grow(np.full(1, 8, np.int64))
    found = []
    for i in range(0, len(rows), portion):
        found += hold_time.advance(verdicts(rows[i : i + portion]))
    assert [(t.time_ms, t.level, t.change) for t in found] == expected


def test_a_hold_time_stands_still_while_data_is_missing():
    hold_time = HoldTime(1, 60_000, 0)
    hold_time.grow(np.array([10_000], np.int64))
    assert changes_of(hold_time.advance(verdicts([(0, 0, 1, 1.0)]))) == [("pending", 0)]
    assert hold_time.advance(verdicts([(0, 5_000, 1, 1.0)])) == []
    # an hour without data adds nothing to the five seconds
    assert hold_time.advance(verdicts([(0, 3_600_000, 1, 1.0)])) == []
    later = [(0, 3_600_000 + s * 5_000, 1, 1.0) for s in range(1, 12)]
    assert changes_of(hold_time.advance(verdicts(later))) == [("fire", 3_655_000)]


def test_severity_rises_after_its_own_hold_time():
    hold_time = HoldTime(2, 10, 0)
    hold_time.grow(np.array([100], np.int64))
    rows = [(0, t, 1 if t < 50 else 2, float(t)) for t in range(0, 100, 5)]
    changes = [(t.change, t.time_ms, t.level) for t in hold_time.advance(verdicts(rows))]
    assert changes == [("pending", 0, 1), ("fire", 10, 1), ("rise", 60, 2)]


def test_a_rise_has_the_worst_value_until_then():
    hold_time = HoldTime(2, 10, 0)
    hold_time.grow(np.array([100], np.int64))
    rows = [(0, t, 1 if t < 50 else 2, float(t)) for t in range(0, 100, 5)]
    assert [t.peak for t in hold_time.advance(verdicts(rows)) if t.change == "rise"] == [60.0]


def test_rows_without_a_span_take_no_room():
    hold_time = HoldTime(1, 10, 0)
    hold_time.grow(np.full(1000, 100, np.int64))
    hold_time.advance(verdicts([(row, 0, row % 500 == 0, 1.0) for row in range(1000)]))
    assert len(hold_time.levels[0].active) == 2
    hold_time.advance(verdicts([(row, 5, 0, 1.0) for row in range(1000)]))
    assert len(hold_time.levels[0].active) == 0
