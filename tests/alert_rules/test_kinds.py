"""Every kind gives the same verdicts however samples are split, and across restarts."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_rules.evaluator import SortedSamples
from alert_rules.kinds.no_data import NoDataRule
from alert_rules.rule_kinds import new_evaluator, rule_kinds
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey
from telemetry.time.local_time import from_local_ms, to_local_ms

NAME = {"vi": "a", "en": "b"}
SERIES = [
    Series(i, SeriesKey("g", d, "m"), "bd", "s", q, "ug/m3", 1000)
    for i, (d, q) in enumerate([("up", "pm10"), ("down", "pm2_5"), ("other", "pm10")])
]
RULES = {
    "threshold": {"above": 50, "clear": 40, "levels": [{"severity": "critical", "above": 80}]},
    "mean": {"window": "12s", "step": "3s", "above": 50, "clear": 45, "completeness": 0.5},
    "rate": {"above": 60, "per": "1s"},
    "flat_line": {"window": "12s", "tolerance": 30},
    "count": {"window": "12s", "step": "3s", "count": 2, "above": 50, "completeness": 0.5},
    "difference": {"select": {"device": "up"}, "minus": {"device": "down"}, "step": "3s", "above": 10},
    "no_data": {"intervals": 3, "at_least": "3s"},
}  # fmt: skip
VARIANTS = [
    *RULES.items(),
    ("mean", {"window": "12s", "step": "3s", "aligned": True, "below": 50, "completeness": 0.3}),
    ("rate", {"above": 5, "per": "1s", "over": "3s", "direction": "rise"}),
    ("threshold", {"outside": [20, 80], "clear": 5}),
    ("threshold", {"between": [350, 20], "circular": True, "clear": 5}),
]


def rule_of(kind, fields):
    given_fields = {"id": "r", "kind": kind, "name": NAME, "severity": "warning"} | fields
    rule = rule_kinds()[kind].rule.model_validate(given_fields)
    assert list(rule.validation_errors()) == []
    return rule


def fresh(rule, state=None, interval_ms=1000):
    evaluator = new_evaluator(rule)
    evaluator.bind([replace(s, interval_ms=interval_ms) for s in SERIES])
    if state is not None:
        evaluator.restore({k: v.copy() for k, v in state.items()})
    return evaluator


def rows_of(verdicts):
    return sorted(
        zip(
            verdicts.row.tolist(), verdicts.time_ms.tolist(), verdicts.level.tolist(),
            [round(v, 6) for v in verdicts.value.tolist()], strict=True,
        )
    )  # fmt: skip


samples = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 9), st.sampled_from([0.0, 25.0, 45.0, 55.0, 90.0])),
    min_size=1,
    max_size=60,
)


def in_time(steps, spacing=500):
    time, rows = [0, 0, 0], []
    for index, step, value in steps:
        time[index] += step * spacing
        rows.append((index, 1_000_000 + time[index], value))
    return rows


def samples_of(rows):
    return SortedSamples.of(SampleBatch.of(*zip(*rows, strict=True), [1] * len(rows)))


@pytest.mark.parametrize(("kind", "fields"), VARIANTS)
@settings(max_examples=60)
@given(steps=samples, portion=st.integers(1, 7), cut=st.integers(0, 60))
def test_portions_and_restarts_change_no_verdict(kind, fields, steps, portion, cut):
    rule = rule_of(kind, fields)
    rows = in_time(steps)
    expected = rows_of(fresh(rule).evaluate(samples_of(rows)))
    evaluator, found, done = fresh(rule), [], 0
    while done < len(rows):
        found += rows_of(evaluator.evaluate(samples_of(rows[done : done + portion])))
        done += portion
        if kind != "difference" and done - portion <= cut < done:
            evaluator = fresh(rule, evaluator.state())
    assert sorted(found) == expected


def plain_means(rows, row, step_ms, steps, need, completeness):
    """Rolling means of step means, from the definition."""
    gathered = {}
    for index, time, value in rows:
        if index == row:
            gathered.setdefault(to_local_ms(time) // step_ms, []).append(value)
    last = max(gathered)
    means = []
    for number in sorted(gathered):
        if number == last:
            continue
        window = [
            sum(gathered[n]) / len(gathered[n])
            for n in range(number - steps + 1, number + 1)
            if len(gathered.get(n, [])) >= need
        ]
        if window and len(window) >= completeness * steps:
            end_ms = from_local_ms((number + 1) * step_ms)
            means.append((row, end_ms, sum(window) / len(window)))
    return means


@settings(max_examples=150)
@given(steps=samples)
def test_a_rolling_mean_is_the_mean_of_its_steps_means(steps):
    rows = in_time(steps)
    rule = rule_of("mean", RULES["mean"])
    found = fresh(rule).evaluate(samples_of(rows))
    expected = [
        e for i in sorted({r[0] for r in rows}) for e in plain_means(rows, i, 3000, 4, 1, 0.5)
    ]
    got = list(zip(found.row.tolist(), found.time_ms.tolist(), found.value.tolist(), strict=True))
    assert [g[:2] for g in got] == [e[:2] for e in expected]
    assert [g[2] for g in got] == pytest.approx([e[2] for e in expected])


def test_an_aligned_day_ends_at_midnight_in_viet_nam():
    rule = rule_of("mean", {"window": "24h", "step": "1h", "aligned": True, "above": 45})
    hour = 3_600_000
    midnight = 1_795_453_200_000
    hours = [(0, midnight - 24 * hour + h * hour, 50.0) for h in range(25)]
    found = fresh(rule, interval_ms=hour).evaluate(samples_of(hours))
    assert rows_of(found) == [(0, midnight, 1, 50.0)]
    thin = [h for i, h in enumerate(hours) if i < 17 or i == 24]  # 17 of 24 hours
    assert rows_of(fresh(rule, interval_ms=hour).evaluate(samples_of(thin))) == []
    early = [h for i, h in enumerate(hours) if i < 18 or i == 24]  # the last six hours are missing
    assert rows_of(fresh(rule, interval_ms=hour).evaluate(samples_of(early))) == [
        (0, midnight, 1, 50.0)
    ]


def test_a_value_on_the_limit_is_within_it():
    rule = rule_of("threshold", {"above": 50})
    rows = [(0, t, v) for t, v in ((1, 50.0), (2, math.nextafter(50, 99)), (3, 50.0))]
    assert [r[2] for r in rows_of(fresh(rule).evaluate(samples_of(rows)))] == [0, 1, 0]


def test_hysteresis_holds_until_the_value_is_back_at_clear():
    rule = rule_of("threshold", {"above": 50, "clear": 40})
    rows = [(0, t, v) for t, v in enumerate((45.0, 51.0, 45.0, 40.1, 40.0, 45.0), start=1)]
    assert [r[2] for r in rows_of(fresh(rule).evaluate(samples_of(rows)))] == [0, 1, 1, 1, 0, 0]


def test_a_sector_of_wind_may_run_over_north():
    rule = rule_of("threshold", {"between": [350, 20], "circular": True})
    rows = [(0, t, v) for t, v in enumerate((349.0, 350.0, 0.0, 20.0, 21.0, 180.0), start=1)]
    assert [r[2] for r in rows_of(fresh(rule).evaluate(samples_of(rows)))] == [0, 1, 1, 1, 0, 0]


def test_a_counter_that_falls_back_has_no_rate():
    rule = rule_of("rate", {"above": 1, "per": "1s", "direction": "rise"})
    rain = [Series(0, SeriesKey("g", "d", "rain"), "bd", "s", "precipitation", "mm", 1000)]
    evaluator = new_evaluator(rule)
    evaluator.bind(rain)
    rows = [(0, 1000 * t, v) for t, v in enumerate((10.0, 13.0, 0.0, 0.5), start=1)]
    found = evaluator.evaluate(samples_of(rows))
    assert found.value.tolist() == [3.0, 0.5]


def test_no_data_is_true_from_the_end_of_the_timeout_to_the_next_sample():
    rule = rule_of("no_data", {"intervals": 5, "at_least": "4s"})
    rows = [(0, 1000, 1.0), (0, 2000, 1.0), (0, 20_000, 1.0)]
    found = fresh(rule).evaluate(samples_of(rows))
    assert [(t, level) for _, t, level, _ in rows_of(found)] == [
        (1000, 0),
        (2000, 0),
        (7000, 1),
        (20_000, 0),
    ]


def test_a_timeout_is_some_intervals_and_at_least_a_time():
    rule = rule_of("no_data", {"intervals": 5, "at_least": "60s"})
    assert isinstance(rule, NoDataRule)
    assert rule.timeout_ms(np.array([1000, 60_000])).tolist() == [60_000, 300_000]
    assert rule.timeout_ms(np.array([0]))[0] > 10**13  # nothing is expected of an event sensor
    event_driven = rule_of("no_data", {"without_interval": "1h"})
    assert event_driven.timeout_ms(np.array([0])).tolist() == [3_600_000]


class Scores:
    def __init__(self, score, reason):
        self.score = np.array(score)
        self.reason = np.array(reason, np.uint8)
        self.expected = np.full(len(self.score), 50.0)


def levels_of(rule, budgets, scores, reasons, value=60.0):
    evaluator = new_evaluator(rule)
    evaluator.budgets = budgets
    evaluator.bind(SERIES)
    n = len(SERIES)
    row, time_ms = np.arange(n, dtype=np.int32), np.full(n, 10**12)
    scored = SortedSamples(row, time_ms, np.full(n, value), Scores(scores, reasons))
    return evaluator.evaluate(scored).level.tolist()


def test_an_anomaly_has_the_budget_of_its_quantity_unless_the_rule_says_otherwise():
    def budgets(quantity):
        return (1.0, 4.0) if quantity == "pm10" else (0.1, 0.0)

    once_a_month = math.log10(730.5)
    usual = rule_of("anomaly", {})
    # pm10, pm2_5, pm10: the value is as rare as once a month, the sensor likewise
    assert levels_of(usual, budgets, [once_a_month] * 3, [1, 1, 40]) == [1, 0, 1]
    assert levels_of(usual, budgets, [once_a_month - 0.5] * 3, [1, 1, 40]) == [0, 0, 1]
    # no budget, no alert, however rare it is
    assert levels_of(usual, budgets, [9.0] * 3, [40, 40, 40]) == [1, 0, 1]
    own = rule_of("anomaly", {"alerts_per_month": 1})
    assert levels_of(own, budgets, [once_a_month] * 3, [1, 1, 40]) == [1, 1, 1]
    below = rule_of("anomaly", {"alerts_per_month": 1, "direction": "below"})
    assert levels_of(below, budgets, [9.0] * 3, [1, 1, 1]) == [0, 0, 0]
    sensor = rule_of("anomaly", {"about": "sensor", "select": {"quantity": "pm10"}})
    assert levels_of(sensor, budgets, [9.0] * 3, [1, 1, 40]) == [0, 1]
