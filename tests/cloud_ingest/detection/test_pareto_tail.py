"""Tails of many streams at once agree with a plain loop over one."""

import math

import numpy as np
import pytest

from cloud_ingest.detection import float16_storage, pareto_tail

SHARE, LONGEST = 0.05, 400.0


def in_two_bytes(number):
    mantissa, exponent = math.frexp(number)
    return math.ldexp(math.floor(mantissa * 1024 + 0.5) / 1024, exponent)


class PlainTail:
    """One stream, value by value, with numbers that a reader can follow."""

    def __init__(self):
        self.count = self.mean = self.spread = self.high = self.low = self.over = self.under = 0.0
        self.overs = self.unders = None

    def judge(self, x):
        self.count += 1
        gain = 1 / min(self.count, LONGEST)
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
            self.over = in_two_bytes(self.over + (min(e, 10) * rise - self.over) * rate)
        if below:
            e = (self.low - x) / fall
            judged = math.log10(SHARE) - math.log10(1 + 0.1 * e) / 0.1
            self.unders += 1
            rate = max(1 / (self.unders + 4), 1 / (SHARE * LONGEST))
            self.under = in_two_bytes(self.under + (min(e, 10) * fall - self.under) * rate)
        step = min(gain / SHARE, 1)
        self.high += rise * step * (above - SHARE)
        self.low -= fall * step * (below - SHARE)
        return judged

    def begin(self, x, gain):
        top, bottom = self.mean + self.over, self.mean - self.under
        self.mean += gain * (x - self.mean)
        self.spread += gain * (abs(x - self.mean) - self.spread)
        top, bottom = (x, x) if self.count == 1 else (max(x, top), min(x, bottom))
        self.over, self.under = in_two_bytes(top - self.mean), in_two_bytes(self.mean - bottom)
        if self.count >= pareto_tail.WARM_UP:
            sigma = 1.2533 * self.spread
            self.high = min(self.mean + 2 * sigma, top)
            self.low = max(self.mean - 2 * sigma, bottom)
            self.over = in_two_bytes(max(sigma / 2, (top - self.high) / 2))
            self.under = in_two_bytes(max(sigma / 2, (self.low - bottom) / 2))
            self.overs = self.unders = 0
        return 0.0


def judge(tails, value, given, upper_only=None):
    upper_only = np.zeros((len(value), 1), np.bool_) if upper_only is None else upper_only
    return pareto_tail.judge_tails(
        tails,
        value,
        given,
        1.0,
        upper_only=upper_only,
        chance=np.full(value.shape[1], float16_storage.CHANCES // 2, np.uint32),
        share=SHARE,
        longest=LONGEST,
    )


def fresh(streams, series):
    return np.repeat(pareto_tail.start_tails(streams)[:, :, None], series, axis=2)


@pytest.mark.parametrize("strided", [False, True])
def test_streams_agree_with_a_plain_loop_whatever_is_missing(strided):
    rng = np.random.default_rng(1)
    streams, series = 3, 4
    tails = fresh(streams, series)
    if strided:  # a part of a larger table, whose lines do not adjoin
        tails = np.concatenate([tails, tails], axis=2)[:, :, :series]
    plain = [[PlainTail() for _ in range(series)] for _ in range(streams)]
    for _ in range(600):
        value = rng.standard_t(3, (streams, series)).astype(np.float32)
        given = rng.random((streams, series)) < 0.8
        found = judge(tails, value, given)
        for k, i in np.ndindex(streams, series):
            expected = plain[k][i].judge(float(value[k, i])) if given[k, i] else 0.0
            assert found[k, i] == pytest.approx(expected, abs=0.02)
    assert pareto_tail.has_band(tails).all()
    assert pareto_tail.values_seen(tails)[0, 0] == plain[0][0].count


def test_a_stream_with_an_upper_tail_alone_tells_nothing_below():
    rng = np.random.default_rng(2)
    tails, both = fresh(2, 1), np.array([[True], [False]])
    for _ in range(200):
        judge(tails, rng.normal(0, 1, (2, 1)).astype(np.float32), np.ones((2, 1), np.bool_), both)
    found = judge(tails, np.full((2, 1), -50, np.float32), np.ones((2, 1), np.bool_), both)
    assert found[0, 0] == 0
    assert found[1, 0] < -2


def test_counts_stay_within_their_word_for_ever():
    tails, one = fresh(1, 1), np.ones((1, 1), np.bool_)
    for k in range(8000):
        judge(tails, np.array([[k % 7 * (1 + k % 3)]], np.float32), one)
    tails[pareto_tail.COUNTS].view(np.uint32)[:] |= 0xFFFF
    judge(tails, np.array([[1.0]], np.float32), one)
    assert pareto_tail.values_seen(tails)[0, 0] == 0xFFFF
    assert pareto_tail.has_band(tails).all()


def test_a_mean_excess_in_two_bytes_follows_on_average_at_any_scale():
    rng = np.random.default_rng(5)
    scale = np.repeat(10.0 ** np.arange(-6, 19, 6), 20)
    tails, both = fresh(1, len(scale)), np.array([[False]])
    there = np.ones((1, len(scale)), np.bool_)
    for k in range(6_000):
        x = rng.exponential(size=len(scale)) * rng.choice([-1, 1], len(scale))
        pareto_tail.judge_tails(
            tails, (x * scale).astype(np.float32)[None], there, 1.0, upper_only=both,
            chance=float16_storage.chance_of(300_000 * k + np.arange(len(scale))),
        )  # fmt: skip
    for found in pareto_tail.mean_excess(
        tails
    ):  # beyond any limit an exponential excess has mean 1
        assert (found / scale).reshape(-1, 20).mean(axis=1) == pytest.approx(np.ones(5), abs=0.1)
