"""Comparison of a series with its peers: the same quantity at other stations of the group."""

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
"""A value of a peer is fresh for this many usual intervals."""
DAY_STEPS = 24.0
"""Samples in the short means, in which a slow fault shows."""
SLOW = 720.0
_SIDE_RATE = np.float32(0.4)  # a mean over about three samples

_CANDIDATES = MOST_PEERS + 1


class Peers:
    """The peers of each series: up to eight series of the same quantity from other stations.

    For each quantity of a group there is one list of candidates, each from another station.
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], int] = {}
        self._stations: dict[tuple[str, str], int] = {}
        self._candidates = np.empty((0, _CANDIDATES), np.int32)
        self._state = StateArrays(
            {"kind": ArraySpec(np.int32, -1), "station": ArraySpec(np.int32, -1)}
        )

    @property
    def bytes_per_series(self) -> int:
        """Bytes of state for each series."""
        return self._state.bytes_per_row

    def station(self, series: Int64) -> Int64:
        """The number of the station of each series."""
        return self._state["station"][series]

    def register(self, series: Iterable[Series]) -> None:
        """Add series, or change their group, station or quantity."""
        series = list(series)
        self._state.grow(max((s.index for s in series), default=-1) + 1)
        kinds, stations = self._state["kind"], self._state["station"]
        moved = False
        for one in series:
            kind = self._kinds.setdefault((one.group, one.quantity), len(self._kinds))
            station = self._stations.setdefault((one.group, one.station), len(self._stations))
            before = int(kinds[one.index]), int(stations[one.index])
            if before == (kind, station):
                continue
            kinds[one.index], stations[one.index] = kind, station
            moved |= before != (-1, -1)
            self._add_candidate(one.index, kind, station)
        if moved:
            self._candidates[:] = -1
            for index in np.flatnonzero(kinds >= 0).tolist():
                self._add_candidate(index, int(kinds[index]), int(stations[index]))

    def _add_candidate(self, index: int, kind: int, station: int) -> None:
        """Add a series to the candidates of its kind if the list has room and lacks its station."""
        if kind >= len(self._candidates):
            more = np.full((max(kind + 1, 2 * len(self._candidates)), _CANDIDATES), -1, np.int32)
            more[: len(self._candidates)] = self._candidates
            self._candidates = more
        row = self._candidates[kind]
        if row[-1] >= 0:
            return
        listed = row[row >= 0]
        if not (self._state["station"][listed] == station).any():
            row[len(listed)] = index

    def peers_of(self, series: Int64) -> tuple[Int64, Bool]:
        """Indexes of the candidates of each series (series, 9), and which of them are its peers."""
        candidates = self._candidates[self._state["kind"][series]].astype(np.int64)
        exists = candidates >= 0
        candidates[~exists] = 0
        exists &= self._state["station"][candidates] != self.station(series)[:, None]
        return candidates, exists


@dataclass(frozen=True, slots=True, eq=False)
class PeerComparison:
    """For each sample, short means of the comparison with the median of the peers.

    ``difference`` is in the unit of the series, ``ratio`` is the logarithm of value by median,
    ``distance`` the logarithm of the mean distance from the usual difference. ``known`` where
    there were enough comparisons.
    """

    difference: Float32
    ratio: Float32
    distance: Float32
    known: Bool


def compare(sensor: Float32, x: Float32, values: Float32) -> PeerComparison:
    """Compare each sample with the median of its peers (samples, peers; NaN: no fresh value)."""
    count = np.count_nonzero(~np.isnan(values), axis=1)
    compared = count >= LEAST_PEERS
    if not compared.any():  # a single station, or an old backlog: nothing to learn
        return _short_means(sensor, compared)
    zero = np.float32(0.0)
    middle = np.where(compared, median(values, count), zero)
    n = sensor[SensorField.COMPARISONS]
    rate = compared / np.minimum(n + 1.0, DAY_STEPS)
    slow = compared / np.minimum(n + 1.0, SLOW)
    known = compared & (n >= DAY_STEPS)
    n += compared
    level = sensor[SensorField.PEER_LEVEL]
    level += slow * (np.abs(middle) - level)
    floor = 0.1 * level + 1e-9
    difference = np.where(compared, x - middle, zero)
    ratio = np.log((np.maximum(x, 0.0) + floor) / (np.maximum(middle, 0.0) + floor))
    usual = sensor[SensorField.USUAL_PEER_DIFFERENCE]
    distance = np.abs(difference - usual)
    for field, value in (
        (SensorField.PEER_DIFFERENCE, difference),
        (SensorField.PEER_RATIO, ratio),
        (SensorField.PEER_DISTANCE, distance),
    ):
        mean = sensor[field]
        mean += rate * (value - mean)
    usual += slow * (difference - usual)
    _follow_deviation(sensor, difference - usual, compared)
    return _short_means(sensor, known)


def _short_means(sensor: Float32, known: Bool) -> PeerComparison:
    distance = np.log(sensor[SensorField.PEER_DISTANCE] + 1e-9)
    return PeerComparison(
        sensor[SensorField.PEER_DIFFERENCE], sensor[SensorField.PEER_RATIO], distance, known
    )


def _follow_deviation(sensor: Float32, deviation: Float32, compared: Bool) -> None:
    """Follow the deviation from the usual difference since it last changed its sign.

    Two means are kept: a plain one, and one in which the weight of a sample is its number. They
    are equal where the deviation is constant and differ where it grows.
    """
    side = sensor[SensorField.DEVIATION_SIDE]
    before = side > 0
    side += compared * _SIDE_RATE * (deviation - side)
    n = sensor[SensorField.DEVIATION_COUNT]
    n *= (side > 0) == before
    n += compared
    weight = np.maximum(n, 1.0)
    plain, late = sensor[SensorField.DEVIATION_MEAN], sensor[SensorField.DEVIATION_LATE_MEAN]
    plain += compared / weight * (deviation - plain)
    late += 2.0 * compared / (weight + 1.0) * (deviation - late)


def median(values: Float32, count: Int64) -> Float32:
    """The median of each row; ``count`` numbers in a row are not NaN. NaN where there are none."""
    ordered = np.sort(values, axis=1)  # NaN last
    row = np.arange(len(values))
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    high = np.minimum(high, values.shape[1] - 1)
    middle: Float32 = 0.5 * (ordered[row, low] + ordered[row, high])
    return middle
