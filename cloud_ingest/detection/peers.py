"""A series beside its peers: the same quantity at other stations of the group."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cloud_ingest.detection.memory import Column, Memory
from cloud_ingest.detection.rounds import Round
from telemetry.batches import Bool, Float64, Int64
from telemetry.series import Series

MOST_PEERS = 8
LEAST_PEERS = 2
FRESH_STEPS = 2.5
DAY_STEPS = 24.0
"""Samples of the mean in which a slow fault shows."""
SLOW = 720.0

COLUMNS = {
    "peers": Column(np.int32, -1, (MOST_PEERS,)),
    "difference": Column(np.float64),
    "ratio": Column(np.float64),
    "apart": Column(np.float64),
    "usual_difference": Column(np.float64),
    "compared": Column(np.float64),
    "size": Column(np.float64),
}


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """For each sample: short means of difference, log ratio and unlikeness to the peers."""

    difference: Float64
    ratio: Float64
    apart: Float64
    known: Bool
    middle: Float64


def find_peers(memory: Memory, series: Iterable[Series]) -> None:
    """Give every series its peers: same group and quantity, another station."""
    alike: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for one in series:
        alike[one.group, one.quantity].append(one)
    for members in alike.values():
        for one in members:
            others = [m.index for m in members if m.station != one.station]
            row = np.full(MOST_PEERS, -1, dtype=np.int32)
            row[: min(len(others), MOST_PEERS)] = others[:MOST_PEERS]
            memory["peers"][one.index] = row


def compare(memory: Memory, turn: Round, interval_ms: Float64) -> Beside:
    """Compare each sample with the median of its peers' newest values."""
    s, x = turn.series, turn.value
    peers = memory["peers"][s]
    there = peers >= 0
    index = np.where(there, peers, 0)
    age = turn.time_ms[:, None] - memory["last_ms"][index]
    fresh = there & (np.abs(age) <= FRESH_STEPS * interval_ms[:, None])
    values = np.where(fresh, memory["last_value"][index], np.nan)
    many = fresh.sum(axis=1)
    known = many >= LEAST_PEERS
    middle = _median(values, many)
    n = memory["compared"][s]
    difference = np.where(known, x - middle, 0.0)
    size = memory["size"][s]
    size += np.where(known, (np.abs(middle) - size) / np.minimum(n + 1.0, SLOW), 0.0)
    floor = 0.1 * size + 1e-9
    with np.errstate(invalid="ignore"):
        ratio = np.where(
            known,
            np.log(np.maximum(x, 0.0) + floor) - np.log(np.maximum(middle, 0.0) + floor),
            0.0,
        )
    usual = memory["usual_difference"][s]
    apart = np.abs(difference - usual)
    rate = np.where(known, 1.0 / np.minimum(n + 1.0, DAY_STEPS), 0.0)
    slow = np.where(known, 1.0 / np.minimum(n + 1.0, SLOW), 0.0)
    for name, value in (("difference", difference), ("ratio", ratio), ("apart", apart)):
        memory[name][s] += rate * (value - memory[name][s])
    memory["usual_difference"][s] = usual + slow * (difference - usual)
    memory["compared"][s] = n + known
    memory["size"][s] = size
    ready = known & (n >= DAY_STEPS)
    return Beside(
        memory["difference"][s],
        memory["ratio"][s],
        np.log(memory["apart"][s] + 1e-9),
        ready,
        np.where(known, middle, np.nan),
    )


def _median(values: Float64, many: Int64) -> Float64:
    """The median of each row's numbers, NaN where there are none."""
    ordered = np.sort(values, axis=1)  # NaN last
    row = np.arange(len(values))
    low, high = np.maximum(many - 1, 0) // 2, many // 2
    high = np.minimum(high, values.shape[1] - 1)
    middle: Float64 = 0.5 * (ordered[row, low] + ordered[row, high])
    return middle
