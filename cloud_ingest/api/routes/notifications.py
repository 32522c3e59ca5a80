"""Notification channels, test messages, and the state of every message."""

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request

from cloud_ingest.alerts import AlertService, tables
from cloud_ingest.api.filters import Several, names_in
from cloud_ingest.api.json import Json
from cloud_ingest.api.paging import DEFAULT_LIMIT, Cursor, Limit
from cloud_ingest.api.responses.alerts import Channel, ChannelTest, Notification
from cloud_ingest.api.responses.declaration import Page, declare_response
from cloud_ingest.api.row_paging import newest_first
from cloud_ingest.api.running_service import RunningService
from cloud_ingest.api.user import user_of


def add_to(api: APIRouter, alerts: AlertService) -> None:
    """Add the endpoints about channels to ``api``."""

    @api.get("/notifications/channels", **declare_response(Page[Channel]))
    def list_channels() -> Json:
        """The channels of ``notify`` in cloud.yaml, without their addresses."""
        return Json({"items": alerts.queries.channels(), "next": None})

    @api.post("/notifications/{channel}/test", **declare_response(ChannelTest, 404))
    def try_channel(channel: str, request: Request) -> Json:
        """Send a test message now, without the queue; the response says whether it was accepted."""
        return Json(alerts.commands.try_channel(channel, user_of(request)))


def log_router(service: RunningService) -> APIRouter:
    """The list of all messages of ``service``."""
    api = APIRouter(tags=["alerts"])

    @api.get("/notifications", **declare_response(Page[Notification], 400))
    def list_notifications(
        state: Several = None,
        channel: Several = None,
        station: Several = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Json:
        """Messages about alerts, newest first, with channel, state and error."""
        n, a = tables.notifications, tables.alerts
        query = sa.select(n, a.c.name).join(a, a.c.id == n.c.alert_id).order_by(n.c.id.desc())
        for column, values in (
            (n.c.state, state), (n.c.channel, channel), (n.c.station, station),
        ):  # fmt: skip
            if values:
                query = query.where(column.in_(names_in(values)))
        return Json(newest_first(service.database, query, n.c.id, limit, cursor, _shown))

    return api


def _shown(row: Any) -> dict[str, Any]:
    return {
        "id": row["id"], "alert_id": row["alert_id"], "name": row["name"],
        "station": row["station"], "channel": row["channel"], "kind": row["kind"],
        "severity": row["severity"], "state": row["state"], "created_ms": row["created_ms"],
        "due_ms": row["due_ms"], "sent_ms": row["sent_ms"], "attempts": row["attempts"],
        "error": row["error"],
    }  # fmt: skip
