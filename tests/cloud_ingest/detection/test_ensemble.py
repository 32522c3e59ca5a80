import functools

import numpy as np
import pytest

from cloud_ingest.detection import EnsembleDetector, Reason, threshold_for_budget
from telemetry.batches import SampleBatch
from tests.cloud_ingest.detection.streams import HOUR_MS, batch_of, one_series

DAYS = 40
MONTH = threshold_for_budget(1)
SEEDS = range(1, 9)
"""Each seed is a series; all of them learn side by side, which costs little more than one."""
COUNTER = len(SEEDS)
LEARNT_H = np.arange(0, 24 * DAYS, 0.25)


def usual(rng, hours):
    day = 20 * np.sin(2 * np.pi * hours / 24)
    week = np.where(hours // 24 % 7 < 5, 6.0, 0.0)
    return 60 + day + week + rng.normal(0, 3, len(hours))


def energy_used():
    return np.abs(np.random.default_rng(2).normal(1.0, 0.2, len(LEARNT_H)))


def new_detector():
    detector = EnsembleDetector()
    detector.register([*(one_series(i) for i in range(COUNTER)), one_series(COUNTER, "energy")])
    return detector


@functools.cache
def lesson():
    """State after the ordinary weeks of every series, and the scores of the first ones."""
    detector = new_detector()
    values = [usual(np.random.default_rng(seed), LEARNT_H) for seed in SEEDS]
    parts = [batch_of(i, LEARNT_H, x) for i, x in enumerate(values)]
    parts.append(batch_of(COUNTER, LEARNT_H, 1e5 + np.cumsum(energy_used())))
    scores = detector.update(SampleBatch.concat(parts))
    return detector.state(), scores.score.reshape(len(parts), -1)[:COUNTER]


def taught():
    detector = new_detector()
    detector.restore(lesson()[0])
    return detector, np.random.default_rng(101)


def go_on(detector, rng, change, hours=24.0, start=24 * DAYS):
    span = start + np.arange(0, hours, 0.25)
    return detector.update(batch_of(0, span, change(usual(rng, span), span - start)))


@pytest.mark.slow
def test_ordinary_weeks_cost_no_more_than_the_budget():
    on = np.pad(lesson()[1] >= MONTH, ((0, 0), (1, 0)))
    alerts = int((on[:, 1:] & ~on[:, :-1]).sum())
    assert alerts <= len(SEEDS) * DAYS / 30


def test_an_episode_is_one_alert_with_a_reason_a_start_and_a_band():
    detector, rng = taught()
    scores = go_on(detector, rng, lambda x, t: x + np.where((t > 6) & (t < 12), 60, 0))
    on = scores.score >= MONTH
    assert int((on & ~np.r_[False, on[:-1]]).sum()) == 1
    first = int(np.argmax(on))
    assert 24 <= first <= 30
    assert Reason(int(scores.reason[first])) in {Reason.HIGH, Reason.HIGH_FOR_TIME, Reason.RISE}
    assert scores.since_ms[first] == pytest.approx((24 * DAYS + 6.25) * HOUR_MS, abs=2 * HOUR_MS)
    assert scores.low[first] < scores.expected[first] < scores.high[first]


def test_a_value_that_is_usual_by_day_is_unusual_by_night():
    detector, rng = taught()
    scores = go_on(detector, rng, lambda x, t: np.where((t > 16) & (t < 20), 86.0, x))
    assert scores.score.max() >= MONTH


def test_a_missing_daily_peak_is_unusual():
    detector, rng = taught()
    scores = go_on(detector, rng, lambda x, t: np.minimum(x, 46.0))
    on = np.flatnonzero(scores.score >= threshold_for_budget(2))
    assert len(on)
    assert scores.reason[on[0]] < Reason.SPIKE


def test_a_return_after_a_gap_causes_no_alerts():
    for gap in (6, 72, 24 * 120):
        detector, rng = taught()
        scores = go_on(detector, rng, lambda x, _: x, hours=48, start=24 * DAYS + gap)
        assert (scores.score >= MONTH).sum() == 0, gap


def test_another_sampling_rate_is_no_anomaly():
    detector, rng = taught()
    span = 24 * DAYS + np.arange(0, 24, 1 / 60)
    scores = detector.update(batch_of(0, span, usual(rng, span)))
    assert (scores.score >= threshold_for_budget(0.2)).sum() == 0


def test_a_counter_is_judged_by_its_increase():
    detector, _ = taught()
    used = energy_used()
    total = 1e5 + used.sum()
    span = 24 * DAYS + np.arange(0, 12, 0.25)
    grown = np.cumsum(used[: len(span)])
    quiet = detector.update(batch_of(COUNTER, span, total + grown))
    assert (quiet.score[8:] >= MONTH).sum() == 0
    reset = detector.update(batch_of(COUNTER, span + 12, grown))
    assert (reset.score >= MONTH).sum() == 0
    leak = detector.update(
        batch_of(COUNTER, span + 24, grown[-1] + np.cumsum(np.full(len(span), 9.0)))
    )
    assert leak.score.max() >= MONTH


def test_an_angle_is_not_judged():
    detector = EnsembleDetector()
    detector.register([one_series(0, "wind_direction")])
    hours = np.arange(0, 24 * 30, 0.25)
    scores = detector.update(
        batch_of(0, hours, np.random.default_rng(0).uniform(0, 360, len(hours)))
    )
    assert (scores.score == 0).all()
    assert np.isnan(scores.expected).all()
