"""Noise indices. Levels in dB(A) are averaged as energies, never as plain numbers."""

from collections.abc import Sequence

import numpy as np

from telemetry.batches import Float64

DAY_HOURS, EVENING_HOURS, NIGHT_HOURS = 12.0, 4.0, 8.0


def laeq(levels_db: Float64 | Sequence[float], seconds: Float64 | None = None) -> float:
    """The equivalent level of several levels; ``seconds``: duration of each, if not equal.

    ``10 lg(1/T sum(t 10^(L/10)))`` (ISO 1996-1). NaN without levels.
    """
    levels = np.asarray(levels_db, np.float64)
    if not len(levels):
        return float("nan")
    return float(10 * np.log10(np.average(10 ** (levels / 10), weights=seconds)))


def exceeded(levels_db: Float64 | Sequence[float], percent: float) -> float:
    """The level exceeded ``percent`` of the time (L10, L90): a percentile, interpolated linearly."""
    levels = np.asarray(levels_db, np.float64)
    return float(np.percentile(levels, 100 - percent)) if len(levels) else float("nan")


def lden(day_db: float, evening_db: float, night_db: float) -> float:
    """The day-evening-night level: 07-19, 19-23 with 5 dB, 23-07 with 10 dB (2002/49/EC, annex I)."""
    parts = np.array([day_db, evening_db + 5, night_db + 10])
    return laeq(parts, np.array([DAY_HOURS, EVENING_HOURS, NIGHT_HOURS]))


def ldn(day_db: float, night_db: float) -> float:
    """The day-night level: 15 hours of day, 9 of night with 10 dB."""
    return laeq(np.array([day_db, night_db + 10]), np.array([15.0, 9.0]))
