"""Rules that share row indexes, buckets and windows find what each would find alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_rules.rule_kinds import rule_kinds
from cloud_ingest.alerts.evaluation.engine import RuleEngine
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey

SERIES = [
    Series(i, SeriesKey("g", d, "m"), "bd", "s", q, "u", 1000)
    for i, (d, q) in enumerate([("a", "pm10"), ("a", "pm2_5"), ("b", "pm10"), ("b", "laeq")])
]
RULES = [
    ("threshold", {"above": 80}),
    ("mean", {"window": "12s", "step": "3s", "above": 50}),
    ("mean", {"window": "6s", "step": "3s", "above": 55, "select": {"quantity": "pm10"}}),
    ("mean", {"window": "12s", "step": "3s", "above": 45, "aligned": True, "completeness": 0.3}),
    ("mean", {"window": "6s", "step": "3s", "above": 60, "energy": True, "select": {"quantity": "laeq"}}),
    ("count", {"window": "12s", "step": "3s", "count": 2, "above": 50, "select": {"device": "b"}}),
    ("flat_line", {"window": "18s", "tolerance": 1}),
    ("rate", {"above": 20, "per": "1s", "over": "3s"}),
]  # fmt: skip
SAMPLES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 4), st.sampled_from([0.3, 45.0, 50.0, 55.0, 90.0])),
    min_size=1,
    max_size=120,
)


def rule_of(number):
    kind, fields = RULES[number]
    given_fields = {"id": f"r{number}", "kind": kind, "name": {"vi": "a", "en": "b"}} | fields
    return rule_kinds()[kind].rule.model_validate(given_fields)


def batches_of(samples, portion):
    time_ms = dict.fromkeys(range(4), 1_795_000_000_000)
    rows = []
    for series, step, value in samples:
        time_ms[series] += step * 1000
        rows.append((series, time_ms[series], value))
    for i in range(0, len(rows), portion):
        s, t, v = zip(*rows[i : i + portion], strict=True)
        yield SampleBatch.of(s, t, v, np.ones(len(s)))


def found_by(rules, batches, restart_after=None):
    engine, found = ready(rules), []
    for k, batch in enumerate(batches):
        if k == restart_after:
            kept = engine.state()
            engine = ready(rules)
            engine.restore(kept.get)
        changes, _ = engine.advance(batch, int(batch.time_ms.max()))
        found += [(f.rule.id, f.series.index, f.transition) for f in changes]
    return sorted(
        (rule, series, t.time_ms, t.change, t.level, t.value) for rule, series, t in found
    )


def ready(rules):
    engine = RuleEngine(rules)
    engine.register(SERIES[:2])
    engine.register(SERIES)
    return engine


@settings(max_examples=60, deadline=None)
@given(SAMPLES, st.integers(1, 40), st.integers(0, 5))
def test_together_rules_find_what_each_finds_alone_across_a_restart(samples, portion, restart):
    batches = list(batches_of(samples, portion))
    rules = [rule_of(k) for k in range(len(RULES))]
    alone = sorted(found for rule in rules for found in found_by([rule], batches))
    assert found_by(rules, batches, restart) == alone


def test_equal_values_are_a_flat_line_whatever_their_digits():
    rule = rule_of(6).model_copy(update={"tolerance": 0.0})
    batches = list(batches_of([(0, 1, 0.3)] * 40, 7))
    assert [f[3] for f in found_by([rule], batches)] == ["fire"]


@pytest.mark.parametrize("longer", ["24s", "6s"])
def test_a_window_that_has_become_longer_or_shorter_keeps_its_steps(longer):
    before = rule_kinds()["mean"].rule.model_validate(
        {"id": "r", "kind": "mean", "name": {"vi": "a", "en": "b"}, "window": "12s", "step": "3s",
         "above": 50, "completeness": 0.1}
    )  # fmt: skip
    after = before.model_copy(update={"window": int(longer[:-1]) * 1000})
    first, *others = batches_of([(0, 1, 60.0)] * 30, 15)
    engine = ready([before])
    engine.advance(first, int(first.time_ms.max()))
    kept, engine = engine.state(), ready([after])
    engine.restore(kept.get)
    for batch in others:
        found, _ = engine.advance(batch, int(batch.time_ms.max()))
        assert [f.transition.value for f in found] == [60.0]
