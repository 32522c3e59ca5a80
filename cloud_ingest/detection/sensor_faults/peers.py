"""A series beside its peers: the same quantity at other stations of the group."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cloud_ingest.detection.sensor_faults.sensor_state import Float32, SensorField
from cloud_ingest.detection.state_arrays import ArraySpec, StateArrays
from telemetry.batches import Bool, Int64
from telemetry.series import Series

MOST_PEERS = 8
LEAST_PEERS = 2
FRESH_STEPS = 2.5
DAY_STEPS = 24.0
"""Samples of the mean in which a slow fault shows."""
SLOW = 720.0
_SIDE_RATE = np.float32(0.4)  # a mean of about three samples

_CHOSEN = MOST_PEERS + 1


class Peers:
    """Who stands beside whom. A series' peers are eight of its kind, from other stations."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], int] = {}
        self._stations: dict[tuple[str, str], int] = {}
        self._chosen = np.empty((0, _CHOSEN), np.int32)
        self._memory = StateArrays(
            {"kind": ArraySpec(np.int32, -1), "station": ArraySpec(np.int32, -1)}
        )

    @property
    def bytes_per_series(self) -> int:
        """StateArrays that one series takes."""
        return self._memory.bytes_per_row

    def station(self, series: Int64) -> Int64:
        """The number of each series' station."""
        return self._memory["station"][series]

    def register(self, series: Iterable[Series]) -> None:
        """Take in series, or what has changed of them."""
        series = list(series)
        self._memory.grow(max((s.index for s in series), default=-1) + 1)
        kinds, stations = self._memory["kind"], self._memory["station"]
        moved = False
        for one in series:
            kind = self._kinds.setdefault((one.group, one.quantity), len(self._kinds))
            station = self._stations.setdefault((one.group, one.station), len(self._stations))
            before = int(kinds[one.index]), int(stations[one.index])
            if before == (kind, station):
                continue
            kinds[one.index], stations[one.index] = kind, station
            moved |= before != (-1, -1)
            self._choose(one.index, kind, station)
        if moved:
            self._choose_again()

    def _choose(self, index: int, kind: int, station: int) -> None:
        """Make a series a peer of its kind while few of them are, one of each station."""
        if kind >= len(self._chosen):
            more = np.full((max(kind + 1, 2 * len(self._chosen)), _CHOSEN), -1, np.int32)
            more[: len(self._chosen)] = self._chosen
            self._chosen = more
        row = self._chosen[kind]
        if row[-1] >= 0:
            return
        here = row[row >= 0]
        if not (self._memory["station"][here] == station).any():
            row[len(here)] = index

    def _choose_again(self) -> None:
        self._chosen[:] = -1
        kinds, stations = self._memory["kind"], self._memory["station"]
        for index in np.flatnonzero(kinds >= 0).tolist():
            self._choose(index, int(kinds[index]), int(stations[index]))

    def of(self, series: Int64) -> tuple[Int64, Bool]:
        """The possible peers of each series, and which of these there are."""
        beside = self._chosen[self._memory["kind"][series]].astype(np.int64)
        there = beside >= 0
        beside[~there] = 0
        there &= self._memory["station"][beside] != self.station(series)[:, None]
        return beside, there


@dataclass(frozen=True, slots=True, eq=False)
class PeerComparison:
    """For each sample: short means of difference, log ratio and unlikeness to the peers."""

    difference: Float32
    ratio: Float32
    apart: Float32
    known: Bool


def compare(sensor: Float32, x: Float32, values: Float32) -> PeerComparison:
    """Compare each sample with the median of its peers' values (NaN where there is no fresh one)."""
    many = np.count_nonzero(~np.isnan(values), axis=1)
    known = many >= LEAST_PEERS
    if not known.any():  # a station by itself, or one whose backlog comes in: nothing is learnt
        apart = np.log(sensor[SensorField.PEER_DISTANCE] + 1e-9)
        return PeerComparison(
            sensor[SensorField.PEER_DIFFERENCE], sensor[SensorField.PEER_RATIO], apart, known
        )
    zero = np.float32(0.0)
    middle = np.where(known, median(values, many), zero)
    n = sensor[SensorField.COMPARISONS]
    rate = known / np.minimum(n + 1.0, DAY_STEPS)
    slow = known / np.minimum(n + 1.0, SLOW)
    ready = known & (n >= DAY_STEPS)
    n += known
    size = sensor[SensorField.PEER_LEVEL]
    size += slow * (np.abs(middle) - size)
    floor = 0.1 * size + 1e-9
    difference = np.where(known, x - middle, zero)
    ratio = np.log((np.maximum(x, 0.0) + floor) / (np.maximum(middle, 0.0) + floor))
    usual = sensor[SensorField.USUAL_PEER_DIFFERENCE]
    apart = np.abs(difference - usual)
    for line, value in (
        (SensorField.PEER_DIFFERENCE, difference),
        (SensorField.PEER_RATIO, ratio),
        (SensorField.PEER_DISTANCE, apart),
    ):
        mean = sensor[line]
        mean += rate * (value - mean)
    usual += slow * (difference - usual)
    _follow_side(sensor, difference - usual, known)
    return PeerComparison(
        sensor[SensorField.PEER_DIFFERENCE],
        sensor[SensorField.PEER_RATIO],
        np.log(sensor[SensorField.PEER_DISTANCE] + 1e-9),
        ready,
    )


def _follow_side(sensor: Float32, away: Float32, known: Bool) -> None:
    """Follow how far from its usual difference a series has been since it was last on this side.

    There are two means since then: a plain one, and one in which each sample weighs as much as
    its number. They are the same where the difference stays, and apart where it goes on growing.
    """
    side = sensor[SensorField.DEVIATION_SIDE]
    before = side > 0
    side += known * _SIDE_RATE * (away - side)
    n = sensor[SensorField.DEVIATION_COUNT]
    n *= (side > 0) == before
    n += known
    least = np.maximum(n, 1.0)
    plain, late = sensor[SensorField.DEVIATION_MEAN], sensor[SensorField.DEVIATION_LATE_MEAN]
    plain += known / least * (away - plain)
    late += 2.0 * known / (least + 1.0) * (away - late)


def median(values: Float32, many: Int64) -> Float32:
    """The median of each row's numbers, NaN where there are none."""
    ordered = np.sort(values, axis=1)  # NaN last
    row = np.arange(len(values))
    low, high = np.maximum(many - 1, 0) // 2, many // 2
    high = np.minimum(high, values.shape[1] - 1)
    middle: Float32 = 0.5 * (ordered[row, low] + ordered[row, high])
    return middle
