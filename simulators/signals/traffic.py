"""Vehicles on a road: arrivals, queues above capacity, noise."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simulators.signals.curves import over_the_day
from simulators.signals.episodes import Episode
from simulators.signals.places import LOCAL_OFFSET_S, Place
from simulators.signals.randomness import Float64, Int64, generator

CLASSES = ("motorbike", "car", "bus", "truck")
# shares on an urban main road of the south: motorbikes first
_SHARE = (0.76, 0.165, 0.02, 0.055)
_LENGTH_M = (1.9, 4.4, 11.0, 8.5)
_SPEED_FACTOR = (0.92, 1.05, 0.9, 0.88)
# sound at 7.5 m and 50 km/h, dB(A); 30 log v as in simple road noise models
_LOUDNESS_DB = (74.5, 72.5, 80.0, 81.0)
_WEEKDAY = (
    (0, 0.16), (2, 0.12), (4, 0.15), (5, 0.3), (6, 0.7), (6.8, 1.0), (7.6, 0.98), (9, 0.62),
    (11, 0.66), (12.5, 0.55), (15, 0.62), (16.5, 0.92), (17.3, 1.0), (18.3, 0.88), (20, 0.55),
    (22, 0.3), (23, 0.2),
)  # fmt: skip
_WEEKEND = (
    (0, 0.18), (2, 0.12), (4, 0.13), (6, 0.35), (8, 0.6), (10, 0.68), (12, 0.6), (15, 0.6),
    (18, 0.8), (20, 0.72), (22, 0.4), (23, 0.22),
)  # fmt: skip


def busyness(hour: Float64, weekday: Float64) -> Float64:
    """Flow relative to the peak hour, 0 to 1."""
    week, rest = over_the_day(hour, _WEEKDAY), over_the_day(hour, _WEEKEND)
    return np.where(weekday >= 5.0, rest, week)


@dataclass(frozen=True, slots=True)
class RoadDay:
    """The vehicles of a road on one local day. Times are seconds since local midnight."""

    arrival_s: Float64
    kind: Int64
    speed_km_h: Float64
    length_m: Float64
    queue_m: Float64
    noise_db: Float64

    def before(self, second: Float64) -> Int64:
        """The number of vehicles before each time."""
        count: Int64 = np.searchsorted(self.arrival_s, second, side="right").astype(np.int64)
        return count


class Road:
    """The road beside a place."""

    def __init__(
        self,
        seed: int,
        place: Place,
        episodes: tuple[Episode, ...] = (),
        offset_s: float = LOCAL_OFFSET_S,
    ) -> None:
        self._seed = seed
        self._place = place
        self._offset_s = offset_s
        self._episodes = tuple(e for e in episodes if e.concerns(place))
        self.day = lru_cache(maxsize=10)(self._make_day)

    def _make_day(self, day: int) -> RoadDay:
        place = self._place
        dice = generator(self._seed, "road", place.name, day)
        minute_s: Float64 = np.arange(1440, dtype=np.float64) * 60.0
        utc_s = minute_s + 30.0 + day * 86400.0 - self._offset_s
        weekday = np.full(1440, float((day + 3) % 7))
        demand = place.traffic * place.vehicles_per_h * busyness((minute_s + 30) / 3600.0, weekday)
        demand = demand * np.exp(0.06 * dice.standard_normal(1440))
        capacity = np.full(1440, max(place.capacity_per_h, 1.0))
        for episode in self._episodes:
            strength = episode.strength(utc_s)
            demand = demand * (1.0 + (episode.flow_times - 1.0) * strength)
            capacity = capacity * (1.0 + (episode.capacity_times - 1.0) * strength)
        passed, waiting = _through_bottleneck(demand / 60.0, capacity / 60.0)
        counts = dice.poisson(passed)
        total = int(counts.sum())
        of_minute = np.repeat(np.arange(1440), counts)
        arrival = np.sort(of_minute * 60.0 + dice.random(total) * 60.0)
        kind = dice.choice(len(CLASSES), size=total, p=_SHARE)
        load = np.clip(passed * 60.0 / np.maximum(capacity, 1.0), 0.0, 1.0)
        jam = np.clip(waiting / 40.0, 0.0, 1.0)
        free = place.free_speed_km_h
        # BPR curve below capacity, stop and go above
        mean = free / (1.0 + 0.6 * load**4) * (1.0 - 0.72 * jam)
        minute = np.minimum((arrival / 60.0).astype(np.int64), 1439)
        spread = dice.normal(1.0, 0.13, total)
        speed = np.clip(mean[minute] * np.take(_SPEED_FACTOR, kind) * spread, 4.0, 1.6 * free)
        length = np.take(_LENGTH_M, kind) * dice.normal(1.0, 0.08, total)
        # two vehicles side by side in the queue (motorbikes four)
        queue = waiting * (np.dot(_SHARE, _LENGTH_M) + 1.5) / 3.0
        noise = _sound(arrival, kind, speed, dice)
        return RoadDay(arrival, kind, speed, length, queue, noise)

    def passages(self, day: int) -> RoadDay:
        """The vehicles of a local day, counted since 1970."""
        return self.day(day)


def _through_bottleneck(demand: Float64, capacity: Float64) -> tuple[Float64, Float64]:
    """Flow through a bottleneck in each minute, and the queue at its end (a fluid queue)."""
    passed, waiting = np.empty_like(demand), np.empty_like(demand)
    queue = 0.0
    for i in range(len(demand)):
        there = queue + demand[i]
        passed[i] = min(there, capacity[i])
        queue = there - passed[i]
        waiting[i] = queue
    return passed, waiting


def _sound(arrival: Float64, kind: Int64, speed: Float64, dice: np.random.Generator) -> Float64:
    """LAeq of each second of the day at 10 m from the road; background 43 dB at night."""
    seconds = np.arange(86400)
    power_db = np.take(_LOUDNESS_DB, kind) + 30.0 * np.log10(np.maximum(speed, 12.0) / 50.0)
    power_db = power_db + dice.normal(0.0, 1.6, len(kind)) - 2.5
    place = np.minimum(arrival.astype(np.int64), 86399)
    source = np.bincount(place, weights=10.0 ** (power_db / 10.0), minlength=86400)
    # passing at about 11 m/s and 10 m distance: d² / (d² + (v t)²)
    offsets = np.arange(-8, 9)
    kernel = 100.0 / (100.0 + (11.0 * offsets) ** 2)
    energy = np.convolve(source, kernel, mode="same")
    hour = seconds / 3600.0
    background = over_the_day(hour, [(0, 44), (4, 42), (6, 49), (8, 53), (18, 53), (22, 47)])
    energy = energy + 10.0 ** ((background + 0.8 * dice.standard_normal(86400)) / 10.0)
    horns = dice.random(86400) < 0.004 * np.clip(source / (source.mean() + 1.0), 0.0, 3.0)
    energy = energy + horns * 10.0 ** (dice.normal(78.0, 4.0, 86400) / 10.0)
    level: Float64 = 10.0 * np.log10(energy)
    return level
