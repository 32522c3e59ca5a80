"""Regulated averages: means of one, eight and twenty-four hours and of a year, with completeness.

The time of an hour is its end (Decision 1459/QĐ-TCMT, Circular 10/2021/TT-BTNMT). No Vietnamese
text states how complete a mean must be; Quantrac uses 75 %, the rule of US EPA (18 of 24 hours).
"""

from collections.abc import Sequence
from math import ceil

import numpy as np

from telemetry.batches import Float64, Int64

HOUR_MS = 3_600_000
COMPLETENESS = 0.75


def hourly_means(
    time_ms: Int64, value: Float64, first_end_ms: int, hours: int, interval_ms: int = 0
) -> list[float | None]:
    """The means of ``hours`` consecutive hours, the first of which ends at ``first_end_ms``.

    A sample belongs to the hour that ends after it. An hour has a mean if it holds 75 % of the samples
    expected for ``interval_ms`` (at least one where that is 0). NaN does not count.
    """
    there = np.isfinite(value)
    hour = (time_ms[there] - (first_end_ms - HOUR_MS)) // HOUR_MS
    inside = (hour >= 0) & (hour < hours)
    hour, kept = hour[inside], value[there][inside]
    count = np.bincount(hour, minlength=hours)
    total = np.bincount(hour, weights=kept, minlength=hours)
    need = needed(HOUR_MS, interval_ms)
    return [float(total[i] / count[i]) if count[i] >= need else None for i in range(hours)]


def needed(span_ms: int, interval_ms: int, completeness: float = COMPLETENESS) -> int:
    """The number of samples that a span needs to be complete."""
    return max(int(span_ms / interval_ms * completeness), 1) if interval_ms > 0 else 1


def mean(values: Sequence[float | None], completeness: float = COMPLETENESS) -> float | None:
    """The mean of the values that exist; None where their share is below ``completeness``."""
    there = [v for v in values if v is not None]
    if not there or len(there) < ceil(len(values) * completeness):
        return None
    return float(np.mean(there))


def rolling_8h(hours: Sequence[float | None]) -> list[float | None]:
    """For each hour from the eighth on, the mean of the eight hours that end with it."""
    return [mean(hours[i - 7 : i + 1]) for i in range(7, len(hours))]


def highest(values: Sequence[float | None]) -> float | None:
    """The highest of the values that exist."""
    there = [v for v in values if v is not None]
    return max(there) if there else None


def annual_mean(days: Sequence[float | None]) -> float | None:
    """The mean over the daily means of a year (QCVN 05:2023/BTNMT, clause 1.3)."""
    return mean(days)


def at_reference(concentration: float, temperature_cel: float, pressure_kpa: float) -> float:
    """A concentration in ug/Nm3, at 25 Cel and 760 mmHg (QCVN 05:2023/BTNMT, 1.3.10), from ug/m3."""
    return concentration * ((temperature_cel + 273.15) / 298.15) * (101.325 / pressure_kpa)


def at_oxygen(
    concentration: float, oxygen_percent: float, reference_percent: float
) -> float | None:
    """A stack concentration at the reference oxygen content; None at 20.9 % oxygen and more.

    ``C (20.9 - O2ref) / (20.9 - O2)``, from a secondary source on QCVN 19:2024.
    """
    if oxygen_percent >= 20.9:
        return None
    return concentration * (20.9 - reference_percent) / (20.9 - oxygen_percent)
