import numpy as np

from cloud_ingest.detection import LayeredDetector, Reason, threshold_for_budget
from cloud_ingest.detection.sensor_faults.sensor_state import SensorField
from telemetry.batches import SampleBatch
from tests.cloud_ingest.detection.streams import batch_of, one_series

SECOND_H = 1 / 3600


def test_the_first_path_scores_until_the_layers_have_learnt():
    rng = np.random.default_rng(1)
    detector = LayeredDetector(warm_up_samples=24)
    detector.register([one_series(0)])
    detector.update(batch_of(0, np.arange(600) * SECOND_H, 40 + rng.normal(0, 1, 600)))
    scores = detector.update(
        batch_of(0, 600 * SECOND_H + np.arange(30) * SECOND_H, np.full(30, 95.0))
    )
    assert scores.score.max() >= threshold_for_budget(1)
    assert scores.expected[-1] < scores.high[-1] < 95


def test_a_spike_of_the_sensor_is_reported_as_a_fault_and_not_as_pollution():
    rng = np.random.default_rng(2)
    detector = LayeredDetector()
    detector.register([one_series(0, "ph")])
    hours = np.arange(0, 24 * 16, 0.25)
    x = 7.2 + 0.1 * np.sin(2 * np.pi * hours / 24) + rng.normal(0, 0.02, len(hours))
    x[1400] = 12.5
    scores = detector.update(batch_of(0, hours, x))
    assert Reason(int(scores.reason[1400])) is Reason.SPIKE
    assert scores.score[1400] >= threshold_for_budget(1)


def second_by_second(n, seed=3):
    rng = np.random.default_rng(seed)
    return np.arange(n), 50 + rng.normal(0, 1, n)


def test_a_fast_series_keeps_its_judgement_between_two_evaluations():
    detector = LayeredDetector(warm_up_samples=10)
    detector.register([one_series(0)])
    seconds, x = second_by_second(2400)
    scores = detector.update(batch_of(0, seconds * SECOND_H, x))
    assert detector.state()["first.table"][0, 0] < 60
    assert detector.state()["fault.table"][0, SensorField.COUNT] == 40
    assert len(set(scores.expected[2341:2400])) == 1


def test_a_value_outside_the_band_is_judged_within_seconds():
    detector = LayeredDetector()
    detector.register([one_series(0)])
    seconds, x = second_by_second(2400)
    x[2310:] = 90
    detector.update(batch_of(0, seconds[:2305] * SECOND_H, x[:2305]))
    scores = detector.update(batch_of(0, seconds[2305:2320] * SECOND_H, x[2305:2320]))
    assert (scores.score[:5] == 0).all()
    assert (scores.score[5:] >= threshold_for_budget(1)).all()


def test_a_fault_between_two_evaluations_of_a_known_series_is_found():
    rng = np.random.default_rng(6)
    detector = LayeredDetector()
    detector.register([one_series(0, "ph")])
    minutes = np.arange(0, 60 * 48)
    detector.update(batch_of(0, minutes / 60, 7 + rng.normal(0, 0.02, len(minutes))))
    seconds = 60 * 60 * 48 + np.arange(0, 55, 5)
    x = np.full(11, 7.0) + rng.normal(0, 0.02, 11)
    x[5] = 14
    scores = detector.update(batch_of(0, seconds * SECOND_H, x))
    assert scores.reason[4] < Reason.SPIKE
    assert Reason(int(scores.reason[5])) is Reason.SPIKE


def test_the_cut_into_batches_makes_no_difference_to_ordinary_samples():
    rng = np.random.default_rng(4)
    seconds = np.sort(rng.integers(0, 9000, 6000))
    whole = SampleBatch.of(
        rng.integers(0, 3, 6000), seconds * 1000, rng.uniform(45, 55, 6000), np.ones(6000)
    )

    def judge(pieces):
        detector = LayeredDetector(warm_up_samples=5)
        detector.register([one_series(k) for k in range(3)])
        parts = [detector.update(whole.select(p)) for p in np.array_split(np.arange(6000), pieces)]
        return np.concatenate([p.low for p in parts])

    once = judge(1)
    assert np.isfinite(once).any()
    assert np.array_equal(once, judge(61), equal_nan=True)


def test_a_backlog_that_drifts_is_judged_once_a_minute():
    rng = np.random.default_rng(7)
    detector = LayeredDetector()
    detector.register([one_series(0)])
    seconds = np.arange(7200)
    x = 50 + np.cumsum(rng.normal(0, 1, 7200))
    detector.update(batch_of(0, seconds[:6000] * SECOND_H, x[:6000]))
    before = detector.state()["fault.table"][0, SensorField.COUNT]
    detector.update(batch_of(0, seconds[6000:] * SECOND_H, x[6000:] + 100))
    assert detector.state()["fault.table"][0, SensorField.COUNT] - before <= 20 + 24
