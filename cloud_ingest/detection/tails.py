"""How improbable a number is for its stream: tail probabilities from a few numbers of memory.

For each stream (one feature of one series) there are two quantiles, so that a share ``SHARE`` of
what was seen lies above the upper and as much below the lower one, and the mean excess beyond
each. Quantiles follow by stochastic approximation (Robbins and Monro 1951; the step is scaled by
the density that an exponential tail has there). Beyond a quantile the tail is a generalised
Pareto one with a fixed shape (peaks over threshold: Pickands 1975), so that

    surprise = -log10 P = -log10(SHARE) + log10(1 + SHAPE * excess / mean excess) / SHAPE

and 0 inside the band. All streams of all series are judged at once.
"""

import numpy as np

from telemetry.batches import Bool, Float64

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


def start_tails(shape: tuple[int, ...]) -> Float64:
    """Memory of streams that have seen nothing; the fields are the axis before the last."""
    tails = np.zeros(shape)
    tails[..., OVERS, :] = NOT_READY
    return tails


def judge_tails(
    tails: Float64,
    value: Float64,
    given: Bool,
    scale: Float64,
    *,
    upper_only: Bool,
    share: float = SHARE,
    longest: float = LONGEST,
) -> tuple[Float64, Float64]:
    """Surprise of each value, its sign telling the side, and the memory with it learnt.

    ``tails`` is (series, FIELDS, streams); ``value`` and ``given`` (series, streams), where
    ``given`` is False there is no value and nothing is learnt. ``scale`` (series, 1) stretches
    warm-up and memory for series that are sampled faster. Streams marked in ``upper_only``
    have no lower tail. ``share`` and ``longest`` are those of the module unless told.
    """
    count, mean, spread, high, low, over, under, overs, unders = np.moveaxis(tails, 1, 0)
    ready = overs >= 0
    least = _LEAST_EXCESS * spread
    mean_over = np.maximum(np.maximum(over, least), 1e-12)
    mean_under = np.maximum(np.maximum(under, least), 1e-12)
    above = ready & given & (value > high)
    below = ready & given & (value < low)
    excess_over = np.where(above, value - high, 0.0) / mean_over
    excess_under = np.where(below, low - value, 0.0) / mean_under
    excess = np.where(above, excess_over, excess_under)
    surprise = -np.log10(share) + np.log10(1.0 + SHAPE * excess) / SHAPE
    side = above * 1.0 - (below & ~upper_only)
    judged = surprise * side

    n = count + given
    gain = np.where(given, 1.0 / np.maximum(np.minimum(n, longest * scale), 1.0), 0.0)
    # Before the band exists: mean and mean absolute deviation, highest and lowest.
    first = given & (count == 0)
    away = value - mean
    limit = np.where(ready, 5.0 * spread, np.inf)
    new_mean = mean + gain * np.minimum(np.maximum(away, -limit), limit)
    distance = np.abs(np.where(ready, away, value - new_mean))
    new_spread = spread + gain * (np.minimum(distance, 2.0 * limit) - spread)
    top = np.where(first, value, np.maximum(high, value))
    bottom = np.where(first, value, np.minimum(low, value))

    step = np.minimum(gain / share, 1.0)
    n_over, n_under = overs + above, unders + below
    slowest = 1.0 / (share * longest * scale)
    new_over = over + np.where(
        above,
        (np.minimum(excess_over, _CLIP) * mean_over - over)
        * np.maximum(1.0 / (n_over + 4.0), slowest),
        0.0,
    )
    new_under = under + np.where(
        below,
        (np.minimum(excess_under, _CLIP) * mean_under - under)
        * np.maximum(1.0 / (n_under + 4.0), slowest),
        0.0,
    )
    new_high = high + mean_over * step * (above - share)
    new_low = low - mean_under * step * (below - share)

    starts = given & ~ready & (n >= WARM_UP * scale)
    sigma = 1.2533 * new_spread + 1e-12
    start_high = np.minimum(new_mean + 2.0 * sigma, top)
    start_low = np.maximum(new_mean - 2.0 * sigma, bottom)
    young = given & ~ready & ~starts
    moves = given & ready
    columns = (
        n,
        np.where(given, new_mean, mean),
        np.where(given, new_spread, spread),
        np.where(moves, new_high, np.where(starts, start_high, np.where(young, top, high))),
        np.where(moves, new_low, np.where(starts, start_low, np.where(young, bottom, low))),
        np.where(starts, np.maximum(0.5 * sigma, 0.5 * (top - start_high)), new_over),
        np.where(starts, np.maximum(0.5 * sigma, 0.5 * (start_low - bottom)), new_under),
        np.where(starts, 0.0, n_over),
        np.where(starts, 0.0, n_under),
    )
    return judged, np.stack(columns, axis=1)
