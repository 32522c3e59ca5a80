"""The index of a station, from the samples in the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cloud_ingest.indices import epa_aqi, vn_aqi
from cloud_ingest.indices.averages import HOUR_MS, highest, hourly_means, mean, rolling_8h
from cloud_ingest.indices.index import IndexValue
from cloud_ingest.stores.protocol import SampleStore
from telemetry.batches import usable
from telemetry.series import Series
from telemetry.time.local_time import day_start_ms

Kind = Literal["vn_aqi", "epa_aqi"]
Period = Literal["hour", "day"]
DAY_MS = 24 * HOUR_MS
LOOK_BACK_HOURS = 12
METHODS = {
    "vn_aqi": "VN_AQI, Decision 1459/QĐ-TCMT (12/11/2019)",
    "epa_aqi": "US EPA AQI, PM2.5 breakpoints of 6 May 2024",
}

Hours = Mapping[str, Sequence[float | None]]
"""One-hour means by pollutant, the oldest first; None where an hour is not complete."""


@dataclass(frozen=True, slots=True)
class StationIndex:
    """An index of a station for the hour or day that ends at ``time_ms``.

    Where ``value`` is None, ``reason`` says why. ``inputs`` holds the one-hour means by pollutant, the
    oldest first; the first of them ends at ``inputs_from_ms``. ``series`` holds their keys.
    """

    station: str
    kind: Kind
    period: Period
    time_ms: int
    value: IndexValue | None
    reason: str | None
    inputs: Hours
    inputs_from_ms: int
    series: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """The JSON of the API."""
        found = self.value
        level = found.level if found is not None else None
        return {
            "station": self.station, "kind": self.kind, "period": self.period,
            "time_ms": self.time_ms, "method": METHODS[self.kind],
            "value": found.value if found is not None else None,
            "level": None if level is None else {
                "id": level.id, "low": level.low, "high": level.high, "colour": level.colour,
                "vi": level.vi, "en": level.en,
            },
            "dominant": found.dominant if found is not None else None,
            "sub_indices": [s.as_json() for s in found.sub_indices] if found is not None else [],
            "reason": self.reason,
            "inputs": {
                name: {"series": self.series[name], "hour_means": list(values)}
                for name, values in self.inputs.items()
            },
            "inputs_from_ms": self.inputs_from_ms,
        }  # fmt: skip


def hour_end_ms(now_ms: int) -> int:
    """The end of the last complete hour."""
    return now_ms // HOUR_MS * HOUR_MS


def day_end_ms(now_ms: int) -> int:
    """The end of the last full day in Viet Nam."""
    return day_start_ms(now_ms)


def pollutant_series(series: Sequence[Series]) -> dict[str, Series]:
    """One series for each pollutant of the index; of several, the first one by key."""
    found: dict[str, Series] = {}
    for one in sorted(series, key=lambda s: str(s.key)):
        if one.quantity in vn_aqi.POLLUTANTS:
            found.setdefault(one.quantity, one)
    return found


def read_hours(
    store: SampleStore, series: Mapping[str, Series], first_end_ms: int, hours: int
) -> dict[str, list[float | None]]:
    """The one-hour means of each pollutant, the oldest first, without failed and missing samples."""
    start_ms, end_ms = first_end_ms - HOUR_MS, first_end_ms + (hours - 1) * HOUR_MS
    found = {}
    for name, one in series.items():
        samples = store.read(one, start_ms, end_ms)
        good = usable(samples.value, samples.quality)
        found[name] = hourly_means(
            samples.time_ms[good], np.asarray(samples.value[good], np.float64),
            first_end_ms, hours, one.interval_ms,
        )  # fmt: skip
    return found


def station_index(
    store: SampleStore,
    station: str,
    series: Sequence[Series],
    kind: Kind,
    period: Period,
    at_ms: int,
) -> StationIndex:
    """The index for the hour (or day) that ended last, at or before ``at_ms``."""
    chosen = pollutant_series([s for s in series if s.station == station])
    if period == "hour":
        time_ms, hours = hour_end_ms(at_ms), LOOK_BACK_HOURS
    else:
        time_ms, hours = day_end_ms(at_ms), 24 + 7  # for the eight-hour mean of the first hour
    first_end_ms = time_ms - (hours - 1) * HOUR_MS
    inputs = read_hours(store, chosen, first_end_ms, hours)
    value = of_hours(kind, inputs) if period == "hour" else of_day(kind, inputs)
    reason = None if value is not None else _why_not(kind, chosen)
    keys = {name: str(one.key) for name, one in chosen.items()}
    return StationIndex(station, kind, period, time_ms, value, reason, inputs, first_end_ms, keys)


def of_hours(kind: Kind, hours: Hours) -> IndexValue | None:
    """The index of the newest hour from twelve hours (the oldest first)."""
    newest_first = {name: list(reversed(values)) for name, values in hours.items()}
    if kind == "vn_aqi":
        return vn_aqi.hourly(newest_first)
    return epa_aqi.hourly(newest_first, {n: mean(v[-8:]) for n, v in hours.items()})


def of_day(kind: Kind, hours: Hours) -> IndexValue | None:
    """The index of a day from its 24 hours and the seven before it (the oldest first)."""
    of_the_day = {name: values[-24:] for name, values in hours.items()}
    mean_24h = {name: mean(values) for name, values in of_the_day.items()}
    max_1h = {name: highest(values) for name, values in of_the_day.items()}
    max_8h = {name: highest(rolling_8h(values)) for name, values in hours.items()}
    if kind == "vn_aqi":
        return vn_aqi.daily(mean_24h, max_1h, max_8h.get("o3"))
    return epa_aqi.daily(mean_24h, max_1h, max_8h)


def _why_not(kind: Kind, chosen: Mapping[str, Series]) -> str:
    if not chosen:
        return "no_pollutants"
    if kind == "vn_aqi" and not any(name in chosen for name in vn_aqi.PARTICLES):
        return "no_pm_series"
    return "not_enough_data"
