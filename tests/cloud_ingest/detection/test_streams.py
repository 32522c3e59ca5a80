"""Streams, daily pattern and events of the statistical layer."""

import functools

import numpy as np
import pytest

from cloud_ingest.detection import EnsembleDetector
from telemetry.batches import SampleBatch
from telemetry.quality import Flag
from tests.cloud_ingest.detection.streams import HOUR_MS, one_series

DAY = 288  # rows of five minutes
DAYS = 10
ROWS = DAYS * DAY
ENOUGH = 1.4
NOON = 9 * DAY + 144


def perfect_square():
    t = np.arange(ROWS)
    return np.where((t % DAY > 100) & (t % DAY < 220), 80.0, 20.0)


def nightly_job():
    rng = np.random.default_rng(3)
    values = rng.normal(10.0, 0.5, ROWS)
    for day in range(DAYS):
        at = day * DAY + 24 + int(rng.integers(-3, 4))  # two o'clock, not to the minute
        values[at : at + 2] += 40.0
    values[NOON : NOON + 2] += 40.0
    return values


def level_that_stays():
    values = np.random.default_rng(4).normal(10.0, 0.5, ROWS)
    values[7 * DAY :] += 30.0
    return values


def noise_that_grows():
    values = np.random.default_rng(5).normal(10.0, 0.5, ROWS)
    values[8 * DAY : 8 * DAY + 100] += np.random.default_rng(7).normal(0.0, 4.0, 100)
    return values


def spiky(factor):
    values = np.random.default_rng(6).gamma(2.0, 5.0, ROWS)
    values[8 * DAY] = 400.0
    return values * factor


CASES = {
    "zero": np.zeros(ROWS),
    "tenth": np.full(ROWS, 0.1),
    "pressure": np.full(ROWS, 101_325.0),
    "square": perfect_square(),
    "sine": 50 + 30 * np.sin(2 * np.pi * np.arange(ROWS) / DAY),
    "job": nightly_job(),
    "level": level_that_stays(),
    "noise": noise_that_grows(),
    "spiky": spiky(1.0),
    "spiky, small unit": spiky(1e-6),
    "spiky, large unit": spiky(1e9),
}


@functools.cache
def judged():
    """The rows of onsets of each case, all judged side by side."""
    detector = EnsembleDetector(utc_offset_h=0)
    detector.register([one_series(i) for i in range(len(CASES))])
    value = np.stack(list(CASES.values()), axis=1)
    time_ms = np.repeat(np.arange(ROWS) * (HOUR_MS // 12), len(CASES))
    series = np.tile(np.arange(len(CASES)), ROWS)
    flags = np.full(value.size, Flag.PASS)
    onset = detector.update(SampleBatch.of(series, time_ms, value.ravel(), flags)).onset
    rows = onset.reshape(value.shape) >= ENOUGH
    return {name: np.flatnonzero(rows[:, i]) for i, name in enumerate(CASES)}


@pytest.mark.parametrize("name", ["zero", "tenth", "pressure"])
def test_a_value_that_never_changes_is_no_event(name):
    assert len(judged()[name]) == 0


@pytest.mark.parametrize("name", ["square", "sine"])
def test_a_perfectly_periodic_series_has_no_event_once_known(name):
    found = judged()[name]
    assert (found < 2 * DAY).all()


def test_a_nightly_job_becomes_part_of_the_daily_pattern_and_the_same_at_noon_is_an_event():
    found = judged()["job"]
    assert ((found >= NOON) & (found <= NOON + 6)).any()
    known = found[found >= 4 * DAY]
    at_night = (known % DAY >= 18) & (known % DAY <= 36)
    assert at_night.sum() <= 1


def test_a_new_level_has_an_onset_at_once_and_few_later():
    found = judged()["level"]
    onsets = found[found >= 7 * DAY]
    assert onsets[0] == 7 * DAY
    assert len(onsets) <= 3


def test_noise_that_grows_has_an_onset_while_it_lasts():
    found = judged()["noise"]
    assert ((found >= 8 * DAY) & (found < 8 * DAY + 100)).any()


@pytest.mark.parametrize("name", ["spiky, small unit", "spiky, large unit"])
def test_the_unit_of_a_series_does_not_matter(name):
    plain = judged()["spiky"]
    assert 8 * DAY in plain
    assert judged()[name].tolist() == plain.tolist()


def test_extreme_values_leave_every_number_of_the_state_finite():
    rng = np.random.default_rng(8)
    rows = 600
    noise = rng.normal(0, 1, rows)
    rare = rng.random(rows) < 0.02
    cases = [
        np.where(rare, 1e30, noise),
        np.where(rare, -1e300, noise),
        noise * 1e-28,
        np.exp(rng.normal(0, 30, rows)),
        np.where(np.arange(rows) < 300, 1e-20, 1e20),
    ]
    detector = EnsembleDetector()
    detector.register([one_series(i) for i in range(len(cases))])
    series = np.tile(np.arange(len(cases)), rows)
    time_ms = np.repeat(np.arange(rows) * (HOUR_MS // 12), len(cases))
    flags = np.full(rows * len(cases), Flag.PASS)
    values = np.stack(cases, axis=1).ravel()
    scores = detector.update(SampleBatch.of(series, time_ms, values, flags))
    assert np.isfinite(scores.score).all()
    assert np.isfinite(scores.onset).all()
    state = detector.state()
    del state["counter"]  # NaN: these series are no counters
    assert all(np.isfinite(a).all() for a in state.values())
