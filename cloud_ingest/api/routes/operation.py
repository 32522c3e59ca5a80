"""The service itself: health, quarantine, events, metrics."""

import base64
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, Response

from cloud_ingest.api.filters import Several, names_in
from cloud_ingest.api.json import Json
from cloud_ingest.api.paging import DEFAULT_LIMIT, Cursor, Limit
from cloud_ingest.api.problems import Problem, document, not_found
from cloud_ingest.api.responses import service as answered
from cloud_ingest.api.responses.declaration import Page, declare_response
from cloud_ingest.api.routes.metrics import prometheus_text
from cloud_ingest.api.row_paging import newest_first
from cloud_ingest.api.running_service import RunningService
from cloud_ingest.api.times import parse_time
from cloud_ingest.database import DatabaseUnavailable
from cloud_ingest.database.schema import events, quarantine
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.stores.protocol import StoreError
from quantrac import __version__
from telemetry.sparkplug.topics import NAMESPACE
from telemetry.time.local_time import TIME_ZONE

SHOWN_BYTES = 4096


def router(service: RunningService) -> APIRouter:
    """The endpoints on ``service`` under the prefix of the API."""
    routes = APIRouter(tags=["operation"])

    @routes.get("/about", summary="Name and version", **declare_response(answered.About))
    def about() -> Json:
        return Json(
            {
                "name": "Quantrac", "version": __version__,
                "host": service.configuration.host, "store": service.configuration.store.kind,
                "time_ms": service.now_ms(), "time_zone": TIME_ZONE,
            }
        )  # fmt: skip

    @routes.get(
        "/health",
        summary="Whether broker, store, database, pipeline and notification work",
        response_model=answered.Health,
        responses={503: {"model": answered.HealthProblem, "description": "A part does not work"}},
    )
    def health() -> Response:
        checks = check(service)
        wrong = [f"{name}: {c['detail']}" for name, c in checks.items() if not c["ok"]]
        now_ms = service.now_ms()
        facts = {
            "version": __version__, "time_ms": now_ms,
            "uptime_s": round((now_ms - service.started_ms) / 1000, 1), "checks": checks,
        }  # fmt: skip
        if wrong:
            return document(503, "Not everything answers", "; ".join(wrong), facts)
        return Json({"status": "ok"} | facts)

    @routes.get(
        "/quarantine",
        summary="Rejected messages with the reason, newest first",
        **declare_response(Page[answered.Quarantined], 400),
    )
    def refused(
        gateway: Several = None, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Json:
        statement = sa.select(quarantine).order_by(quarantine.c.id.desc())
        replaying = service.quarantine.replaying()
        if replaying:
            statement = statement.where(quarantine.c.id.not_in(replaying))
        if gateway:
            statement = statement.where(quarantine.c.gateway_id.in_(names_in(gateway)))
        return Json(
            newest_first(service.database, statement, quarantine.c.id, limit, cursor, _refused)
        )

    @routes.get(
        "/quarantine/summary",
        summary="The number of rejected messages, by reason",
        **declare_response(answered.QuarantineSummary),
    )
    def refused_summary() -> Json:
        by_reason = service.quarantine.summary()
        return Json({"total": sum(by_reason.values()), "by_reason": by_reason})

    @routes.post(
        "/quarantine/{item}/replay",
        status_code=202,
        summary="Process it again, after a fix",
        **declare_response(answered.Replayed, 404, 409, 503),
    )
    def replay(item: int) -> Json:
        row = _row(service, item)
        if not _is_whole(row):
            raise Problem(409, "Not kept whole", "Only the beginning of this payload was kept.")
        if not _is_data(row):
            raise Problem(409, "Not data", "Births and deaths are not replayed: ask for a rebirth.")
        form: Literal["message", "samples"] = "samples" if row["form"] == "samples" else "message"
        message = MqttMessage(row["topic"], bytes(row["payload"]), row["time_ms"], form, item)
        if not service.quarantine.begin_replay(item):
            raise not_found("item in the quarantine", str(item))
        if not service.inbox.put(message):
            service.quarantine.cancel_replay(item)
            raise Problem(503, "Intake is full", "It is still in quarantine: try again later.")
        return Json({"id": item, "replayed": True}, status_code=202)

    @routes.delete(
        "/quarantine/{item}", status_code=204, summary="Delete it", **declare_response(None, 404)
    )
    def forget(item: int) -> Response:
        _row(service, item)
        _delete_item(service, item)
        return Response(status_code=204)

    @routes.get(
        "/events",
        summary="Events of gateways and devices, newest first",
        **declare_response(Page[answered.Event], 400),
    )
    def happened(
        gateway: Several = None,
        kind: Several = None,
        since: Annotated[str | None, Query(description="ISO 8601 or ms.")] = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Json:
        statement = sa.select(events).order_by(events.c.id.desc())
        if gateway:
            statement = statement.where(events.c.gateway_id.in_(names_in(gateway)))
        if kind:
            statement = statement.where(events.c.kind.in_(names_in(kind)))
        if since:
            statement = statement.where(events.c.time_ms >= parse_time(since, "since"))
        return Json(newest_first(service.database, statement, events.c.id, limit, cursor, _event))

    return routes


def metrics_router(service: RunningService) -> APIRouter:
    """``/metrics``, outside the prefix of the API."""
    routes = APIRouter(tags=["operation"])

    @routes.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=PlainTextResponse,
        responses={200: {"content": {"text/plain": {"example": "quantrac_samples_total 30.0\n"}}}},
    )
    def metrics() -> Response:
        text, media_type = prometheus_text(service)
        return Response(text, media_type=media_type)

    return routes


def check(service: RunningService) -> dict[str, dict[str, Any]]:
    """The state of broker, store, database, pipeline and notification worker."""
    state = service.link.state
    pipeline = service.pipeline
    checks = {
        "broker": {"ok": state.connected, "detail": state.problem},
        "store": _check(service.store.check, StoreError),
        "database": _check(service.database.check, DatabaseUnavailable),
        "pipeline": {
            "ok": pipeline.running and not pipeline.problem,
            "detail": pipeline.problem or ("" if pipeline.running else "it is not running"),
        },
    }
    problem = service.notification.problem
    checks["notification"] = {"ok": not problem, "detail": problem}
    checks["store"]["kind"] = service.configuration.store.kind
    return checks


def _check(ask: Any, failure: type[Exception]) -> dict[str, Any]:
    try:
        ask()
    except failure as error:
        return {"ok": False, "detail": str(error)}
    return {"ok": True, "detail": ""}


def _row(service: RunningService, item: int) -> Any:
    statement = sa.select(quarantine).where(quarantine.c.id == item)
    with service.database.engine.connect().execution_options(read_only=True) as connection:
        row = connection.execute(statement).mappings().first()
    if row is None or item in service.quarantine.replaying():
        raise not_found("item in the quarantine", str(item))
    return row


def _is_whole(row: Any) -> bool:
    return bool(row["size"] <= len(row["payload"]))


def _is_data(row: Any) -> bool:
    parts = row["topic"].split("/")
    return (
        row["form"] == "samples"
        or parts[0] != NAMESPACE
        or (len(parts) > 3 and parts[2] in ("DDATA", "NDATA"))
    )


def _delete_item(service: RunningService, item: int) -> None:
    with service.database.engine.begin() as connection:
        connection.execute(sa.delete(quarantine).where(quarantine.c.id == item))


def _refused(row: Any) -> dict[str, Any]:
    return {
        "id": row["id"], "time_ms": row["time_ms"], "topic": row["topic"],
        "gateway": row["gateway_id"], "reason": row["reason"], "size": row["size"],
        "count": row["count"], "form": row["form"],
        "replayable": _is_whole(row) and _is_data(row),
        "payload_base64": base64.b64encode(row["payload"][:SHOWN_BYTES]).decode(),
    }  # fmt: skip


def _event(row: Any) -> dict[str, Any]:
    return {
        "id": row["id"], "time_ms": row["time_ms"], "kind": row["kind"], "group": row["group_id"],
        "gateway": row["gateway_id"], "device": row["device"], "message": row["message"],
        "details": row["details"],
    }  # fmt: skip
