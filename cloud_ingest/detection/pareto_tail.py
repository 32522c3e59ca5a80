"""Tail probability of a value within its own stream: peaks over threshold with a Pareto tail.

A stream is one feature of one series. Its *band* reaches from a lower to an upper quantile: a
share ``SHARE`` of the values lies above the band and the same share below it. The quantiles follow
the stream by stochastic approximation (Robbins and Monro 1951); the step is scaled by the density
that an exponential tail has at the quantile. Beyond a quantile the tail is a generalised Pareto
distribution with a fixed shape (Pickands 1975), so that

    surprise = -log10 P = -log10(SHARE) + log10(1 + SHAPE * excess / mean excess) / SHAPE

Inside the band the surprise is 0. All streams of all series are updated at once.
"""

import math
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telemetry.batches import Bool

SHARE = 0.015
SHAPE = 0.1
WARM_UP = 100
"""Values that a stream needs before it has a band."""
LONGEST = 12_000
"""Number of values over which a stream remembers."""

_CLIP = 10.0  # an excess counts for at most this many mean excesses when the mean learns
_LEAST_EXCESS = 0.01  # of the width of the band: lower limit of the mean excess
_NO_BAND = -1.0


class TailField(IntEnum):
    """State of a stream: one float32 for each field.

    Until the band exists, ABOVE_COUNT is negative and four fields hold something else: HIGH the
    mean, LOW the mean deviation, EXCESS_ABOVE the highest and EXCESS_BELOW the lowest value.
    """

    COUNT = 0
    HIGH = 1
    LOW = 2
    EXCESS_ABOVE = 3
    EXCESS_BELOW = 4
    ABOVE_COUNT = 5
    BELOW_COUNT = 6


_MEAN, _DEVIATION = TailField.HIGH, TailField.LOW
_HIGHEST, _LOWEST = TailField.EXCESS_ABOVE, TailField.EXCESS_BELOW

Float32 = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]
Place = tuple[NDArray[np.intp], ...]
"""Indexes of streams and of series."""


def initial_tails(streams: int) -> Float32:
    """State of streams without values: (fields, streams)."""
    tails = np.zeros((len(TailField), streams), np.float32)
    tails[TailField.ABOVE_COUNT] = _NO_BAND
    return tails


def has_band(tails: Float32) -> Bool:
    """True for each stream whose band is known."""
    known: Bool = tails[TailField.ABOVE_COUNT] >= 0
    return known


def update_tails(
    tails: Float32,
    value: Float32,
    valid: Bool,
    scale: Floats | float,
    *,
    upper_only: Bool,
    share: float = SHARE,
    longest: float = LONGEST,
) -> Float32:
    """Surprise of each value, negative for values below the band; ``tails`` learns the values.

    ``tails`` is (fields, streams, series), changed in place. ``value`` and ``valid`` are (streams,
    series); where ``valid`` is False the surprise is 0 and the stream learns nothing. ``scale``,
    one number for each series, lengthens warm-up and memory for series that are sampled faster.
    Streams marked in ``upper_only`` (streams, 1) have no lower tail.
    """
    scale = np.broadcast_to(np.asarray(scale, np.float32), value.shape[1:])
    memory = longest * scale
    ready = has_band(tails)
    count = tails[TailField.COUNT]
    count += valid
    gain = (valid & ready) / np.maximum(np.minimum(count, memory), 1.0)
    surprise = _follow_band(tails, value, gain.astype(np.float32), memory, upper_only, share)
    young = np.nonzero(valid & ~ready)
    if len(young[0]):
        _warm_up(tails, value, young, scale, memory)
    return surprise


def _follow_band(
    tails: Float32, value: Float32, gain: Float32, memory: Float32, upper_only: Bool, share: float
) -> Float32:
    """Surprise of each value by the band, then move the band; where ``gain`` is 0 nothing moves."""
    high, low = tails[TailField.HIGH], tails[TailField.LOW]
    known = gain > 0
    above, below = known & (value > high), known & (value < low)
    least = np.maximum(_LEAST_EXCESS * (high - low), 1e-12)
    rise = np.maximum(tails[TailField.EXCESS_ABOVE], least)
    fall = np.maximum(tails[TailField.EXCESS_BELOW], least)
    surprise = np.zeros_like(gain)
    at = np.nonzero(above)
    if len(at[0]):
        excess = (value[at] - high[at]) / rise[at]
        surprise[at] = _surprise(excess, share)
        _learn_excess(
            tails[TailField.EXCESS_ABOVE],
            tails[TailField.ABOVE_COUNT],
            at,
            excess * rise[at],
            rise[at],
            share * memory[at[1]],
        )
    at = np.nonzero(below)
    if len(at[0]):
        excess = (low[at] - value[at]) / fall[at]
        surprise[at] = -_surprise(excess, share) * ~upper_only[at[0], 0]
        _learn_excess(
            tails[TailField.EXCESS_BELOW],
            tails[TailField.BELOW_COUNT],
            at,
            excess * fall[at],
            fall[at],
            share * memory[at[1]],
        )
    step = np.minimum(gain / share, 1.0)
    high += rise * step * (above - np.float32(share))
    low -= fall * step * (below - np.float32(share))
    return surprise


def _surprise(excess: Floats, share: float) -> Floats:
    surprise: Floats = -math.log10(share) + np.log10(1.0 + SHAPE * excess) / SHAPE
    return surprise


def _learn_excess(
    mean: Float32, count: Float32, at: Place, excess: Floats, usual: Floats, longest: Floats
) -> None:
    """Update the mean excess of the streams that left their band on this side."""
    seen = count[at] + 1.0
    count[at] = seen
    rate = np.maximum(1.0 / (seen + 4.0), 1.0 / longest)
    mean[at] += (np.minimum(excess, _CLIP * usual) - mean[at]) * rate


def _warm_up(tails: Float32, value: Float32, at: Place, scale: Float32, memory: Float32) -> None:
    """Follow mean, mean deviation, highest and lowest value until there are enough for a band."""
    streams, series = at
    young = tails[:, streams, series]
    x, count = value[at], young[TailField.COUNT]
    gain = 1.0 / np.maximum(np.minimum(count, memory[series]), 1.0)
    mean, deviation = young[_MEAN], young[_DEVIATION]
    mean += gain * (x - mean)
    deviation += gain * (np.abs(x - mean) - deviation)
    first = count <= 1
    highest = np.where(first, x, np.maximum(young[_HIGHEST], x))
    lowest = np.where(first, x, np.minimum(young[_LOWEST], x))
    young[_HIGHEST], young[_LOWEST] = highest, lowest
    ready = count >= WARM_UP * scale[series]
    # The band starts at two standard deviations (of a Gaussian with this mean deviation).
    sigma = 1.2533 * deviation + 1e-12
    high, low = np.minimum(mean + 2.0 * sigma, highest), np.maximum(mean - 2.0 * sigma, lowest)
    above = np.maximum(0.5 * sigma, 0.5 * (highest - high))
    below = np.maximum(0.5 * sigma, 0.5 * (low - lowest))
    for field, band in (
        (TailField.HIGH, high),
        (TailField.LOW, low),
        (TailField.EXCESS_ABOVE, above),
        (TailField.EXCESS_BELOW, below),
        (TailField.ABOVE_COUNT, np.zeros_like(high)),
    ):
        young[field] = np.where(ready, band, young[field])
    tails[:, streams, series] = young
