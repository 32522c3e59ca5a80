"""Indices as series of their own: one sample an hour and one a day for each station.

Each index is a series ``gateway/index/vn_aqi_hour`` (``vn_aqi_day``, ``epa_aqi_hour``,
``epa_aqi_day``) beside the station's dust sensor, stamped with the end of its hour or day. Working
it out again gives the same sample at the same time, so a restart does no harm.
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
"""So long after its end an hour or day is worked out: the last samples may be on their way."""
STATIONS_A_TURN = 5
DEVICE = "index"
"""The device of every series that is worked out here; no gateway measured it."""
_KINDS: tuple[Kind, ...] = ("vn_aqi", "epa_aqi")
_SPANS: tuple[tuple[Period, int], ...] = (("hour", HOUR_MS), ("day", DAY_MS))


@dataclass(frozen=True, slots=True)
class DerivedSample:
    """One value of an index, with what its series is."""

    key: SeriesKey
    group: str
    station: str
    quantity: str
    interval_ms: int
    time_ms: int
    value: float
    unit: str = "1"


class DerivedIndices:
    """Works out what is due, a few stations at a time."""

    def __init__(self, store: SampleStore, known_series: Callable[[], Sequence[Series]]) -> None:
        self._store = store
        self._known_series = known_series
        self._done_ms: dict[Period, int] = {"hour": 0, "day": 0}
        self._waiting: deque[tuple[str, Period, int]] = deque()

    def tick(self, now_ms: int) -> list[DerivedSample]:
        """The indices that have become due; called about every second. Raises StoreUnavailable."""
        for period, _ in _SPANS:
            end_ms = _end_ms(period, now_ms - GRACE_MS)
            if end_ms > self._done_ms[period]:
                self._done_ms[period] = end_ms
                stations = sorted({s.station for s in self._known_series() if s.station})
                self._waiting.extend((station, period, end_ms) for station in stations)
        found: list[DerivedSample] = []
        turns = 0
        while self._waiting and turns < STATIONS_A_TURN:
            found += self._work_out(*self._waiting[0])
            self._waiting.popleft()  # only now: what failed is tried again
            turns += bool(found)
        return found

    def _work_out(self, station: str, period: Period, end_ms: int) -> list[DerivedSample]:
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
