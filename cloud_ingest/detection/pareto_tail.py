"""How improbable a number is for its stream: tail probabilities from a few numbers of memory.

For each stream (one feature of one series) there are two quantiles, so that a share ``SHARE`` of
what was seen lies above the upper and as much below the lower one, and the mean excess beyond
each, in two bytes, rounded by chance so that it follows on average. Quantiles follow by stochastic approximation (Robbins and Monro 1951; the step is scaled by
the density that an exponential tail has there). Beyond a quantile the tail is a generalised
Pareto one with a fixed shape (peaks over threshold: Pickands 1975), so that

    surprise = -log10 P = -log10(SHARE) + log10(1 + SHAPE * excess / mean excess) / SHAPE

and 0 inside the band. All streams of all series are judged at once.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telemetry.batches import Bool, Int64

SHARE = 0.015
SHAPE = 0.1
WARM_UP = 100
"""Samples before a stream is judged."""
LONGEST = 12_000
"""Samples after which the past fades."""

_CLIP = 10.0
_LEAST_EXCESS = 0.01  # of the band's width, so that a tail never becomes a cliff

COUNTS, HIGH, LOW, BEYOND = range(4)
"""COUNTS is a word of bits: how many values (16), how many above and below the band (8 each).

BEYOND is another: the mean excess above and below (16 each: seven bits of exponent, nine of
mantissa). Before there is a band, HIGH and LOW hold the
mean and the mean deviation, BEYOND how far from the mean the highest and the lowest are.
"""
FIELDS = 4
_MEAN, _SPREAD = HIGH, LOW
_DROPPED = np.uint32(14)  # bits of a float32 that half a word lacks
_CHANCE_BITS = np.uint32(1)  # that a chance of halves.py has less than are dropped
_LEAST, _MOST = np.uint32(83 << 23), np.uint32((211 << 23) - 1)  # 6e-14, 2e25
_MOST_VALUES, _MOST_BEYOND, _NO_BAND = 0xFFFF, 0xFE, 0xFF
_ONE_BY_ONE, _STRIDE = 192, 16

Bits = NDArray[np.uint32]
Reals = NDArray[np.floating[Any]]


def start_tails(streams: int) -> NDArray[np.float32]:
    """The memory of streams that have seen nothing: (FIELDS, streams)."""
    tails = np.zeros((FIELDS, streams), np.float32)
    tails[COUNTS] = np.full(streams, _NO_BAND << 16, np.uint32).view(np.float32)
    return tails


def has_band(tails: NDArray[np.float32]) -> Bool:
    """Which streams know their band."""
    band: Bool = np.not_equal((_bits(tails) >> 16) & 0xFF, _NO_BAND)
    return band


def values_seen(tails: NDArray[np.float32]) -> NDArray[np.uint32]:
    """How many values each stream has seen, up to 65,535."""
    return np.bitwise_and(_bits(tails), np.uint32(_MOST_VALUES))


def mean_excess(tails: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean excess of each stream above and below its band."""
    return _split(np.ascontiguousarray(tails[BEYOND]).view(np.uint32))


def _split(word: Bits) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return _unpacked(word >> np.uint32(16)), _unpacked(word & np.uint32(0xFFFF))


def _unpacked(half: Bits) -> NDArray[np.float32]:
    bits = (half << _DROPPED).astype(np.uint32) + _LEAST
    return bits.view(np.float32)


def _packed(number: Reals) -> Bits:
    """The half words of numbers that were ``_rounded``."""
    half: Bits = (number.view(np.uint32) - _LEAST) >> _DROPPED
    return half


def _rounded(number: Reals, chance: Bits) -> Reals:
    """StateTable that a half word can hold, rounded up or down by chance."""
    bits = np.maximum(number, 0.0).astype(np.float32).view(np.uint32)
    bits = np.clip(bits + (chance << _CHANCE_BITS), _LEAST, _MOST)
    rounded: Reals = (bits >> _DROPPED << _DROPPED).astype(np.uint32).view(np.float32)
    return rounded


def _bits(tails: NDArray[np.float32]) -> Bits:
    return np.ascontiguousarray(tails[COUNTS]).view(np.uint32)


def judge_tails(
    tails: NDArray[np.float32],
    value: Reals,
    given: Bool,
    scale: Reals | float,
    *,
    upper_only: Bool,
    chance: Bits,
    share: float = SHARE,
    longest: float = LONGEST,
) -> Reals:
    """Surprise of each value, its sign telling the side; ``tails`` has learnt them afterwards.

    ``tails`` is (FIELDS, streams, series); ``value`` and ``given`` (streams, series): where
    ``given`` is False there is no value and nothing is learnt. ``scale``, one number a series,
    stretches warm-up and memory for series that are sampled faster. Streams marked in
    ``upper_only`` (streams, 1) have no lower tail. ``chance``, one number a series, is that of
    halves.py. ``share`` and ``longest`` are those of the module unless told.
    """
    flat = tails.reshape(FIELDS, -1)  # a copy where the table's lines do not adjoin
    stretch = scale if isinstance(scale, float) else np.tile(scale.ravel(), len(value))
    x, there, luck = value.ravel(), given.ravel(), np.tile(chance, len(value))
    bits = flat[COUNTS].view(np.uint32)
    count = np.minimum((bits & _MOST_VALUES) + there, _MOST_VALUES).astype(np.uint32)
    overs, unders = (bits >> 16) & 0xFF, bits >> 24
    ready = overs != _NO_BAND
    memory = longest * stretch
    gain = (there & ready) / np.maximum(np.minimum(count, memory), 1.0)
    gain = gain.astype(tails.dtype, copy=False)
    excess = _split(flat[BEYOND].view(np.uint32))
    judged = _follow_band(
        flat, excess, count, overs, unders, x, gain, memory, upper_only, share, luck
    )
    young = np.flatnonzero(there & ~ready)
    if len(young):
        begun = _begin(flat, excess, x, young, count[young], stretch, memory, luck[young])
        overs[begun] = unders[begun] = 0
    over, under = excess
    flat[BEYOND].view(np.uint32)[:] = (_packed(over) << 16) | _packed(under)
    bits[:] = count | (overs << 16) | (unders << 24)
    if not np.may_share_memory(flat, tails):
        tails[:] = flat.reshape(tails.shape)
    return judged.reshape(value.shape)


