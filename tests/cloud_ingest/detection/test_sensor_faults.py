import functools
import time

import numpy as np
import pytest

from cloud_ingest.detection import FaultDetector, Reason, threshold_for_budget
from cloud_ingest.detection.sensor_faults.peers import Peers
from telemetry.batches import SampleBatch
from tests.cloud_ingest.detection.streams import batch_of, one_series

ROWS = 24 * 90
ALERT = threshold_for_budget(4)
STATIONS = ("a", "b", "c", "d")


def region(seed=1, rows=ROWS):
    """Four stations that see the same air, each with its own level and noise."""
    rng = np.random.default_rng(seed)
    hours = np.arange(rows)
    slow = np.cumsum(rng.normal(0, 1.5, rows))
    air = 80 + 15 * np.sin(2 * np.pi * hours / 24) + 15 * np.tanh(slow / 15)
    return {
        s: np.abs(air * (0.9 + 0.1 * k) + rng.normal(0, 3, rows)) for k, s in enumerate(STATIONS)
    }


KNOWN = ROWS - 24 * 12


def sensors():
    detector = FaultDetector()
    detector.register([one_series(k, "pm2_5", s) for k, s in enumerate(STATIONS)])
    return detector


def rows_of(values, first, last):
    hours = np.arange(first, last)
    return SampleBatch.concat(
        [batch_of(k, hours, x[first:last]) for k, x in enumerate(values.values())]
    )


@functools.cache
def lesson(seed):
    """State after the ordinary weeks, and the scores of these weeks."""
    detector = sensors()
    scores = detector.update(rows_of(region(seed), 0, KNOWN))
    return detector.state(), scores


def watch(values, seed):
    """Score and reason of each station, from row KNOWN on (before that 0)."""
    detector = sensors()
    detector.restore(lesson(seed)[0])
    scores = detector.update(rows_of(values, KNOWN, ROWS))
    judged = {}
    for k, s in enumerate(STATIONS):
        part = slice(k * (ROWS - KNOWN), (k + 1) * (ROWS - KNOWN))
        judged[s] = (
            np.r_[np.zeros(KNOWN), scores.score[part]],
            np.r_[np.zeros(KNOWN, np.uint8), scores.reason[part]],
        )
    return judged


def found(judged, start, length):
    score, reason = judged
    rows = start + np.flatnonzero(score[start : start + length + 12] >= ALERT)
    return {Reason(int(reason[r])) for r in rows}


def spoil(kind):
    values = region()
    x = values["b"]
    at, week = ROWS - 24 * 10, 168
    if kind == "spike":
        x[at] += 150
    elif kind == "stuck":
        x[at : at + 72] = x[at]
    elif kind == "offset":
        x[at : at + week] += 80
    elif kind == "drift":
        x[at : at + week] += np.linspace(0, 100, week)
    elif kind == "gain":
        x[at : at + week] *= 2.5
    elif kind == "dropout":
        x[at : at + 24] = 0
    elif kind == "absent code":
        x[at : at + 3] = -9999
    elif kind == "saturated":
        x[at : at + 48] = x[:at].max() + 1
    elif kind == "out of step":
        x[at : at + week] = x[at - 1000 : at - 1000 + week][::-1] * 1.2
    return found(watch(values, 1)["b"], at, week if kind not in ("spike", "stuck") else 72)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("spike", {Reason.SPIKE}),
        ("stuck", {Reason.STUCK}),
        ("offset", {Reason.OFFSET, Reason.DRIFT, Reason.GAIN}),
        ("drift", {Reason.DRIFT}),
        ("gain", {Reason.GAIN, Reason.OFFSET, Reason.DRIFT}),
        ("dropout", {Reason.DROPOUT}),
        ("absent code", {Reason.DROPOUT}),
        ("saturated", {Reason.SATURATED, Reason.SPIKE, Reason.OFFSET}),
        ("out of step", {Reason.OUT_OF_STEP, Reason.DRIFT, Reason.GAIN}),
    ],
)
def test_each_fault_is_found_and_named(kind, names):
    assert spoil(kind) & names


def test_without_faults_the_sensors_are_not_in_doubt():
    on = lesson(1)[1].score >= ALERT
    alerts = int((on & ~np.r_[False, on[:-1]]).sum())
    assert alerts <= 4 * len(STATIONS) * KNOWN / 24 / 30


def test_a_regional_event_that_all_stations_see_is_no_fault():
    values = region(1)
    at = ROWS - 24 * 10
    for x in values.values():
        x[at : at + 48] += 60 * np.sin(np.linspace(0, np.pi, 48))
    for judged in watch(values, 1).values():
        assert not found(judged, at, 48) & {
            Reason.DRIFT,
            Reason.OFFSET,
            Reason.GAIN,
            Reason.OUT_OF_STEP,
        }


