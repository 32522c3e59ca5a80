"""How improbable a number is for its stream: tail probabilities from a few numbers of memory.

For each stream (one feature of one series) there are two quantiles, so that a share ``SHARE`` of
what was seen lies above the upper and as much below the lower one, and the mean excess beyond
each. Quantiles follow by stochastic approximation (Robbins and Monro 1951; the step is scaled by
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
_LEAST_EXCESS = 0.05  # of the stream's spread, so that a tail never becomes a cliff

COUNT, MEAN, SPREAD, HIGH, LOW, OVER, UNDER, OVERS, UNDERS = range(9)
FIELDS = 9
NOT_READY = -1.0
"""Stands in OVERS until the band exists."""

Reals = NDArray[np.floating[Any]]


def judge_tails(
    tails: Reals,
    value: Reals,
    given: Bool,
    scale: Reals | float,
    *,
    upper_only: Bool,
    share: float = SHARE,
    longest: float = LONGEST,
) -> Reals:
    """Surprise of each value, its sign telling the side; ``tails`` has learnt them afterwards.

    ``tails`` is (FIELDS, streams, series); ``value`` and ``given`` (streams, series): where
    ``given`` is False there is no value and nothing is learnt. ``scale``, one number a series,
    stretches warm-up and memory for series that are sampled faster. Streams marked in
    ``upper_only`` (streams, 1) have no lower tail. ``share`` and ``longest`` are those of the
    module unless told.
    """
    ready = tails[OVERS] >= 0
    young = given & ~ready
    moves = given & ready
    tails[COUNT] += given
    gain = moves / np.maximum(np.minimum(tails[COUNT], longest * scale), 1.0)
    gain = gain.astype(tails.dtype, copy=False)
    judged = _follow_band(tails, value, moves, gain, scale, upper_only, share, longest)
    if young.any():
        stretch = np.broadcast_to(np.asarray(scale, tails.dtype), young.shape)
        _begin(tails, value, young, stretch, longest)
    return judged


def _follow_band(
    tails: Reals,
    value: Reals,
    moves: Bool,
    gain: Reals,
    scale: Reals | float,
    upper_only: Bool,
    share: float,
    longest: float,
) -> Reals:
    """Judge values by the band, and move it."""
    _, mean, spread, high, low, over, under, overs, unders = tails
    least = np.maximum(_LEAST_EXCESS * spread, 1e-12)
    above, below = moves & (value > high), moves & (value < low)
    step = np.minimum(gain / share, 1.0)
    rise, fall = np.maximum(over, least), np.maximum(under, least)
    judged = np.zeros_like(gain)
    slowest = np.broadcast_to(1.0 / (share * longest * scale), gain.shape)
    up, down = np.nonzero(above), np.nonzero(below)
    excess = (value[up] - high[up]) / rise[up]
    judged[up] = _surprise(excess, share)
    _learn_excess(over, overs, up, excess, rise, slowest)
    excess = (low[down] - value[down]) / fall[down]
    judged[down] = np.where(upper_only[down[0], 0], 0.0, -_surprise(excess, share))
    _learn_excess(under, unders, down, excess, fall, slowest)

    away = np.where(moves, value - mean, 0.0)
    limit = 5.0 * spread
    spread += gain * (np.minimum(np.abs(away), 2.0 * limit) - spread)
    mean += gain * np.minimum(np.maximum(away, -limit), limit)
    high += rise * step * (above - share)
    low -= fall * step * (below - share)
    return judged


def _surprise(excess: Reals, share: float) -> Reals:
    surprise: Reals = -math.log10(share) + np.log10(1.0 + SHAPE * excess) / SHAPE
    return surprise


def _learn_excess(
    mean: Reals,
    number: Reals,
    at: tuple[Int64, ...],
    excess: Reals,
    scale: Reals,
    slowest: Reals,
) -> None:
    number[at] += 1.0
    rate = np.maximum(1.0 / (number[at] + 4.0), slowest[at])
    mean[at] += (np.minimum(excess, _CLIP) * scale[at] - mean[at]) * rate


def _begin(tails: Reals, value: Reals, young: Bool, scale: Reals, longest: float) -> None:
    """Before the band exists: mean and mean absolute deviation, highest and lowest."""
    at = np.nonzero(young)
    x = value[at]
    count, mean, spread, high, low = (tails[k][at] for k in (COUNT, MEAN, SPREAD, HIGH, LOW))
    gain = 1.0 / np.maximum(np.minimum(count, longest * scale[at]), 1.0)
    mean = mean + gain * (x - mean)
    spread = spread + gain * (np.abs(x - mean) - spread)
    first = count <= 1
    top, bottom = np.where(first, x, np.maximum(high, x)), np.where(first, x, np.minimum(low, x))
    sigma = 1.2533 * spread + 1e-12
    starts = count >= WARM_UP * scale[at]
    high = np.where(starts, np.minimum(mean + 2.0 * sigma, top), top)
    low = np.where(starts, np.maximum(mean - 2.0 * sigma, bottom), bottom)
    tails[MEAN][at], tails[SPREAD][at], tails[HIGH][at], tails[LOW][at] = mean, spread, high, low
    begun = tuple(axis[starts] for axis in at)
    tails[OVER][begun] = np.maximum(0.5 * sigma, 0.5 * (top - high))[starts]
    tails[UNDER][begun] = np.maximum(0.5 * sigma, 0.5 * (low - bottom))[starts]
    tails[OVERS][begun] = tails[UNDERS][begun] = 0.0
