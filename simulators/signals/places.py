"""The place of a measurement and its surroundings."""

from dataclasses import dataclass, field
from math import cos, radians

import numpy as np

from simulators.signals.randomness import Float64
from telemetry.time.local_time import UTC_OFFSET_H

LOCAL_OFFSET_S = UTC_OFFSET_H * 3600.0
"""Seconds by which the local clock is ahead of UTC."""
_METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True, slots=True)
class Place:
    """A point on the map and its surroundings.

    ``traffic`` scales the road beside it (1: a busy urban road, 0: none), ``vehicles_per_h`` is
    the flow of this road in the peak hour, ``capacity_per_h`` its capacity; ``industry`` scales
    emissions of factories around; ``discharge_m3_h`` is the mean flow of the outfall.
    """

    name: str
    latitude: float
    longitude: float
    traffic: float = 0.6
    vehicles_per_h: float = 2400.0
    capacity_per_h: float = 2600.0
    free_speed_km_h: float = 45.0
    industry: float = 0.3
    discharge_m3_h: float = 30.0
    height_m: float = field(default=15.0)

    def metres_from(self, latitude: float, longitude: float) -> tuple[float, float]:
        """The distance of this place to the east and north of a point."""
        east = (self.longitude - longitude) * _METRES_PER_DEGREE * cos(radians(latitude))
        return east, (self.latitude - latitude) * _METRES_PER_DEGREE


@dataclass(frozen=True, slots=True)
class LocalTime:
    """Local time of a place.

    ``day`` counts local days since 1970, ``second`` the seconds since local midnight,
    ``day_of_year`` 0 to 366, ``weekday`` 0 (Monday) to 6.
    """

    day: Float64
    second: Float64
    day_of_year: Float64
    weekday: Float64

    @classmethod
    def of(cls, time_s: Float64, offset_s: float) -> "LocalTime":
        """Local time of UTC seconds, ``offset_s`` ahead of UTC (see LOCAL_OFFSET_S)."""
        local = time_s + offset_s
        day = np.floor(local / 86400.0)
        return cls(day, local - day * 86400.0, np.mod(day, 365.2425), np.mod(day + 3.0, 7.0))

    @property
    def hour(self) -> Float64:
        """Hours since local midnight."""
        hours: Float64 = self.second / 3600.0
        return hours
