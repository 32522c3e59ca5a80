"""NAB scoring against the corner cases of its definition."""

import math

import numpy as np
import pytest

from benchmarks.detection.scoring.measure import leave_sites_out
from benchmarks.detection.scoring.nab import (
    PROFILES,
    REWARD_LOW_FN,
    REWARD_LOW_FP,
    STANDARD,
    THRESHOLDS,
    Corpus,
    ScoredFile,
    middle_of_plateau,
    normalise,
    probation_rows,
    row_weights,
    sigmoid,
    values_by_threshold,
)
from benchmarks.detection.scoring.spans import EventScore


def file_of(rows, windows, hits):
    score = np.zeros(rows)
    score[list(hits)] = 1.0
    return ScoredFile("f", score, tuple(windows))


def test_the_sigmoid_has_the_published_values():
    assert sigmoid(-1.0) == pytest.approx(0.98661, abs=1e-5)
    assert sigmoid(-0.5) == pytest.approx(0.84828, abs=1e-5)
    assert sigmoid(0.0) == 0.0
    assert sigmoid(1.0) == pytest.approx(-0.98661, abs=1e-5)
    assert sigmoid(3.0) == -1.0


def test_probation_is_fifteen_percent_of_at_most_five_thousand_rows():
    assert probation_rows(100) == 15
    assert probation_rows(4032) == 604
    assert probation_rows(22_695) == 750


@pytest.mark.parametrize("profile", PROFILES)
def test_a_silent_detector_has_zero_and_one_that_hits_each_first_row_a_hundred(profile):
    windows = [(40, 59), (80, 89)]
    assert Corpus([file_of(100, windows, [])]).judge(0.5, profile).score == 0
    perfect = Corpus([file_of(100, windows, [40, 80])]).judge(0.5, profile)
    assert perfect.score == pytest.approx(100)
    assert (perfect.found, perfect.missed, perfect.false_positives) == (2, 0, 0)


def test_only_the_best_detection_of_a_window_counts():
    early = Corpus([file_of(100, [(40, 59)], [45])]).judge(0.5, STANDARD)
    both = Corpus([file_of(100, [(40, 59)], [45, 46, 55])]).judge(0.5, STANDARD)
    assert early.score == both.score


def test_a_later_detection_is_worth_less_and_the_last_row_still_something():
    worth = [
        Corpus([file_of(100, [(40, 59)], [row])]).judge(0.5, STANDARD).score
        for row in (40, 45, 50, 55, 59)
    ]
    assert worth == sorted(worth, reverse=True)
    assert worth[-1] > 50  # better than a miss: the miss's penalty is gone


def test_the_middle_of_a_window_has_the_defined_weight():
    weight, window = row_weights(100, [(40, 59)])
    # Row i of a window of width w ending at e: position -(e - i + 1) / w.
    assert weight[50] == pytest.approx(sigmoid(-0.5) / sigmoid(-1.0))
    assert (window[40:60] == 0).all()
    assert window[39] == window[60] == -1


def test_a_false_alarm_costs_little_just_after_a_window_and_all_of_it_far_away_or_before_any():
    weight, _ = row_weights(200, [(40, 59)])
    assert weight[10] == -1.0
    assert weight[60] == pytest.approx(sigmoid(1 / 19))
    assert -0.2 < weight[60] < 0
    assert weight[59 + 19] == pytest.approx(sigmoid(1.0))
    assert weight[59 + 3 * 19] == -1.0


def test_a_false_alarm_is_measured_from_the_nearest_window_before_it():
    weight, _ = row_weights(200, [(40, 59), (100, 119)])
    assert weight[99] == pytest.approx(sigmoid(40 / 19))
    assert weight[121] == pytest.approx(sigmoid(2 / 19))


def test_detections_in_probation_neither_help_nor_harm():
    assert Corpus([file_of(100, [(40, 59)], [0, 5, 14])]).judge(0.5, STANDARD).score == 0


def test_a_window_inside_probation_is_neither_found_nor_missed():
    judged = Corpus([file_of(100, [(2, 8), (40, 59)], [40])]).judge(0.5, STANDARD)
    assert (judged.found, judged.missed) == (1, 0)
    # It still counts in the normalisation: a perfect detector of the rest has not 100.
    assert judged.score == pytest.approx(100 * (1 + 2) / 4)


def test_profiles_weigh_false_alarms_and_misses_differently():
    noisy = Corpus([file_of(1000, [(400, 499)], [200, 300, 400])])
    assert noisy.judge(0.5, REWARD_LOW_FP).score < noisy.judge(0.5, STANDARD).score
    missed = Corpus([file_of(1000, [(400, 499), (700, 799)], [400])])
    assert missed.judge(0.5, REWARD_LOW_FN).score == pytest.approx(100 * (1 - 2 + 4) / 6)
    assert missed.judge(0.5, STANDARD).score == pytest.approx(100 * (1 - 1 + 2) / 4)


def test_the_best_threshold_is_the_best_of_all_thresholds():
    rng = np.random.default_rng(7)
    files = [
        ScoredFile(f"f{k}", rng.random(400).round(2), ((100, 140), (250, 300))) for k in range(5)
    ]
    for file in files:
        file.score[rng.integers(100, 140)] = 0.999
    corpus = Corpus(files)
    for profile in PROFILES:
        tried = max(
            corpus.judge(t, profile).score
            for t in np.r_[np.unique(np.concatenate([f.score for f in files])), 2.0]
        )
        assert corpus.best(profile).score == pytest.approx(tried)


def test_the_best_threshold_is_infinite_where_every_detection_costs_more_than_it_brings():
    best = Corpus([file_of(1000, [], range(200, 400))]).best(STANDARD)
    assert best.threshold == math.inf


def test_values_by_threshold_agree_with_the_score_at_each_threshold():
    rng = np.random.default_rng(2)
    score = np.where(rng.random(600) < 0.05, rng.uniform(0.3, 6.0, 600), 0.0)
    file = ScoredFile("a/f", score, ((200, 260), (400, 430)))
    for profile in PROFILES:
        totals = values_by_threshold(file, profile)
        for step in (0, 20, 63):
            judged = Corpus([file]).judge(float(THRESHOLDS[step]), profile).score
            assert normalise(float(totals[step]), 2, profile) == pytest.approx(judged)


def test_a_threshold_is_chosen_in_the_middle_of_a_plateau_not_on_a_peak():
    totals = np.zeros(64)
    totals[5] = 3.0
    totals[30:50] = 2.0
    assert 35 <= middle_of_plateau(totals) <= 44


def test_a_site_is_judged_at_the_threshold_of_the_other_sites():
    def score(found, alerted):
        return EventScore(10, found, alerted, found, 100.0)

    strict = {"a2019": score(2, 2), "a2020": score(2, 2), "b2019": score(9, 9)}
    loose = {"a2019": score(8, 8), "a2020": score(8, 8), "b2019": score(4, 12)}
    total = leave_sites_out([strict, loose])
    # a gets the strict threshold that suits b, b the loose one that suits a.
    assert total.found == 2 + 2 + 4
    assert total.labelled == 30
