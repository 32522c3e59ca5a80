"""Silences, maintenance and calibration."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from cloud_ingest.alerts import AlertService
from cloud_ingest.alerts.silences import Silence, SilenceKind
from cloud_ingest.api.json import Json
from cloud_ingest.api.paging import DEFAULT_LIMIT, Cursor, Limit, page
from cloud_ingest.api.problems import Problem
from cloud_ingest.api.responses.alerts import Silence as SilenceShape
from cloud_ingest.api.responses.declaration import Page, declare_response
from cloud_ingest.api.times import optional_time
from cloud_ingest.api.user import user_of
from telemetry.time.clock import utc_now_ms


class NewSilence(BaseModel):
    """A silence of everything that its fields match. ``end`` null: until it is ended by hand."""

    model_config = ConfigDict(extra="forbid")

    kind: SilenceKind = "silence"
    rule: str | None = None
    station: str | None = None
    gateway: str | None = None
    device: str | None = None
    metric: str | None = None
    start: str | int | None = None
    end: str | int | None = None
    reason: Annotated[str, Field(min_length=1, max_length=1000)]


def add_to(api: APIRouter, alerts: AlertService) -> None:
    """Add the endpoints to ``api``."""

    @api.get("/silences", **declare_response(Page[SilenceShape], 400))
    def list_silences(
        active: bool = False, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Json:
        """Silences and maintenance, newest first; with ``active`` only those that are not over."""
        found = alerts.queries.silences(now_ms=utc_now_ms() if active else None)
        return Json(page(found, _newest_first, limit, cursor, Silence.as_json))

    @api.post("/silences", status_code=201, **declare_response(SilenceShape, 422))
    def add_silence(request: Request, body: NewSilence) -> Json:
        """Start a silence, a maintenance or a calibration."""
        made_ms = utc_now_ms()
        start_ms = optional_time(body.start, "start")
        end_ms = optional_time(body.end, "end")
        start_ms = made_ms if start_ms is None else start_ms
        if end_ms is not None and end_ms <= start_ms:
            raise Problem(422, "The request is not valid", "end must be later than start")
        silence = Silence(
            0, body.kind, body.rule, body.station, body.gateway, body.device, body.metric,
            start_ms, end_ms, None, body.reason, user_of(request), made_ms, None,
        )  # fmt: skip
        return Json(alerts.commands.silence(silence).as_json(), status_code=201)

    @api.delete("/silences/{silence_id}", **declare_response(SilenceShape, 404))
    def end_silence(silence_id: int, request: Request) -> Json:
        """End a silence now. Its record is kept."""
        return Json(alerts.commands.end_silence(silence_id, user_of(request)).as_json())


def _newest_first(silence: Silence) -> str:
    return f"{10**15 - silence.id:015d}"
