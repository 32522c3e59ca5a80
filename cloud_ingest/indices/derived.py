"""Derived series of the indices: one sample an hour and one a day for each station.

Each index is a series ``gateway/index/vn_aqi_hour`` (``vn_aqi_day``, ``epa_aqi_hour``,
``epa_aqi_day``) of the gateway with the station's dust sensor. The time of a sample is the end of
its hour or day. A repeated calculation gives the same sample, so a restart does no harm.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cloud_ingest.indices.averages import HOUR_MS
from cloud_ingest.indices.station import (
    DAY_MS,
    Kind,
    Period,
    day_end_ms,
    hour_end_ms,
    pollutant_series,
    station_index,
)
from cloud_ingest.stores.protocol import SampleStore
from telemetry.series import Series, SeriesKey

GRACE_MS = 300_000
"""Delay after the end of an hour or day before its index is calculated, for late samples."""
STATIONS_PER_TICK = 5
DEVICE = "index"
"""The device of every derived series; it does not exist at the gateway."""
_KINDS: tuple[Kind, ...] = ("vn_aqi", "epa_aqi")
_SPANS: tuple[tuple[Period, int], ...] = (("hour", HOUR_MS), ("day", DAY_MS))


@dataclass(frozen=True, slots=True)
class DerivedSample:
    """One value of an index, with the description of its series."""

    key: SeriesKey
    group: str
    station: str
    quantity: str
    interval_ms: int
    time_ms: int
    value: float
    unit: str = "1"


class DerivedIndices:
    """Calculates the indices that are due, a few stations at a time."""

    def __init__(self, store: SampleStore, known_series: Callable[[], Sequence[Series]]) -> None:
        self._store = store
        self._known_series = known_series
        self._done_ms: dict[Period, int] = {"hour": 0, "day": 0}
        self._waiting: deque[tuple[str, Period, int]] = deque()

    def tick(self, now_ms: int) -> list[DerivedSample]:
        """The indices that are due now; called about every second. Raises StoreUnavailable."""
        for period, _ in _SPANS:
            end_ms = _end_ms(period, now_ms - GRACE_MS)
            if end_ms > self._done_ms[period]:
                self._done_ms[period] = end_ms
                stations = sorted({s.station for s in self._known_series() if s.station})
                self._waiting.extend((station, period, end_ms) for station in stations)
        found: list[DerivedSample] = []
        stations_done = 0
        while self._waiting and stations_done < STATIONS_PER_TICK:
            found += self._calculate(*self._waiting[0])
            self._waiting.popleft()  # after success only, so that a failure is tried again
            stations_done += bool(found)
        return found

    def _calculate(self, station: str, period: Period, end_ms: int) -> list[DerivedSample]:
        own = [s for s in self._known_series() if s.station == station]
        chosen = pollutant_series(own)
        if not chosen:
            return []
        anchor = chosen.get("pm2_5") or chosen.get("pm10") or next(iter(chosen.values()))
        found = []
        for kind in _KINDS:
            index = station_index(self._store, station, own, kind, period, end_ms)
            if index.value is None:
                continue
            quantity = f"{kind}_{period}"
            found.append(
                DerivedSample(
                    SeriesKey(anchor.key.gateway, DEVICE, quantity), anchor.group, station,
                    quantity, dict(_SPANS)[period], end_ms, float(index.value.value),
                )
            )  # fmt: skip
        return found


def _end_ms(period: Period, now_ms: int) -> int:
    return hour_end_ms(now_ms) if period == "hour" else day_end_ms(now_ms)
