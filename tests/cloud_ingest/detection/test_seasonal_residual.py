import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_ingest.detection import Reason, SeasonalResidualDetector, threshold_for_budget
from telemetry.batches import SampleBatch
from telemetry.quality import Flag
from tests.cloud_ingest.detection.streams import HOUR_MS, batch_of, one_series


def daily(hours, noise, rng):
    return 50 + 20 * np.sin(2 * np.pi * hours / 24) + rng.normal(0, noise, len(hours))


@pytest.fixture
def taught():
    detector = SeasonalResidualDetector()
    detector.register([one_series(0)])
    hours = np.arange(0, 24 * 14, 0.5)
    detector.update(batch_of(0, hours, daily(hours, 1.0, np.random.default_rng(1))))
    return detector


def test_a_value_that_fits_another_hour_but_not_this_one_is_reported(taught):
    hour = 24 * 14 + 18.0  # the daily low
    scores = taught.update(batch_of(0, [hour], [70.0]))
    assert scores.reason[0] == Reason.HIGH_FOR_TIME
    assert scores.score[0] > threshold_for_budget(1)
    assert scores.low[0] < scores.expected[0] < scores.high[0] < 70.0
    assert scores.expected[0] == pytest.approx(30, abs=5)


def test_two_quiet_weeks_cause_no_alert():
    detector = SeasonalResidualDetector()
    detector.register([one_series(0)])
    hours = np.arange(0, 24 * 28, 0.5)
    scores = detector.update(batch_of(0, hours, daily(hours, 1.0, np.random.default_rng(2))))
    assert (scores.score > threshold_for_budget(1)).sum() == 0


def test_late_repeated_missing_and_failed_samples_are_not_judged_and_change_nothing(taught):
    before = taught.state()
    last = 24 * 14 - 0.5
    taught.update(batch_of(0, [last, last - 5], [900.0, 900.0]))
    taught.update(batch_of(0, [last + 1], [np.nan]))
    scores = taught.update(batch_of(0, [last + 1.5], [900.0], Flag.FAIL))
    assert scores.score[0] == 0
    after = taught.state()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_the_same_value_after_months_without_samples_is_no_alert(taught):
    scores = taught.update(batch_of(0, [24 * 14 + 24 * 120 + 6.0], [70.0]))
    assert scores.score[0] == 0


def test_since_is_when_the_reason_began(taught):
    start = 24 * 14 + 17.0
    scores = taught.update(batch_of(0, start + np.arange(3) * 0.5, [80.0, 81.0, 82.0]))
    assert (scores.since_ms == round(start * HOUR_MS)).all()


def test_a_budget_is_a_number_above_zero():
    with pytest.raises(ValueError, match="positive"):
        threshold_for_budget(0)


@settings(max_examples=40, deadline=None)
@given(
    samples=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(-5, 400),
            st.floats(-1e6, 1e6) | st.just(float("nan")),
        ),
        max_size=150,
    ),
    cut=st.integers(0, 150),
)
def test_saving_and_restoring_in_the_middle_gives_identical_scores(samples, cut):
    index, quarter, value = (([s[k] for s in samples] if samples else []) for k in range(3))
    times = [q * HOUR_MS // 4 for q in quarter]
    whole = SampleBatch.of(index, times, value, [1] * len(samples))
    first, second = (
        whole.select(np.arange(len(whole)) < cut),
        whole.select(np.arange(len(whole)) >= cut),
    )
    one = SeasonalResidualDetector(warm_up_samples=5)
    one.register([one_series(i) for i in range(4)])
    one.update(first)
    two = SeasonalResidualDetector(warm_up_samples=5)
    two.register([one_series(i) for i in range(4)])
    two.restore(one.state())
    a, b = one.update(second), two.update(second)
    for name in ("score", "expected", "low", "high", "reason", "since_ms"):
        assert np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) or (
            name == "reason"
        )
    assert np.array_equal(a.reason, b.reason)
