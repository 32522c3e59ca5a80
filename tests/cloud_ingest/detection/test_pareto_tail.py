"""Tails of many streams at once agree with a plain loop over one."""

import math

import numpy as np
import pytest

from cloud_ingest.detection import pareto_tail
from cloud_ingest.detection.pareto_tail import TailField

SHARE, LONGEST = 0.05, 400.0


class PlainTail:
    """One stream, value by value, as in the description of the method."""

    def __init__(self):
        self.values = []
        self.mean = self.spread = self.high = self.low = 0.0
        self.over = self.under = self.overs = self.unders = None

    def judge(self, x):
        self.values.append(x)
        gain = 1 / min(len(self.values), LONGEST)
        if self.overs is None:
            return self.begin(x, gain)
        least = max(0.01 * (self.high - self.low), 1e-12)
        rise, fall = max(self.over, least), max(self.under, least)
        above, below, judged = x > self.high, x < self.low, 0.0
        if above:
            e = (x - self.high) / rise
            judged = -math.log10(SHARE) + math.log10(1 + 0.1 * e) / 0.1
            self.overs += 1
            rate = max(1 / (self.overs + 4), 1 / (SHARE * LONGEST))
            self.over += (min(e, 10) * rise - self.over) * rate
        if below:
            e = (self.low - x) / fall
            judged = math.log10(SHARE) - math.log10(1 + 0.1 * e) / 0.1
            self.unders += 1
            rate = max(1 / (self.unders + 4), 1 / (SHARE * LONGEST))
            self.under += (min(e, 10) * fall - self.under) * rate
        step = min(gain / SHARE, 1)
        self.high += rise * step * (above - SHARE)
        self.low -= fall * step * (below - SHARE)
        return judged

    def begin(self, x, gain):
        self.mean += gain * (x - self.mean)
        self.spread += gain * (abs(x - self.mean) - self.spread)
        if len(self.values) >= pareto_tail.WARM_UP:
            top, bottom, sigma = max(self.values), min(self.values), 1.2533 * self.spread
            self.high = min(self.mean + 2 * sigma, top)
            self.low = max(self.mean - 2 * sigma, bottom)
            self.over = max(sigma / 2, (top - self.high) / 2)
            self.under = max(sigma / 2, (self.low - bottom) / 2)
            self.overs = self.unders = 0
        return 0.0


def update(tails, value, valid, upper_only=None):
    upper_only = np.zeros((len(value), 1), np.bool_) if upper_only is None else upper_only
    return pareto_tail.update_tails(
        tails, value, valid, 1.0, upper_only=upper_only, share=SHARE, longest=LONGEST
    )


def fresh(streams, series):
    return np.repeat(pareto_tail.initial_tails(streams)[:, :, None], series, axis=2)


@pytest.mark.parametrize("strided", [False, True])
def test_streams_agree_with_a_plain_loop_whatever_is_missing(strided):
    rng = np.random.default_rng(1)
    streams, series = 3, 4
    tails = fresh(streams, series)
    if strided:  # a part of a larger table, which is not contiguous
        tails = np.concatenate([tails, tails], axis=2)[:, :, :series]
    plain = [[PlainTail() for _ in range(series)] for _ in range(streams)]
    for _ in range(600):
        value = rng.standard_t(3, (streams, series)).astype(np.float32)
        valid = rng.random((streams, series)) < 0.8
        found = update(tails, value, valid)
        for k, i in np.ndindex(streams, series):
            expected = plain[k][i].judge(float(value[k, i])) if valid[k, i] else 0.0
            assert found[k, i] == pytest.approx(expected, abs=0.005)
    assert pareto_tail.has_band(tails).all()
    assert tails[TailField.COUNT, 0, 0] == len(plain[0][0].values)


def test_a_stream_with_an_upper_tail_alone_has_no_surprise_below():
    rng = np.random.default_rng(2)
    tails, upper_only = fresh(2, 1), np.array([[True], [False]])
    valid = np.ones((2, 1), np.bool_)
    for _ in range(200):
        update(tails, rng.normal(0, 1, (2, 1)).astype(np.float32), valid, upper_only)
    found = update(tails, np.full((2, 1), -50, np.float32), valid, upper_only)
    assert found[0, 0] == 0
    assert found[1, 0] < -2


def test_the_mean_excess_of_an_exponential_stream_is_right_at_any_scale():
    rng = np.random.default_rng(5)
    scale = np.repeat(10.0 ** np.arange(-6, 19, 6), 20)
    tails, upper_only = fresh(1, len(scale)), np.array([[False]])
    valid = np.ones((1, len(scale)), np.bool_)
    for _ in range(6_000):
        x = rng.exponential(size=len(scale)) * rng.choice([-1, 1], len(scale))
        pareto_tail.update_tails(
            tails, (x * scale).astype(np.float32)[None], valid, 1.0, upper_only=upper_only
        )
    # Beyond any limit the excess of an exponential variable has the mean 1.
    for field in (TailField.EXCESS_ABOVE, TailField.EXCESS_BELOW):
        means = (tails[field] / scale).reshape(-1, 20).mean(axis=1)
        assert means == pytest.approx(np.ones(5), abs=0.1)
