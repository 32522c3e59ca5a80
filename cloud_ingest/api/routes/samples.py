"""Samples: the latest of each series, and any time range."""

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response, StreamingResponse

from cloud_ingest.api.filters import Filters, Several, filters, names_in
from cloud_ingest.api.json import Json
from cloud_ingest.api.paging import DEFAULT_LIMIT, Cursor, Limit
from cloud_ingest.api.problems import Problem, not_found
from cloud_ingest.api.responses.declaration import Page, declare_response
from cloud_ingest.api.responses.samples import Latest, Samples
from cloud_ingest.api.running_service import RunningService
from cloud_ingest.api.times import parse_step, parse_time, step_for
from cloud_ingest.database.cursor import decode_cursor, encode_cursor
from cloud_ingest.stores.protocol import Aggregate, StoreUnavailable
from cloud_ingest.transfer.export import MEDIA_TYPES, Form, export
from cloud_ingest.transfer.selection import Selection
from telemetry.series import Series, SeriesKey

DAY_MS = 86_400_000
MOST_SERIES = 50
FILES = {kind.partition(";")[0]: f"format={form}" for form, kind in MEDIA_TYPES.items()}
MOST_POINTS = 500_000


def router(service: RunningService) -> APIRouter:
    """The endpoints on ``service``."""
    routes = APIRouter(tags=["samples"])
    inventory = service.inventory

    @routes.get(
        "/latest",
        summary="The latest sample of each series",
        **declare_response(Page[Latest], 400, 503),
    )
    def latest(
        wanted: Annotated[Filters, Depends(filters)],
        series: Several = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Json:
        chosen = inventory.series_by_name()
        keys = names_in(series)
        if keys:
            chosen = [s for s in chosen if str(s.key) in keys]
        if not wanted.empty:
            chosen = [s for s in chosen if wanted.matches_series(s)]
        if cursor is not None:
            [after] = decode_cursor(cursor, str)
            chosen = [s for s in chosen if str(s.key) > after]
        of_page = chosen[:limit]
        items = _latest(service, of_page)
        more = len(chosen) > limit
        return Json({"items": items, "next": encode_cursor(str(of_page[-1].key)) if more else None})

    @routes.get(
        "/samples",
        summary="Samples of a series, or one value per step; for several series, a list of these",
        **declare_response(Samples | Page[Samples], 400, 404, 503, files=FILES),
    )
    def samples(
        series: Annotated[list[str], Query(description="gateway/device/metric; may be repeated.")],
        start: Annotated[str | None, Query(description="ISO 8601 or ms.")] = None,
        end: Annotated[str | None, Query(description="ISO 8601 or ms; default now.")] = None,
        step: Annotated[str | None, Query(description="60s, 1m, 1h, PT15M or ms.")] = None,
        aggregate: Aggregate = "mean",
        max_points: Annotated[int | None, Query(ge=10, le=20_000)] = None,
        envelope: Annotated[
            bool, Query(description="Add min, max and count of each step.")
        ] = False,
        form: Annotated[
            Literal["json", "csv", "parquet", "xlsx", "lines"],
            Query(alias="format", description="Anything but json: a file, of any length."),
        ] = "json",
    ) -> Response:
        found = [_find(service, name) for name in series]
        if len(found) > MOST_SERIES:
            raise Problem(400, "Too many series", f"At most {MOST_SERIES} at once.")
        end_ms = service.now_ms() + 1 if end is None else parse_time(end, "end")
        start_ms = end_ms - DAY_MS if start is None else parse_time(start, "start")
        if start_ms >= end_ms:
            raise Problem(400, "start is not before end", f"{start_ms} >= {end_ms}")
        step_ms = parse_step(step) if step else None
        if max_points is not None and step_ms is None:
            step_ms = _step_for(found, end_ms - start_ms, max_points)
        if form != "json":
            return _file(service, Selection(found, start_ms, end_ms, step_ms, aggregate), form)
        if step_ms is not None and (end_ms - start_ms) / step_ms > MOST_POINTS:
            raise Problem(400, "Too many steps", "Ask for a shorter range or a longer step.")
        try:
            results = [
                _envelope(service, s, start_ms, end_ms, step_ms)
                if envelope and step_ms is not None
                else _samples(service, s, start_ms, end_ms, step_ms, aggregate)
                for s in found
            ]
        except StoreUnavailable as error:
            raise Problem(503, "The store does not answer", str(error)) from error
        return Json(results[0] if len(results) == 1 else {"items": results, "next": None})

    return routes


def _file(service: RunningService, selection: Selection, form: Form) -> StreamingResponse:
    """The samples as a file, streamed while it is written."""
    ending = "txt" if form == "lines" else form
    name = f'attachment; filename="quantrac-samples.{ending}"'
    return StreamingResponse(
        export(service.store, selection, form, mark=form == "csv"),
        media_type=MEDIA_TYPES[form],
        headers={"Content-Disposition": name},
    )


def _find(service: RunningService, name: str) -> Series:
    try:
        key = SeriesKey.parse(name)
    except ValueError as error:
        raise Problem(400, "Not a series", str(error)) from error
    found = service.inventory.series_of(key)
    if found is None:
        raise not_found("series", name)
    return found


def _step_for(series: list[Series], span_ms: int, points: int) -> int | None:
    """None (raw samples) if these are few enough, otherwise a step that fits."""
    shortest = min((s.interval_ms for s in series if s.interval_ms), default=1000)
    return None if span_ms <= shortest * points else step_for(span_ms, points)


def _latest(service: RunningService, series: list[Series]) -> list[dict[str, Any]]:
    try:
        batch = service.store.latest(series)
    except StoreUnavailable as error:
        raise Problem(503, "The store does not answer", str(error)) from error
    at = {
        index: (t, v, q)
        for index, t, v, q in zip(
            batch.series.tolist(), batch.time_ms.tolist(), batch.value.tolist(),
            batch.quality.tolist(), strict=True,
        )
    }  # fmt: skip
    online = service.inventory.online()
    return [
        {
            "series": str(s.key), "gateway": s.key.gateway, "device": s.key.device,
            "metric": s.key.metric, "station": s.station, "quantity": s.quantity, "unit": s.unit,
            "time_ms": at[s.index][0], "value": at[s.index][1], "quality": at[s.index][2],
            "online": (s.key.gateway, s.key.device) in online,
        }
        for s in series
        if s.index in at
    ]  # fmt: skip


def _samples(
    service: RunningService,
    series: Series,
    start_ms: int,
    end_ms: int,
    step_ms: int | None,
    aggregate: Aggregate,
) -> dict[str, Any]:
    found = service.store.read(series, start_ms, end_ms, step_ms, aggregate)
    if len(found.time_ms) > MOST_POINTS:
        detail = f"{len(found.time_ms)} samples: ask for a step, or a shorter range."
        raise Problem(400, "Too many samples at once", detail)
    return _head(series, step_ms, aggregate if step_ms else None) | {
        "time_ms": found.time_ms,
        "value": np.ascontiguousarray(found.value),
        "quality": np.ascontiguousarray(found.quality),
    }


def _envelope(
    service: RunningService, series: Series, start_ms: int, end_ms: int, step_ms: int
) -> dict[str, Any]:
    found = service.store.envelope([series], start_ms, end_ms, step_ms)[0]
    columns = {"value": found.mean, "min": found.min, "max": found.max, "count": found.count}
    return _head(series, step_ms, "mean") | {
        "time_ms": np.ascontiguousarray(found.time_ms),
        **{name: np.ascontiguousarray(column) for name, column in columns.items()},
        "quality": np.ascontiguousarray(found.quality),
    }


def _head(series: Series, step_ms: int | None, aggregate: Aggregate | None) -> dict[str, Any]:
    return {
        "series": str(series.key), "quantity": series.quantity, "unit": series.unit,
        "step_ms": step_ms, "aggregate": aggregate,
    }  # fmt: skip