def test_a_coarse_sensor_that_usually_repeats_itself_is_not_stuck():
    rng = np.random.default_rng(5)
    coarse = np.repeat(20 + rng.integers(-2, 3, ROWS // 8), 8).astype(float)
    detector = FaultDetector()
    detector.register([one_series(0, "air_temperature")])
    scores = detector.update(batch_of(0, np.arange(len(coarse)), coarse))
    assert Reason.STUCK not in scores.reason


def test_a_long_time_without_rain_is_not_stuck():
    values = np.zeros(ROWS)
    values[:400:7] = 3.2
    detector = FaultDetector()
    detector.register([one_series(0, "precipitation_rate")])
    scores = detector.update(batch_of(0, np.arange(ROWS), values))
    assert (scores.score[400:] < ALERT).all()


def test_all_metrics_of_a_station_that_jump_together_are_a_visit():
    rng = np.random.default_rng(6)
    quantities = ("ph", "conductivity", "dissolved_oxygen", "water_temperature")
    detector = FaultDetector()
    detector.register([one_series(k, q, "outfall") for k, q in enumerate(quantities)])
    hours = np.arange(2000) * 0.25
    parts = []
    for k in range(4):
        x = 20 + 3 * k + np.cumsum(rng.normal(0, 0.01, 2000)) + rng.normal(0, 0.05, 2000)
        x[1800:1803] += 12
        parts.append(batch_of(k, hours, x))
    scores = detector.update(SampleBatch.concat(parts))
    at = [scores.reason[k * 2000 + 1800] for k in range(4)]
    assert at.count(Reason.VISIT) == 4


def test_peers_are_of_the_same_quantity_at_other_stations_one_of_each():
    peers = Peers()
    at = [("pm2_5", "a"), ("pm2_5", "a"), ("pm2_5", "b"), ("no2", "b"), ("pm2_5", "c")]
    peers.register([one_series(i, *one) for i, one in enumerate(at)])
    others, there = peers.peers_of(np.arange(5))
    found = [sorted(o[t].tolist()) for o, t in zip(others, there, strict=True)]
    assert found == [[2, 4], [2, 4], [0, 4], [], [0, 2]]


def test_a_series_that_moves_to_another_station_has_other_peers():
    peers = Peers()
    peers.register([one_series(i, "pm2_5", station) for i, station in enumerate("abc")])
    peers.register([one_series(0, "pm2_5", "b")])
    others, there = peers.peers_of(np.array([2]))
    assert others[there].tolist() == [0]


def test_ten_thousand_series_find_their_peers_at_once():
    series = [one_series(i, f"q{i % 7}", f"s{i // 7}") for i in range(10_000)]
    peers, began = Peers(), time.process_time()
    for k in range(0, len(series), 100):
        peers.register(series[k : k + 100])
    assert time.process_time() - began < 10.0, "quadratic: minutes"
    assert (peers.peers_of(np.arange(10_000))[1].sum(axis=1) >= 8).all()


def names_after_a_jump(change):
    values = region()
    x = values["b"]
    at = ROWS - 24 * 10
    change(x, at)
    score, reason = watch(values, 1)["b"]
    on = at + np.flatnonzero(score[at : at + 48] >= ALERT)
    return [Reason(int(r)) for r in reason[on]]


def test_a_jump_that_stays_is_no_longer_called_a_spike():
    def step(x, at):
        x[at : at + 168] += 150

    names = names_after_a_jump(step)
    assert names[0] is Reason.SPIKE
    assert names[6] in {Reason.OFFSET, Reason.GAIN}


def test_a_jump_to_the_highest_value_ever_that_stays_there_is_saturation():
    def full(x, at):
        x[at : at + 48] = x[:at].max()

    assert names_after_a_jump(full)[8] is Reason.SATURATED


WEEK = 168


def out_of_step(x, at):
    x[at : at + WEEK] = x[at - 1000 : at - 1000 + WEEK][::-1]


def gain(x, at):
    x[at : at + WEEK] *= 3


def offset(x, at):
    x[at : at + WEEK] += 80


def drift(x, at):
    x[at : at + WEEK] += np.linspace(0, 100, WEEK)


def dropout(x, at):
    x[at : at + 12] = 0


def stuck(x, at):
    x[at : at + 72] = x[at]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("fault", "name", "hours"),
    [
        (out_of_step, Reason.OUT_OF_STEP, 12),
        (gain, Reason.GAIN, 12),
        (offset, Reason.OFFSET, 12),
        (drift, Reason.DRIFT, 36),
        (dropout, Reason.DROPOUT, 12),
        (stuck, Reason.STUCK, 12),
    ],
)
def test_a_fault_has_its_name_after_enough_samples(fault, name, hours, seed):
    values = region(seed)
    at = ROWS - 24 * 10
    fault(values["b"], at)
    score, reason = watch(values, seed)["b"]
    first = at + int(np.flatnonzero(score[at:] >= ALERT)[0])
    assert Reason(int(reason[first + hours])) is name


def test_a_name_found_from_many_samples_is_kept():
    values = region()
    at = ROWS - 24 * 10
    gain(values["b"], at)
    score, reason = watch(values, 1)["b"]
    on = at + np.flatnonzero(score[at : at + WEEK] >= ALERT)
    names = [Reason(int(r)) for r in reason[on[on > on[0] + 12]]]
    assert names.count(Reason.GAIN) > 0.8 * len(names)
