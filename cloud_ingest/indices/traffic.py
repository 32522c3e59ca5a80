"""Traffic measures from counts, speeds and occupancy."""

from collections.abc import Sequence

import numpy as np

KM_PER_MILE = 1.609344
# Highway Capacity Manual 2000, freeway: highest density in passenger cars a mile and lane.
_LOS_DENSITY = (("A", 11), ("B", 18), ("C", 26), ("D", 35), ("E", 45))


def flow_per_hour(vehicles: int, seconds: float) -> float:
    """Vehicles per hour."""
    return vehicles * 3600.0 / seconds


def time_mean_speed(speeds_km_h: Sequence[float]) -> float:
    """The arithmetic mean of spot speeds."""
    return float(np.mean(speeds_km_h))


def space_mean_speed(speeds_km_h: Sequence[float]) -> float:
    """The harmonic mean of spot speeds, which relates flow and density."""
    speeds = np.asarray(speeds_km_h, np.float64)
    return float(len(speeds) / np.sum(1.0 / speeds))


def speed_p85(speeds_km_h: Sequence[float]) -> float:
    """The speed that 85 % of the vehicles do not exceed, interpolated linearly."""
    return float(np.percentile(np.asarray(speeds_km_h, np.float64), 85))


def density_from_occupancy(occupancy_percent: float, effective_length_m: float) -> float:
    """Vehicles per kilometre; the effective length is that of a vehicle plus that of the detector."""
    return occupancy_percent / 100.0 / effective_length_m * 1000.0


def density(flow_per_h: float, space_mean_km_h: float) -> float:
    """Vehicles per kilometre, ``k = q / v``."""
    return flow_per_h / space_mean_km_h


def peak_hour_factor(quarter_hours: Sequence[int]) -> float:
    """The vehicles of an hour divided by four times those of its busiest quarter."""
    return sum(quarter_hours) / (4.0 * max(quarter_hours))


def level_of_service(density_per_km_lane: float) -> str:
    """A to F by density (HCM 2000, freeway). Indicative: made for passenger cars, not motorcycles."""
    per_mile = density_per_km_lane * KM_PER_MILE
    return next((name for name, most in _LOS_DENSITY if per_mile <= most), "F")
