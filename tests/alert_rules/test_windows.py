"""Windows that store less than all their buckets give the same results as all buckets."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_rules.rule_kinds import rule_kinds
from alert_rules.windows import BitWindow, SlidingWindow, TumblingWindow
from cloud_ingest.alerts.evaluation.engine import RuleEngine
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey

HOUR_MS = 3_600_000
VALUES = st.sampled_from([0.1, 0.3, 49.9, 50.0, 50.1, 1e6, -3.25, math.nan])
BUCKETS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 5), VALUES), min_size=1, max_size=60
)  # row, how many numbers after the row's last bucket, mean


def in_portions(buckets, size):
    """By row, then number, as buckets are completed; each portion newer than the one before."""
    now = [100, 100, 100]
    rows = []
    for row, ahead, mean in buckets:
        now[row] += ahead
        rows.append((row, now[row], mean))
    following = {}
    completed = []
    for row, number, mean in reversed(rows):
        completed.append((row, number, following.get(row, number + 1), mean))
        following[row] = number
    completed.reverse()
    for i in range(0, len(completed), size):
        yield sorted(completed[i : i + size])


def columns(rows):
    row, number, following, mean = zip(*rows, strict=True)
    return np.array(row, np.int32), np.array(number), np.array(following), np.array(mean)


def closed_windows(buckets, length, size):
    windows = TumblingWindow(length, HOUR_MS)
    windows.grow(3)
    found = []
    for rows in in_portions(buckets, size):
        row, number, following, mean = columns(rows)
        done = windows.advance(row, number, following, mean)
        found += zip(row[done.position], number[done.position], done.mean, done.count, strict=True)
    return sorted((int(s), int(n), float(m), int(c)) for s, n, m, c in found)


@given(BUCKETS, st.integers(1, 6), st.integers(1, 40))
def test_the_mean_of_a_tumbling_window_is_that_of_its_buckets_and_does_not_depend_on_portions(
    buckets, length, size
):
    found = closed_windows(buckets, length, size)
    assert found == closed_windows(buckets, length, len(buckets))
    rows = [one for part in in_portions(buckets, len(buckets)) for one in part]
    for row, number, mean, count in found:
        own = [r[3] for r in rows if r[0] == row and r[1] // length == number // length]
        known = [Fraction(x) for x in own if not math.isnan(x)]
        assert count == len(known)
        if known:
            exact = sum(known) / count
            largest = max(abs(float(x)) for x in known)
            assert abs(Fraction(mean) - exact) <= Fraction(largest) * Fraction(length, 2**51)
            if len(set(known)) == 1:
                assert mean == float(known[0])


@pytest.mark.parametrize("value", [0.1, 0.3, 35.4, 50.0, 150.1])
def test_buckets_that_are_all_at_a_threshold_have_a_mean_at_the_threshold(value):
    buckets = [(0, 1, value)] * 50
    assert {mean for _, _, mean, _ in closed_windows(buckets, 24, 7)} == {value}


@given(BUCKETS, st.integers(1, 20), st.integers(1, 40))
def test_a_window_of_bits_agrees_with_a_window_of_numbers(buckets, length, size):
    bits, windows = BitWindow(length, HOUR_MS), SlidingWindow(length, HOUR_MS)
    for kept in (bits, windows):
        kept.grow(3)
    for rows in in_portions(buckets, size):
        row, number, _, mean = columns(rows)
        past = (mean > 49.95).astype(np.float64)
        whole = windows.advance(row, number, past)
        assert ((bits.advance(row, number, past) == 1.0) == (whole == 1.0)).all()


SERIES = [Series(i, SeriesKey("g", "d", f"m{i}"), "bd", "s", "pm10", "u", 60_000) for i in range(3)]


def rule(number, kind, **fields):
    own = {"id": f"r{number}", "kind": kind, "name": {"vi": "a", "en": "b"}} | fields
    return rule_kinds()[kind].rule.model_validate(own)


RULES = [
    rule(0, "mean", window="24h", step="1h", aligned=True, above=50),
    rule(1, "count", window="24h", step="1h", above=50, count=5),
    rule(2, "count", window="24h", step="1h", above=50, count=7, severity="critical"),
    rule(3, "mean", window="24h", step="1h", above=50),  # keeps the means of all buckets
]


def found_by(batches, restart=None):
    def ready():
        engine = RuleEngine(RULES)
        engine.register(SERIES)
        return engine

    engine, found = ready(), []
    for k, batch in enumerate(batches):
        if k == restart:
            kept = engine.state()
            engine = ready()
            engine.restore(kept.get)
        changes, _ = engine.advance(batch, int(batch.time_ms.max()))
        found += [(f.rule.id, f.series.index, f.transition) for f in changes]
    return found


@pytest.mark.parametrize("restart", range(5, 70, 8))
def test_a_restart_in_the_middle_of_windows_changes_nothing(restart):
    rng = np.random.default_rng(3)
    minutes = np.arange(72 * 60)
    level = 50 + 4 * np.sin(minutes / 700.0)
    batches = []
    for part in np.split(minutes, 72):
        s, t = np.repeat(np.arange(3), len(part)), np.tile(part, 3) * 60_000 + 1_795_000_000_000
        value = np.round(np.tile(level[part], 3) + rng.normal(0, 1, len(s)), 1)
        batches.append(SampleBatch.of(s, t, value, np.ones(len(s))))
    whole = found_by(batches)
    again = found_by(batches, restart)
    assert {name for name, _, _ in whole} == {"r0", "r1", "r2", "r3"}
    assert [(r, s, t.change, t.time_ms) for r, s, t in again] == [
        (r, s, t.change, t.time_ms) for r, s, t in whole
    ]
    assert [t.value for *_, t in again] == pytest.approx([t.value for *_, t in whole], rel=1e-12)
