"""The contract of all detectors, tested for each of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_ingest.detection import (
    EnsembleDetector,
    FaultDetector,
    LayeredDetector,
    SeasonalResidualDetector,
)
from cloud_ingest.detection.state_arrays import StateMismatchError
from telemetry.batches import SampleBatch
from tests.cloud_ingest.detection.streams import HOUR_MS, batch_of, one_series, same

KINDS = [
    lambda: SeasonalResidualDetector(warm_up_samples=5),
    EnsembleDetector,
    FaultDetector,
    LayeredDetector,
]
SERIES = [
    one_series(0, "pm2_5", "a"),
    one_series(1, "pm2_5", "b"),
    one_series(2, "pm2_5", "c"),
    one_series(3, "energy", "a"),
    one_series(4, "wind_direction", "a"),
]


def ready(make, series=SERIES):
    detector = make()
    detector.register(series)
    return detector


@st.composite
def wild_batches(draw):
    """Any order, repeats, backward times, gaps of months, NaN, huge values, changing rates."""
    seed, n = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 500))
    rng = np.random.default_rng(seed)
    step = rng.choice([0, 1000, 60_000, 300_000, 300_000, HOUR_MS, 90 * 24 * HOUR_MS, -60_000], n)
    values = rng.normal(50, 10, n).round(draw(st.integers(0, 6)))
    odd = rng.random(n) < 0.05
    values[odd] = rng.choice([np.nan, np.inf, 1e300, -1e300, 0.0, -9999.0], odd.sum())
    flags = rng.choice([1, 2, 3, 4, 9], n, p=[0.8, 0.1, 0.04, 0.03, 0.03])
    return SampleBatch.of(rng.integers(0, len(SERIES), n), np.cumsum(step), values, flags)


@pytest.mark.parametrize("make", KINDS)
@settings(max_examples=15, deadline=None)
@given(batch=wild_batches(), share=st.floats(0, 1))
def test_saving_and_restoring_in_the_middle_gives_identical_scores(make, batch, share):
    cut = int(share * len(batch))
    early, late = np.arange(len(batch)) < cut, np.arange(len(batch)) >= cut
    with np.errstate(over="ignore", invalid="ignore"):
        one = ready(make)
        one.update(batch.select(early))
        two = ready(make)
        two.restore(one.state())
        assert same(one.update(batch.select(late)), two.update(batch.select(late)))


@pytest.mark.parametrize("make", KINDS)
@settings(max_examples=15, deadline=None)
@given(batch=wild_batches())
def test_scores_are_between_zero_and_the_highest_for_any_input(make, batch):
    with np.errstate(over="ignore", invalid="ignore"):
        scores = ready(make).update(batch)
    assert len(scores) == len(batch)
    assert ((scores.score >= 0) & (scores.score <= 9)).all()


@pytest.mark.parametrize("make", KINDS[:2])
def test_the_cut_into_batches_makes_no_difference(make):
    rng = np.random.default_rng(3)
    hours = np.arange(0, 24 * 4, 0.25)
    whole = batch_of(0, hours, 50 + rng.normal(0, 5, len(hours)))
    at_once = ready(make).update(whole)
    detector = ready(make)
    parts = [
        detector.update(whole.select(part)) for part in np.array_split(np.arange(len(whole)), 37)
    ]
    assert np.array_equal(at_once.score, np.concatenate([p.score for p in parts]))
    assert np.array_equal(at_once.low, np.concatenate([p.low for p in parts]), equal_nan=True)


@pytest.mark.parametrize("make", KINDS)
def test_a_batch_that_comes_twice_changes_nothing(make):
    rng = np.random.default_rng(4)
    hours = np.arange(0, 24 * 4, 0.25)
    whole = batch_of(0, hours, 50 + rng.normal(0, 5, len(hours)))
    detector = ready(make)
    detector.update(whole)
    before = detector.state()
    again = detector.update(whole)
    after = detector.state()
    assert (again.score == 0).all()
    assert all(
        np.array_equal(before[k], after[k], equal_nan=True)
        for k in before
        if before[k].dtype.kind == "f"
    )


@pytest.mark.parametrize("make", KINDS)
def test_series_may_be_registered_later_without_losing_what_was_learnt(make):
    rng = np.random.default_rng(5)
    hours = np.arange(0, 24 * 4, 0.25)
    values = 50 + rng.normal(0, 5, len(hours))
    one, two = ready(make, SERIES[:1]), ready(make, SERIES[:1])
    one.update(batch_of(0, hours[:200], values[:200]))
    two.update(batch_of(0, hours[:200], values[:200]))
    two.register([*SERIES[:1], one_series(900, "ph", "z")])
    assert same(
        one.update(batch_of(0, hours[200:], values[200:])),
        two.update(batch_of(0, hours[200:], values[200:])),
    )


def test_a_state_that_lacks_something_is_refused_with_its_name():
    detector = ready(EnsembleDetector)
    state = detector.state()
    del state["means"]
    with pytest.raises(StateMismatchError, match="means"):
        ready(EnsembleDetector).restore(state)


def test_the_state_of_an_earlier_version_is_refused_before_any_of_it_is_restored():
    detector = ready(LayeredDetector)
    fresh, old = detector.state(), detector.state()
    old["first.hour_count"] = old.pop("first.slot_count").astype(np.uint16)
    old["own.early_count"] += 1
    with pytest.raises(StateMismatchError, match="slot_count"):
        detector.restore(old)
    assert all(np.array_equal(v, fresh[k], equal_nan=True) for k, v in detector.state().items())


@pytest.mark.parametrize(
    ("make", "most"),
    [(EnsembleDetector, 2200), (FaultDetector, 320), (LayeredDetector, 2800)],
)
def test_the_bytes_of_a_series_are_bounded(make, most):
    assert make().bytes_per_series <= most
