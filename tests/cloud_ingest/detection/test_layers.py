import numpy as np

from cloud_ingest.detection import LayeredDetector, Reason, ThinnedDetector, threshold_for_budget
from cloud_ingest.detection.seasonal import SeasonalResidualDetector
from telemetry.batches import SampleBatch
from tests.cloud_ingest.detection.streams import batch_of, one_series, same

SECOND_H = 1 / 3600


def test_the_first_path_stands_in_until_the_layers_have_learnt():
    rng = np.random.default_rng(1)
    detector = LayeredDetector(warm_up_samples=24)
    detector.register([one_series(0)])
    detector.update(batch_of(0, np.arange(600) * SECOND_H, 40 + rng.normal(0, 1, 600)))
    scores = detector.update(
        batch_of(0, 600 * SECOND_H + np.arange(30) * SECOND_H, np.full(30, 95.0))
    )
    assert scores.score.max() >= threshold_for_budget(1)
    assert scores.expected[-1] < scores.high[-1] < 95


def test_a_sensor_in_doubt_is_told_as_such_and_not_as_pollution():
    rng = np.random.default_rng(2)
    detector = LayeredDetector()
    detector.register([one_series(0, "ph")])
    hours = np.arange(0, 24 * 16, 0.25)
    x = 7.2 + 0.1 * np.sin(2 * np.pi * hours / 24) + rng.normal(0, 0.02, len(hours))
    x[1400] = 12.5
    scores = detector.update(batch_of(0, hours, x))
    assert Reason(int(scores.reason[1400])) is Reason.SPIKE
    assert scores.score[1400] >= threshold_for_budget(1)


def test_between_two_looks_a_fast_series_keeps_its_judgement():
    inner = SeasonalResidualDetector(warm_up_samples=10)
    thinned = ThinnedDetector(inner, 10_000)
    thinned.register([one_series(0)])
    rng = np.random.default_rng(3)
    seconds = np.arange(2000)
    x = 50 + rng.normal(0, 1, 2000)
    x[1500:1520] = 90
    scores = thinned.update(batch_of(0, seconds * SECOND_H, x))
    assert inner.state()["count"][0] == 200
    assert (scores.score[1500:1520] > 0).all()
    assert len(set(scores.score[1500:1510])) == 1


def test_thinning_does_not_depend_on_how_samples_are_cut_into_batches():
    rng = np.random.default_rng(4)
    seconds = np.sort(rng.integers(0, 4000, 3000))
    whole = SampleBatch.of(
        rng.integers(0, 3, 3000), seconds * 1000, rng.normal(50, 5, 3000), np.ones(3000)
    )

    def judge(pieces):
        detector = ThinnedDetector(SeasonalResidualDetector(warm_up_samples=5), 7_000)
        detector.register([one_series(k) for k in range(3)])
        parts = [detector.update(whole.select(p)) for p in np.array_split(np.arange(3000), pieces)]
        return np.concatenate([p.score for p in parts])

    once = judge(1)
    assert once.max() > 0
    assert np.array_equal(once, judge(61))


def test_a_series_slower_than_the_slot_is_judged_as_without_thinning():
    rng = np.random.default_rng(5)
    hours = np.arange(0, 24 * 20, 0.5)
    batch = batch_of(0, hours, 50 + rng.normal(0, 5, len(hours)))
    bare, thinned = SeasonalResidualDetector(), ThinnedDetector(SeasonalResidualDetector(), 60_000)
    for detector in (bare, thinned):
        detector.register([one_series(0)])
    assert same(bare.update(batch), thinned.update(batch))
