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
    flat = tails.reshape(FIELDS, -1)  # a copy where the table's lines do not adjoin
    stretch = np.broadcast_to(np.asarray(scale, tails.dtype), value.shape).ravel()
    lower = np.broadcast_to(~upper_only, value.shape).ravel()
    x, there = value.ravel(), given.ravel()
    flat[COUNT] += there
    ready = flat[OVERS] >= 0
    memory = longest * stretch
    gain = (there & ready) / np.maximum(np.minimum(flat[COUNT], memory), 1.0)
    judged = _follow_band(flat, x, gain.astype(tails.dtype, copy=False), memory, lower, share)
    young = np.flatnonzero(there & ~ready)
    if len(young):
        _begin(flat, x, young, stretch, memory)
    if not np.may_share_memory(flat, tails):
        tails[:] = flat.reshape(tails.shape)
    return judged.reshape(value.shape)


def _follow_band(
    tails: Reals, value: Reals, gain: Reals, longest: Reals, lower: Bool, share: float
) -> Reals:
    """Judge values by the band, and move it; where ``gain`` is 0 nothing is judged."""
    _, mean, spread, high, low, over, under, overs, unders = tails
    moves = gain > 0
    above, below = moves & (value > high), moves & (value < low)
    least = np.maximum(_LEAST_EXCESS * spread, 1e-12)
    rise, fall = np.maximum(over, least), np.maximum(under, least)
    judged = np.zeros_like(gain)
    up, down = np.flatnonzero(above), np.flatnonzero(below)
    if len(up):
        excess = (value[up] - high[up]) / rise[up]
        judged[up] = _surprise(excess, share)
        _learn_excess(over, overs, up, excess, rise, share * longest)
    if len(down):
        excess = (low[down] - value[down]) / fall[down]
        judged[down] = -_surprise(excess, share) * lower[down]
        _learn_excess(under, unders, down, excess, fall, share * longest)

    step = np.minimum(gain / share, 1.0)
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
    mean: Reals, number: Reals, at: Int64, excess: Reals, scale: Reals, longest: Reals
) -> None:
    number[at] += 1.0
    rate = np.maximum(1.0 / (number[at] + 4.0), 1.0 / longest[at])
    mean[at] += (np.minimum(excess, _CLIP) * scale[at] - mean[at]) * rate


def _begin(tails: Reals, value: Reals, at: Int64, scale: Reals, longest: Reals) -> None:
    """Before the band exists: mean and mean absolute deviation, highest and lowest."""
    x = value[at]
    count, mean, spread, high, low = tails[: LOW + 1, at]
    gain = 1.0 / np.maximum(np.minimum(count, longest[at]), 1.0)
    mean = mean + gain * (x - mean)
    spread = spread + gain * (np.abs(x - mean) - spread)
    first = count <= 1
    top, bottom = np.where(first, x, np.maximum(high, x)), np.where(first, x, np.minimum(low, x))
    tails[MEAN : LOW + 1, at] = mean, spread, top, bottom
    starts = np.flatnonzero(count >= WARM_UP * scale[at])
    if not len(starts):
        return
    at, top, bottom, mean = at[starts], top[starts], bottom[starts], mean[starts]
    sigma = 1.2533 * spread[starts] + 1e-12
    high, low = np.minimum(mean + 2.0 * sigma, top), np.maximum(mean - 2.0 * sigma, bottom)
    tails[HIGH, at], tails[LOW, at] = high, low
    tails[OVER, at] = np.maximum(0.5 * sigma, 0.5 * (top - high))
    tails[UNDER, at] = np.maximum(0.5 * sigma, 0.5 * (low - bottom))
    tails[OVERS, at] = tails[UNDERS, at] = 0.0
