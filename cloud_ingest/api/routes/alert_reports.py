"""The report of a period: every alert that was active in it, as JSON, CSV or Excel."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Query
from fastapi.responses import Response

from cloud_ingest.alerts import records, tables
from cloud_ingest.alerts.model import Alert
from cloud_ingest.api.filters import Several, names_in
from cloud_ingest.api.json import Json
from cloud_ingest.api.problems import Problem
from cloud_ingest.api.report_files import CSV, EXCEL, csv_of, excel_of
from cloud_ingest.api.responses.alerts import AlertReport
from cloud_ingest.api.responses.declaration import declare_response
from cloud_ingest.api.running_service import RunningService
from cloud_ingest.api.times import parse_time

MOST_ALERTS = 5000
FILES = {CSV: "format=csv", EXCEL: "format=xlsx"}


def router(service: RunningService) -> APIRouter:
    """The endpoint over ``service``."""
    api = APIRouter(tags=["alerts"])

    @api.get("/reports/alerts", **declare_response(AlertReport, 400, files=FILES))
    def report_alerts(
        since: Annotated[str, Query(description="ISO 8601 or ms.")],
        until: Annotated[str | None, Query(description="ISO 8601 or ms; default now.")] = None,
        station: Several = None,
        form: Annotated[Literal["json", "csv", "xlsx"], Query(alias="format")] = "json",
        language: Annotated[Literal["vi", "en"], Query(description="Of a file.")] = "vi",
    ) -> Response:
        """The alerts that were active in a period: place, peak, limit, who acknowledged."""
        since_ms = parse_time(since, "since")
        until_ms = service.now_ms() if until is None else parse_time(until, "until")
        if since_ms >= until_ms:
            raise Problem(400, "since is not before until", f"{since_ms} >= {until_ms}")
        found = list(_alerts(service, since_ms, until_ms, names_in(station)))
        items = [_report_line(alert, service) for alert in found[:MOST_ALERTS]]
        if form == "csv":
            return _file(csv_of(items, language), CSV, "csv")
        if form == "xlsx":
            return _file(excel_of(items, language, since_ms, until_ms), EXCEL, "xlsx")
        return Json(
            {
                "since_ms": since_ms, "until_ms": until_ms, "items": items,
                "shortened": len(found) > MOST_ALERTS,
            }
        )  # fmt: skip

    return api


def _alerts(
    service: RunningService, since_ms: int, until_ms: int, stations: frozenset[str]
) -> Iterator[Alert]:
    t = tables.alerts
    query = (
        sa.select(t)
        .where((t.c.state != "pending") & (t.c.start_ms < until_ms))
        .where(t.c.end_ms.is_(None) | (t.c.end_ms >= since_ms))
        .order_by(t.c.start_ms, t.c.id)
        .limit(MOST_ALERTS + 1)
    )
    if stations:
        query = query.where(t.c.station.in_(stations))
    with service.database.engine.connect().execution_options(read_only=True) as connection:
        for row in connection.execute(query).mappings():
            yield records.alert_of(row)


def _report_line(alert: Alert, service: RunningService) -> dict[str, Any]:
    station = service.inventory.station(alert.station) if alert.station else None
    return {
        "id": alert.id, "rule": alert.rule, "name": dict(alert.name), "severity": alert.severity,
        "state": alert.state, "station": alert.station,
        "station_name": station.name if station else alert.station, "subject": alert.subject,
        "start_ms": alert.start_ms, "end_ms": alert.end_ms, "peak": alert.peak,
        "limit": alert.limit_value, "comparison": alert.comparison, "unit": alert.unit,
        "legal": dict(alert.legal) if alert.legal is not None else None,
        "demonstration": alert.rule.startswith("demo/"), "retrospective": alert.retrospective,
        "muted_by": alert.inhibited_by, "acknowledged_by": alert.acknowledged_by,
        "acknowledged_ms": alert.acknowledged_ms, "assignee": alert.assignee,
    }  # fmt: skip


def _file(content: bytes, media_type: str, ending: str) -> Response:
    name = f'attachment; filename="quantrac-alerts.{ending}"'
    return Response(content, media_type=media_type, headers={"Content-Disposition": name})
