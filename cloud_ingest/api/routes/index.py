"""Air-quality indices of stations (contract C4)."""

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from cloud_ingest.api.json import Json
from cloud_ingest.api.problems import not_found
from cloud_ingest.api.responses.declaration import Page, declare_response
from cloud_ingest.api.responses.samples import Index
from cloud_ingest.api.times import optional_time
from cloud_ingest.indices.station import Kind, Period, pollutant_series, station_index
from cloud_ingest.stores.protocol import SampleStore
from telemetry.series import Series
from telemetry.time.clock import utc_now_ms


def router(store: SampleStore, known_series: Callable[[], Sequence[Series]]) -> APIRouter:
    """The endpoint on a store and the known series."""
    api = APIRouter(tags=["index"])

    @api.get("/index", **declare_response(Index | Page[Index], 404, 422))
    def get_index(
        station: Annotated[str | None, Query(description="Default: all stations.")] = None,
        kind: Kind = "vn_aqi",
        period: Period = "hour",
        at: Annotated[
            str | None,
            Query(description="A time; the last hour or day that ended before it. Default: now."),
        ] = None,
    ) -> Json:
        """Index value, level, dominant pollutant and inputs of a station, or a list of all stations."""
        given_ms = optional_time(at, "at")
        at_ms = utc_now_ms() if given_ms is None else given_ms
        series = known_series()
        if station is not None:
            if not any(s.station == station for s in series):
                raise not_found("station", station)
            return Json(station_index(store, station, series, kind, period, at_ms).as_json())
        names = sorted({s.station for s in pollutant_stations(series)})
        items = [station_index(store, n, series, kind, period, at_ms).as_json() for n in names]
        return Json({"items": items, "next": None})

    return api


def pollutant_stations(series: Sequence[Series]) -> list[Series]:
    """The pollutant series of all stations."""
    by_station: dict[str, list[Series]] = {}
    for one in series:
        by_station.setdefault(one.station, []).append(one)
    return [s for own in by_station.values() for s in pollutant_series(own).values()]
