"""Curves for daily patterns and events."""

from collections.abc import Sequence

import numpy as np

from simulators.signals.randomness import Float64
from telemetry.time.local_time import UTC_OFFSET_H

_DEGREES_AN_HOUR = 15.0
_MERIDIAN = _DEGREES_AN_HOUR * UTC_OFFSET_H
"""The longitude at which the sun stands highest at noon of the local clock."""


def over_the_day(hour: Float64, knots: Sequence[tuple[float, float]]) -> Float64:
    """A periodic curve through (hour, value) points."""
    hours = [h for h, _ in knots]
    values = [v for _, v in knots]
    curve: Float64 = np.interp(hour, hours, values, period=24.0)
    return curve


def smoothstep(x: Float64) -> Float64:
    """0 below 0, 1 above 1, smooth between."""
    c = np.clip(x, 0.0, 1.0)
    s: Float64 = c * c * (3.0 - 2.0 * c)
    return s


def rise_hold_fall(
    time_s: Float64, start_s: float, rise_s: float, hold_s: float, fall_s: float
) -> Float64:
    """0, then up to 1 within ``rise_s``, level for ``hold_s``, back to 0 within ``fall_s``."""
    since = time_s - start_s
    up = smoothstep(since / rise_s) if rise_s > 0 else (since >= 0).astype(np.float64)
    left = since - rise_s - hold_s
    down = smoothstep(left / fall_s) if fall_s > 0 else (left > 0).astype(np.float64)
    envelope: Float64 = up * (1.0 - down)
    return envelope


def daylight(day_of_year: Float64, hour: Float64, latitude: float, longitude: float) -> Float64:
    """Sine of the solar elevation (at most 1, below 0 at night), to about a degree.

    ``hour`` is local time as in telemetry.time.local_time; declination and hour angle as in Cooper (1969).
    """
    declination = np.radians(23.45) * np.sin(2.0 * np.pi * (day_of_year + 284.0 + 1.0) / 365.0)
    solar_hour = hour + (longitude - _MERIDIAN) / _DEGREES_AN_HOUR
    angle = np.radians(_DEGREES_AN_HOUR) * (solar_hour - 12.0)
    phi = np.radians(latitude)
    height: Float64 = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(
        declination
    ) * np.cos(angle)
    return height
