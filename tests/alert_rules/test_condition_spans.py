"""Transitions fold into condition spans as a plain model folds them."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_rules.evaluator import Verdicts
from alert_rules.hold_time import ConditionSpan, HoldTime, OpenSpans, Transition, fold_transitions

LIVES = st.lists(
    st.tuples(
        st.booleans(),  # fires, or is cancelled before
        st.integers(0, 3),  # rises
        st.tuples(st.floats(0, 50), st.floats(50, 100)),  # peak when it fires, and at the end
    ),
    max_size=6,
)


def transitions_of(lives, *, row=0, open_at_end=False, begin_ms=0):
    """Valid transitions of one row: each life pends, then fires, rises and clears, or cancels."""
    time_ms, found = begin_ms, []
    for fires, rises, (peak, worst) in lives:
        start_ms = time_ms = time_ms + 10

        def add(change, level=1, peak=peak, start_ms=start_ms):
            nonlocal time_ms
            found.append(Transition(change, row, level, start_ms, time_ms, peak, peak))
            time_ms += 5

        add("pending")
        if not fires:
            add("cancel")
            continue
        add("fire")
        for level in range(2, 2 + rises):
            add("rise", level)
        add("clear", peak=worst)
    if open_at_end and found and found[-1].change == "clear":
        found.pop()
    return found


def plain_spans(transitions, end_ms):
    """Each fire with the rises up to the next clear."""
    spans = []
    for i, one in enumerate(transitions):
        if one.change != "fire":
            continue
        until = next(
            (k for k in range(i, len(transitions)) if transitions[k].change == "clear"), None
        )
        rises = [t.level for t in transitions[i:until] if t.change == "rise"]
        clear = transitions[until] if until is not None else None
        spans.append(
            (
                one.start_ms, one.time_ms, clear.time_ms if clear else end_ms,
                clear.peak if clear else one.peak, max([one.level, *rises]),
            )
        )  # fmt: skip
    return spans


def rows_of(spans):
    return [(s.start_ms, s.fired_ms, s.end_ms, s.peak, s.level) for s in spans]


@given(LIVES, st.booleans(), st.none() | st.integers(10_000, 20_000))
def test_a_whole_sequence_folds_as_the_plain_model_folds_it(lives, open_at_end, end_ms):
    transitions = transitions_of(lives, open_at_end=open_at_end)
    assert rows_of(fold_transitions(transitions, end_ms)) == plain_spans(transitions, end_ms)


@given(st.lists(LIVES, min_size=1, max_size=4), st.booleans(), st.randoms(use_true_random=False))
def test_each_key_folds_as_if_it_were_alone(rows, open_at_end, random):
    alone = [transitions_of(r, row=i, open_at_end=open_at_end) for i, r in enumerate(rows)]
    waiting = {i: list(own) for i, own in enumerate(alone) if own}
    spans, found = OpenSpans(), {i: [] for i in range(len(rows))}
    while waiting:  # the keys take turns in any order, each in the order of its own time
        key = random.choice(sorted(waiting))
        span = spans.apply(key, waiting[key].pop(0))
        found[key] += [span] if span is not None else []
        waiting = {k: own for k, own in waiting.items() if own}
    for key, span in spans.finish(99_999).items():
        found[key].append(span)
    assert [rows_of(found[i]) for i in range(len(rows))] == [plain_spans(a, 99_999) for a in alone]
    assert spans.finish(99_999) == {}


@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 2), st.floats(0, 100)), min_size=1, max_size=60),
    st.integers(0, 20), st.integers(0, 20),
)  # fmt: skip
def test_what_hold_times_give_can_always_be_folded(moments, hold_ms, clear_after_ms):
    hold_time = HoldTime(2, hold_ms, clear_after_ms)
    hold_time.grow(np.full(1, 8, np.int64))
    time_ms = np.cumsum([m[0] for m in moments]) + 100
    level = np.array([m[1] for m in moments], np.int8)
    value = np.array([m[2] for m in moments])
    changes = hold_time.advance(Verdicts(np.zeros(len(level), np.int32), time_ms, level, value))
    spans = fold_transitions(changes)
    assert len(spans) == sum(c.change == "fire" for c in changes)
    assert sum(s.end_ms is None for s in spans) == len(hold_time.firing)
    for span, following in itertools.pairwise(spans):
        assert span.start_ms <= span.fired_ms <= span.end_ms <= following.start_ms


def test_what_began_before_the_fold_is_ignored():
    pending, fire, rise, clear = transitions_of([(True, 1, (1.0, 2.0))])
    assert fold_transitions([rise, clear]) == []
    assert fold_transitions([rise, clear, replace(fire, start_ms=90, time_ms=95)]) == [
        ConditionSpan(replace(fire, start_ms=90, time_ms=95), None)
    ]
    assert pending.change == "pending"


def test_a_second_fire_without_a_clear_is_an_error():
    _, fire, *_ = transitions_of([(True, 0, (1.0, 2.0))])
    spans = OpenSpans()
    spans.apply("a", fire)
    spans.apply("b", fire)
    with pytest.raises(ValueError, match="a fires at 15 and has not been cleared"):
        spans.apply("a", fire)