def _follow_band(
    tails: Reals,
    mean_excess: tuple[Reals, Reals],
    count: Bits,
    overs: Bits,
    unders: Bits,
    value: Reals,
    gain: Reals,
    longest: Reals | float,
    upper_only: Bool,
    share: float,
    chance: Bits,
) -> Reals:
    """Judge values by the band, and move it; where ``gain`` is 0 nothing is judged."""
    high, low = tails[HIGH], tails[LOW]
    over, under = mean_excess
    moves = gain > 0
    above, below = moves & (value > high), moves & (value < low)
    least = np.maximum(_LEAST_EXCESS * (high - low), 1e-12)
    rise, fall = np.maximum(over, least), np.maximum(under, least)
    judged = np.zeros_like(gain)
    up, down = np.flatnonzero(above), np.flatnonzero(below)
    if len(up):
        excess = (value[up] - high[up]) / rise[up]
        judged[up] = _surprise(excess, share)
        _learn_excess(over, overs, up, excess, rise, count, share * _of(longest, up), chance)
    if len(down):
        excess = (low[down] - value[down]) / fall[down]
        two_sided = ~upper_only[down // (len(value) // len(upper_only)), 0]
        judged[down] = -_surprise(excess, share) * two_sided
        _learn_excess(under, unders, down, excess, fall, count, share * _of(longest, down), chance)

    step = np.minimum(gain / share, 1.0)
    high += rise * step * (above - share)
    low -= fall * step * (below - share)
    return judged


def _of(number: Reals | float, at: Int64) -> Reals | float:
    """The numbers at some places, or the one that holds everywhere."""
    return number if isinstance(number, float) else number[at]


def _surprise(excess: Reals, share: float) -> Reals:
    surprise: Reals = -math.log10(share) + np.log10(1.0 + SHAPE * excess) / SHAPE
    return surprise


def _learn_excess(
    mean: Reals,
    number: Bits,
    at: Int64,
    excess: Reals,
    scale: Reals,
    count: Bits,
    longest: Reals | float,
    chance: Bits,
) -> None:
    """Bring the mean excess up to date; ``number`` is counted one by one, later by sixteens."""
    stands = number[at]
    stands += (stands < _ONE_BY_ONE) | (count[at] % _STRIDE == 0)
    stands = np.minimum(stands, _MOST_BEYOND)
    number[at] = stands
    counted = np.where(stands < _ONE_BY_ONE, stands, _STRIDE * stands - (_STRIDE - 1) * _ONE_BY_ONE)
    rate = np.maximum(1.0 / (counted + 4.0), 1.0 / longest)
    learnt = mean[at] + (np.minimum(excess, _CLIP) * scale[at] - mean[at]) * rate
    mean[at] = _rounded(learnt, chance[at])


def _begin(
    tails: Reals,
    mean_excess: tuple[Reals, Reals],
    value: Reals,
    at: Int64,
    count: Bits,
    scale: Reals | float,
    longest: Reals | float,
    chance: Bits,
) -> Int64:
    """Before the band exists: mean and mean deviation, highest and lowest; gives where it begins."""
    x = value[at]
    over, under = mean_excess
    mean, spread = tails[_MEAN, at], tails[_SPREAD, at]
    high, low = mean + over[at], mean - under[at]
    gain = 1.0 / np.maximum(np.minimum(count, _of(longest, at)), 1.0)
    mean = mean + gain * (x - mean)
    spread = spread + gain * (np.abs(x - mean) - spread)
    first = count <= 1
    top, bottom = np.where(first, x, np.maximum(high, x)), np.where(first, x, np.minimum(low, x))
    tails[_MEAN, at], tails[_SPREAD, at] = mean, spread
    over[at], under[at] = _rounded(top - mean, chance), _rounded(mean - bottom, chance)
    starts = np.flatnonzero(count >= WARM_UP * _of(scale, at))
    at, top, bottom, mean = at[starts], top[starts], bottom[starts], mean[starts]
    chance = chance[starts]
    sigma = 1.2533 * spread[starts] + 1e-12
    high, low = np.minimum(mean + 2.0 * sigma, top), np.maximum(mean - 2.0 * sigma, bottom)
    tails[HIGH, at], tails[LOW, at] = high, low
    over[at] = _rounded(np.maximum(0.5 * sigma, 0.5 * (top - high)), chance)
    under[at] = _rounded(np.maximum(0.5 * sigma, 0.5 * (low - bottom)), chance)
    return at
