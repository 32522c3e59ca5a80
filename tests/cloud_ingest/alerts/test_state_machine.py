"""The tables of the state machine: every pair of state and change is handled, or raises."""

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_rules.hold_time import Change, Transition
from cloud_ingest.alerts import AlertConflict
from cloud_ingest.alerts.actions import ACTIONS, Action, act
from cloud_ingest.alerts.backfill.reevaluation import PastSpan
from cloud_ingest.alerts.evaluation.rule_state import RuleTransition
from cloud_ingest.alerts.lifecycle import (
    RULE_CHANGES,
    AlertChange,
    ConditionChange,
    LifecycleError,
    RecordedState,
    apply,
)
from cloud_ingest.alerts.model import Alert, AlertState
from cloud_ingest.alerts.refires import group_refires

FRESH = Alert("test/r", "threshold", "g/d/m", "metric", "warning", AlertState.PENDING, 1000, 1000)
STATES = [None, AlertState.PENDING, AlertState.FIRING, AlertState.ACKNOWLEDGED]
IMPOSSIBLE = {(AlertState.PENDING, "rise")}


def recorded(state):
    if state is None:
        return RecordedState()
    return RecordedState(open=replace(FRESH, state=state, id=1, fires=1), open_since_ms=1000)


def change(kind, time_ms=2000, **fields):
    return ConditionChange(kind, replace(FRESH, **fields), 1000, time_ms, 0)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", get_args(Change))
def test_every_change_is_handled_in_every_state_or_raises(state, kind):
    assert ((state, kind) in RULE_CHANGES) == ((state, kind) not in IMPOSSIBLE)
    if (state, kind) in IMPOSSIBLE:
        with pytest.raises(LifecycleError):
            apply(recorded(state), change(kind), 3000)
    else:
        apply(recorded(state), change(kind), 3000)


def test_an_impossible_change_that_is_stale_has_no_effect():
    stale = change("rise", time_ms=500)
    assert apply(recorded(AlertState.PENDING), stale, 3000) == AlertChange()


def test_a_change_about_another_subject_raises():
    with pytest.raises(LifecycleError):
        apply(recorded(AlertState.FIRING), change("clear", subject="g/d/other"), 3000)


@pytest.mark.parametrize("kind", ["pending", "fire"])
@pytest.mark.parametrize("state", [None, AlertState.FIRING, AlertState.ACKNOWLEDGED])
def test_a_span_that_was_recorded_before_has_no_effect(state, kind):
    known = recorded(state)
    known.span_recorded = True
    assert apply(known, change(kind), 3000) == AlertChange()


@pytest.mark.parametrize("state", list(AlertState))
@pytest.mark.parametrize("action", list(Action))
def test_an_action_that_the_state_does_not_allow_raises(state, action):
    alert = replace(FRESH, state=state)
    if (state, action) in ACTIONS:
        act(alert, action, 3000, "An")
    else:
        with pytest.raises(AlertConflict):
            act(alert, action, 3000, "An")


@pytest.mark.parametrize(
    ("state", "action"),
    [(AlertState.ACKNOWLEDGED, Action.ACKNOWLEDGE), (AlertState.RESOLVED, Action.RESOLVE)],
)
def test_doing_it_twice_has_no_effect(state, action):
    alert = replace(FRESH, state=state)
    assert act(alert, action, 3000, "An") == AlertChange(alert)


gaps = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), max_size=12)


@given(gaps=gaps, within=st.integers(0, 15))
def test_grouping_refires_agrees_with_one_span_after_the_other(gaps, within):
    spans, at = [], 0
    for gap, length in gaps:
        spans.append(PastSpan(_fired(at + gap), at + gap + length))
        at += gap + length
    last, fires = RecordedState(), []
    for span in spans:  # as the live rules do
        at_start = ConditionChange("fire", FRESH, span.start_ms, span.start_ms, within)
        changed = apply(last, at_start, 0)
        fires.append(changed.event)
        last = RecordedState(last=replace(changed.alert, end_ms=span.end_ms))
    groups = group_refires(spans, within)
    assert [
        event for group in groups for event in ["fired"] + ["refired"] * (len(group) - 1)
    ] == fires


def _fired(start_ms):
    return RuleTransition(None, None, Transition("fire", 0, 1, start_ms, start_ms, 1.0, 1.0))
