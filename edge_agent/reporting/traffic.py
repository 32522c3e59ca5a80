"""Aggregates a radar's reports of single vehicles to traffic figures (no I/O)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

from edge_agent.reporting.averages import percentile

CLASSES: tuple[tuple[str, float], ...] = (
    ("two_wheelers", 3.0),
    ("cars", 6.5),
    ("heavy", math.inf),
)
"""Classes by length: two-wheelers up to 3 m, cars and vans up to 6.5 m, lorries and buses."""
SAME_VEHICLE_SHARE = 0.25
"""Reports of one vehicle differ in speed by less than this share."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One report of a radar. ``inbound`` is None if the direction is not known."""

    time_ms: int
    speed_km_h: float
    inbound: bool | None = None
    length_m: float | None = None


@dataclass(slots=True)
class _Vehicle:
    first_ms: int
    last_ms: int
    inbound: bool | None
    speeds: list[float]
    length_m: float | None

    @property
    def speed_km_h(self) -> float:
        """The median of the reported speeds."""
        return percentile(self.speeds, 0.5)


@dataclass(slots=True)
class TrafficWindow:
    """The vehicles since the window began.

    ``hold_ms``: reports with one direction and about one speed that follow each other within this
    time belong to one vehicle; a radar that measures lengths sends one report for each vehicle.
    ``zone_m`` is the length of the radar's field, ``usual_length_m`` that of a vehicle whose length
    is not measured.
    """

    every_ms: int
    hold_ms: int = 1000
    zone_m: float = 2.0
    usual_length_m: float = 3.0
    total: float = 0.0
    class_totals: dict[str, float] = field(default_factory=dict)
    _vehicles: list[_Vehicle] = field(default_factory=list)
    _open: dict[bool | None, _Vehicle] = field(default_factory=dict)
    _previous_ms: int | None = None

    def see(self, sighting: Sighting) -> None:
        """Add a report."""
        if sighting.speed_km_h <= 0:
            return
        vehicle = self._open.get(sighting.inbound)
        if vehicle is not None and self._is_same(vehicle, sighting):
            vehicle.last_ms = sighting.time_ms
            vehicle.speeds.append(sighting.speed_km_h)
            return
        vehicle = _Vehicle(
            sighting.time_ms, sighting.time_ms, sighting.inbound,
            [sighting.speed_km_h], sighting.length_m,
        )  # fmt: skip
        self._open[sighting.inbound] = vehicle
        self._vehicles.append(vehicle)

    @property
    def is_empty(self) -> bool:
        """Whether no vehicle was seen."""
        return not self._vehicles

    @property
    def state(self) -> dict[str, Any]:
        """The state to save."""
        return {
            "total": self.total,
            "classes": self.class_totals,
            "previous_ms": self._previous_ms,
            "vehicles": [astuple(v) for v in self._vehicles],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state; a vehicle that is still in the field counts again."""
        self._vehicles = [_Vehicle(*fields) for fields in state["vehicles"]]
        self.total, self._previous_ms = float(state["total"]), state["previous_ms"]
        self.class_totals = {name: float(count) for name, count in state["classes"].items()}

    def close(self, heard: float = 1.0) -> dict[str, float]:
        """The figures of the window by metric name; the next window begins.

        Flow, occupancy and totals are always included, speeds only if a vehicle passed. ``heard`` is
        the share of the window in which vehicles could be seen.
        """
        vehicles, self._vehicles = self._vehicles, []
        self.total += len(vehicles)
        figures = {
            "flow": len(vehicles) * 3_600_000 / (heard * self.every_ms),
            "occupancy": self._occupancy(vehicles, heard),
            "vehicles": self.total,
        }
        for name, count in self._classes(vehicles).items():
            self.class_totals[name] = self.class_totals.get(name, 0.0) + count
        figures.update(self.class_totals)
        if vehicles:
            speeds = [v.speed_km_h for v in vehicles]
            figures["mean_speed"] = math.fsum(speeds) / len(speeds)
            figures["speed_p85"] = percentile(speeds, 0.85)
        figures.update(self._headway(vehicles))
        return figures

    def _is_same(self, vehicle: _Vehicle, sighting: Sighting) -> bool:
        if sighting.length_m is not None:
            return False
        near = abs(sighting.speed_km_h - vehicle.speeds[-1]) < SAME_VEHICLE_SHARE * max(
            vehicle.speeds[-1], 1.0
        )
        return near and sighting.time_ms - vehicle.last_ms < self.hold_ms

    def _occupancy(self, vehicles: Sequence[_Vehicle], heard: float) -> float:
        """The share of time with a vehicle in the field: path through the field over speed."""
        occupied_ms = 0.0
        for vehicle in vehicles:
            length_m = vehicle.length_m or self.usual_length_m
            occupied_ms += (length_m + self.zone_m) / (vehicle.speed_km_h / 3.6) * 1000
        return min(100.0, 100.0 * occupied_ms / (heard * self.every_ms))

    def _classes(self, vehicles: Sequence[_Vehicle]) -> Mapping[str, int]:
        counts: dict[str, int] = {}
        for vehicle in vehicles:
            if vehicle.length_m is not None:
                name = class_of(vehicle.length_m)
                counts[name] = counts.get(name, 0) + 1
        return counts

    def _headway(self, vehicles: Sequence[_Vehicle]) -> dict[str, float]:
        times = sorted(v.first_ms for v in vehicles)
        if self._previous_ms is not None:
            times.insert(0, self._previous_ms)
        if vehicles:
            self._previous_ms = times[-1]
        if len(times) < 2:
            return {}
        return {"headway": (times[-1] - times[0]) / (len(times) - 1) / 1000}


def class_of(length_m: float) -> str:
    """The class of a vehicle of this length."""
    return next(name for name, longest in CLASSES if length_m <= longest)
