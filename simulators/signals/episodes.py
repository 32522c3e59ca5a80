"""Scripted events of the world: a leak, smog, a shower, an accident, an open valve."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from simulators.signals.curves import rise_hold_fall
from simulators.signals.places import Place
from simulators.signals.randomness import Float64


@dataclass(frozen=True, slots=True)
class Leak:
    """A source on the map that emits ``grams_per_s`` of some quantities."""

    latitude: float
    longitude: float
    grams_per_s: Mapping[str, float]
    height_m: float = 10.0


@dataclass(frozen=True, slots=True)
class Episode:
    """An event with start and end at some places (``stations`` empty: everywhere).

    ``add`` and ``times`` change quantities, in their canonical unit, at the peak of the episode. ``wind_from_deg``, ``wind_m_s`` and ``rain_mm_h`` replace the weather, ``flow_times``
    and ``capacity_times`` change the road.
    """

    name: str
    start_s: float
    rise_s: float = 60.0
    hold_s: float = 300.0
    fall_s: float = 120.0
    stations: frozenset[str] = frozenset()
    add: Mapping[str, float] = field(default_factory=dict)
    times: Mapping[str, float] = field(default_factory=dict)
    leak: Leak | None = None
    wind_from_deg: float | None = None
    wind_m_s: float | None = None
    rain_mm_h: float | None = None
    flow_times: float = 1.0
    capacity_times: float = 1.0

    @property
    def end_s(self) -> float:
        """The end, after the fall."""
        return self.start_s + self.rise_s + self.hold_s + self.fall_s

    def concerns(self, place: Place) -> bool:
        """True if it affects ``place``."""
        return not self.stations or place.name in self.stations

    def strength(self, time_s: Float64, delay_s: float = 0.0) -> Float64:
        """The strength at each time, 0 to 1."""
        return rise_hold_fall(time_s, self.start_s + delay_s, self.rise_s, self.hold_s, self.fall_s)


def plume_ug_m3(
    leak: Leak,
    place: Place,
    grams_per_s: float,
    wind_from_deg: Float64,
    wind_m_s: Float64,
    breathing_height_m: float = 2.0,
) -> Float64:
    """Concentration downwind of a leak: Gaussian plume with reflection at the ground.

    Dispersion as Briggs (1973) gives it for open country, stability class D.
    """
    east, north = place.metres_from(leak.latitude, leak.longitude)
    toward = np.radians(wind_from_deg + 180.0)
    along = east * np.sin(toward) + north * np.cos(toward)
    across = east * np.cos(toward) - north * np.sin(toward)
    x = np.maximum(along, 1.0)
    sigma_y = 0.08 * x / np.sqrt(1.0 + 0.0001 * x) + 1.0
    sigma_z = 0.06 * x / np.sqrt(1.0 + 0.0015 * x) + 1.0
    speed = np.maximum(wind_m_s, 0.5)
    vertical = np.exp(-0.5 * ((breathing_height_m - leak.height_m) / sigma_z) ** 2) + np.exp(
        -0.5 * ((breathing_height_m + leak.height_m) / sigma_z) ** 2
    )
    crosswind = np.exp(-0.5 * (across / sigma_y) ** 2)
    c = grams_per_s * 1e6 / (2.0 * np.pi * speed * sigma_y * sigma_z) * crosswind * vertical
    concentration: Float64 = np.where(along > 0.0, c, 0.0)
    return concentration


def plume_delay_s(leak: Leak, place: Place, wind_m_s: float) -> float:
    """The travel time of the plume from the leak to the place."""
    east, north = place.metres_from(leak.latitude, leak.longitude)
    return float(np.hypot(east, north)) / max(wind_m_s, 0.5)
