import functools

import numpy as np
import pytest

from cloud_ingest.detection import EnsembleDetector, Reason, threshold_for_budget
from tests.cloud_ingest.detection.streams import HOUR_MS, batch_of, one_series

DAYS = 40
MONTH = threshold_for_budget(1)


def usual(rng, hours):
    day = 20 * np.sin(2 * np.pi * hours / 24)
    week = np.where(hours // 24 % 7 < 5, 6.0, 0.0)
    return 60 + day + week + rng.normal(0, 3, len(hours))


@functools.cache
def lesson(seed):
    rng = np.random.default_rng(seed)
    detector = EnsembleDetector()
    detector.register([one_series(0)])
    hours = np.arange(0, 24 * DAYS, 0.25)
    scores = detector.update(batch_of(0, hours, usual(rng, hours)))
    return detector.state(), scores


def taught(seed=1):
    state, scores = lesson(seed)
    detector = EnsembleDetector()
    detector.register([one_series(0)])
    detector.restore(state)
    return detector, scores, np.random.default_rng(seed + 100)


def go_on(detector, rng, change, hours=24.0, start=24 * DAYS):
    span = start + np.arange(0, hours, 0.25)
    return detector.update(batch_of(0, span, change(usual(rng, span), span - start)))


@pytest.mark.slow
def test_ordinary_weeks_cost_no_more_than_the_budget():
    alerts = 0
    for seed in range(1, 3):
        _, scores, _ = taught(seed=seed)
        on = scores.score >= MONTH
        alerts += int((on & ~np.r_[False, on[:-1]]).sum())
    assert alerts <= 2 * 2 * DAYS / 30


def test_an_episode_is_one_alert_with_a_reason_a_start_and_a_band():
    detector, _, rng = taught()
    scores = go_on(detector, rng, lambda x, t: x + np.where((t > 6) & (t < 12), 60, 0))
    on = scores.score >= MONTH
    assert int((on & ~np.r_[False, on[:-1]]).sum()) == 1
    first = int(np.argmax(on))
    assert 24 <= first <= 30
    assert Reason(int(scores.reason[first])) in {Reason.HIGH, Reason.HIGH_FOR_TIME, Reason.RISE}
    assert scores.since_ms[first] == pytest.approx((24 * DAYS + 6.25) * HOUR_MS, abs=2 * HOUR_MS)
    assert scores.low[first] < scores.expected[first] < scores.high[first]


def test_a_value_that_is_usual_by_day_is_unusual_by_night():
    detector, _, rng = taught()
    scores = go_on(detector, rng, lambda x, t: np.where((t > 16) & (t < 20), 86.0, x))
    assert scores.score.max() >= MONTH


def test_a_daily_peak_that_stays_away_is_unusual():
    detector, _, rng = taught()
    scores = go_on(detector, rng, lambda x, t: np.minimum(x, 46.0))
    on = np.flatnonzero(scores.score >= threshold_for_budget(2))
    assert len(on)
    assert not Reason(int(scores.reason[on[0]])).is_fault


def test_coming_back_after_a_silence_is_no_storm():
    for gap in (6, 72, 24 * 120):
        detector, _, rng = taught()
        scores = go_on(detector, rng, lambda x, _: x, hours=48, start=24 * DAYS + gap)
        assert (scores.score >= MONTH).sum() == 0, gap


def test_another_sampling_rate_is_no_anomaly():
    detector, _, rng = taught()
    span = 24 * DAYS + np.arange(0, 24, 1 / 60)
    scores = detector.update(batch_of(0, span, usual(rng, span)))
    assert (scores.score >= threshold_for_budget(0.2)).sum() == 0


def test_a_counter_is_judged_by_its_increase():
    rng = np.random.default_rng(2)
    hours = np.arange(0, 24 * DAYS, 0.25)
    detector = EnsembleDetector()
    detector.register([one_series(0, "energy")])
    used = np.abs(rng.normal(1.0, 0.2, len(hours)))
    total = 1e5 + np.cumsum(used)
    detector.update(batch_of(0, hours, total))
    span = 24 * DAYS + np.arange(0, 12, 0.25)
    quiet = detector.update(batch_of(0, span, total[-1] + np.cumsum(used[: len(span)])))
    assert (quiet.score[8:] >= MONTH).sum() == 0
    reset = detector.update(batch_of(0, span + 12, np.cumsum(used[: len(span)])))
    assert (reset.score >= MONTH).sum() == 0
    leak = detector.update(
        batch_of(0, span + 24, total[47] - 1e5 + np.cumsum(np.full(len(span), 9.0)))
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
