"""Stations, gateways, devices and series with their state."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from cloud_ingest.api.filters import Filters, filters
from cloud_ingest.api.json import Json
from cloud_ingest.api.paging import DEFAULT_LIMIT, Cursor, Limit, page
from cloud_ingest.api.problems import not_found
from cloud_ingest.api.responses import inventory as answered
from cloud_ingest.api.responses.declaration import Page, declare_response
from cloud_ingest.api.responses.inventory_json import (
    json_of_device,
    json_of_gateway,
    json_of_quantity,
    json_of_series,
    json_of_station,
)
from cloud_ingest.api.running_service import RunningService
from cloud_ingest.indices.derived import DEVICE as DERIVED
from telemetry.quantities import QUANTITIES
from telemetry.series import SeriesKey

RequestFilters = Annotated[Filters, Depends(filters)]
Exact = Annotated[bool, Query(description="Count the stored samples in the store (slower).")]


def router(service: RunningService) -> APIRouter:
    """The endpoints on ``service``."""
    routes = APIRouter(tags=["stations"])
    inventory = service.inventory

    @routes.get(
        "/quantities", summary="The measurable quantities, with units and names",
        **declare_response(Page[answered.Quantity]),
    )  # fmt: skip
    def quantities() -> Json:
        return Json({"items": [json_of_quantity(q) for q in QUANTITIES.values()], "next": None})

    @routes.get(
        "/stations", summary="Places on the map", **declare_response(Page[answered.Station], 400)
    )
    def stations(
        wanted: RequestFilters, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Json:
        at: dict[str, list[Any]] = {}
        for gateway in inventory.gateways():
            at.setdefault(gateway.station, []).append(gateway)
        chosen = [
            s
            for s in inventory.stations()
            if wanted.matches_location(s.group, s.id)
            and (not wanted.gateways or any(g.id in wanted.gateways for g in at.get(s.id, [])))
        ]
        if wanted.quantities:
            having = {s.station for s in inventory.series() if s.quantity in wanted.quantities}
            chosen = [s for s in chosen if s.id in having]
        return Json(
            page(
                chosen,
                lambda s: s.id,
                limit,
                cursor,
                lambda s: json_of_station(s, at.get(s.id, [])),
            )
        )

    @routes.get(
        "/stations/{station}", summary="One station", **declare_response(answered.Station, 404)
    )
    def station(station: str) -> Json:
        found = inventory.station(station)
        if found is None:
            raise not_found("station", station)
        return Json(
            json_of_station(found, [g for g in inventory.gateways() if g.station == station])
        )

    def exact_count(gateway: str, *, exact: bool) -> int | None:
        if not exact:
            return None
        return service.store.count(
            [
                s
                for s in inventory.series()
                if s.key.gateway == gateway
                and s.key.device != DERIVED  # the gateway measured those
            ]
        )

    @routes.get(
        "/gateways", summary="Gateways: online, backlog, measured and stored",
        **declare_response(Page[answered.Gateway], 400),
    )  # fmt: skip
    def gateways(
        wanted: RequestFilters,
        exact: Exact = False,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Json:
        chosen = [
            g for g in inventory.gateways() if wanted.matches_location(g.group, g.station, g.id)
        ]
        if wanted.quantities:
            having = {s.key.gateway for s in inventory.series() if s.quantity in wanted.quantities}
            chosen = [g for g in chosen if g.id in having]
        return Json(
            page(
                chosen,
                lambda g: g.id,
                limit,
                cursor,
                lambda g: json_of_gateway(
                    g, inventory, service.ledger, exact_count(g.id, exact=exact)
                ),
            )
        )

    @routes.get(
        "/gateways/{gateway}", summary="One gateway", **declare_response(answered.Gateway, 404)
    )
    def one_gateway(gateway: str, exact: Exact = False) -> Json:
        found = inventory.gateway(gateway)
        if found is None:
            raise not_found("gateway", gateway)
        count = exact_count(gateway, exact=exact)
        return Json(json_of_gateway(found, inventory, service.ledger, count))

    @routes.get(
        "/devices", summary="Devices with the counters of their bus",
        **declare_response(Page[answered.Device], 400),
    )  # fmt: skip
    def devices(
        wanted: RequestFilters, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Json:
        of = {g.id: g for g in inventory.gateways()}
        chosen = [
            d
            for d in inventory.devices()
            if d.gateway in of
            and wanted.matches_location(of[d.gateway].group, of[d.gateway].station, d.gateway)
        ]
        if wanted.quantities:
            having = {
                (s.key.gateway, s.key.device)
                for s in inventory.series()
                if s.quantity in wanted.quantities
            }
            chosen = [d for d in chosen if (d.gateway, d.name) in having]
        chosen.sort(key=lambda d: f"{d.gateway}/{d.name}")
        return Json(
            page(
                chosen,
                lambda d: f"{d.gateway}/{d.name}",
                limit,
                cursor,
                lambda d: json_of_device(d, inventory),
            )
        )

    @routes.get(
        "/devices/{gateway}/{device}",
        summary="One device",
        **declare_response(answered.Device, 404),
    )
    def one_device(gateway: str, device: str) -> Json:
        found = inventory.device(gateway, device)
        if found is None:
            raise not_found("device", f"{gateway}/{device}")
        return Json(json_of_device(found, inventory))

    @routes.get(
        "/series", summary="Series: one metric of one device",
        **declare_response(Page[answered.Series], 400),
    )  # fmt: skip
    def series(wanted: RequestFilters, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Json:
        chosen = inventory.series_by_name()
        if not wanted.empty:
            chosen = [s for s in chosen if wanted.matches_series(s)]
        return Json(page(chosen, lambda s: str(s.key), limit, cursor, json_of_series))

    @routes.get(
        "/series/{key:path}", summary="One series, by gateway/device/metric",
        **declare_response(answered.Series, 404),
    )  # fmt: skip
    def one_series(key: str) -> Json:
        try:
            found = inventory.series_of(SeriesKey.parse(key))
        except ValueError:
            found = None
        if found is None:
            raise not_found("series", key)
        return Json(json_of_series(found))

    return routes
