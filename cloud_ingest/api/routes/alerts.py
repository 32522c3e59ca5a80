"""Alerts, actions on them, and rules (contract C4)."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from alert_rules.rule import LocalText, Rule
from cloud_ingest.alerts import AlertConflict, AlertNotFound, AlertService
from cloud_ingest.alerts.builder import legal_json
from cloud_ingest.alerts.operations import AlertFilter
from cloud_ingest.alerts.texts import shown_number, shown_unit
from cloud_ingest.api.json import Json
from cloud_ingest.api.paging import DEFAULT_LIMIT, Cursor, Limit, page
from cloud_ingest.api.problems import Problem
from cloud_ingest.api.responses.alerts import Acknowledged, Alert, AlertDetail, Silence
from cloud_ingest.api.responses.alerts import Rule as RuleShape
from cloud_ingest.api.responses.declaration import Page, declare_response
from cloud_ingest.api.routes import notifications, silences
from cloud_ingest.api.times import optional_time
from cloud_ingest.api.user import user_of
from telemetry.series import Series
from telemetry.time.clock import utc_now_ms
from telemetry.time.durations import format_duration

Several = Annotated[list[str] | None, Query(description="Repeated or comma separated: any of.")]
Moment = Annotated[str | None, Query(description="ISO 8601 (UTC without a zone) or ms.")]


class CapResponse(Response):
    """A document of the Common Alerting Protocol."""

    media_type = "application/cap+xml"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Note(_Body):
    """A note on an action."""

    note: Annotated[str | None, Field(max_length=4000)] = None


class Comment(_Body):
    """A comment."""

    text: Annotated[str, Field(min_length=1, max_length=4000)]


class Assignment(_Body):
    """The assignee of the alert; null: nobody."""

    to: Annotated[str | None, Field(max_length=200)]


class AlertSilence(_Body):
    """Silence one alert, with the reason; without an end, until it is resolved."""

    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    end: str | int | None = None


class Chosen(_Body):
    """Several alerts, and a note on the action."""

    ids: Annotated[list[int], Field(min_length=1, max_length=500)]
    note: Annotated[str | None, Field(max_length=4000)] = None


def router(alerts: AlertService) -> APIRouter:
    """The endpoints on the alert service."""
    api = APIRouter(tags=["alerts"])
    _add_lists(api, alerts)
    _add_steps(api, alerts)
    for further in (silences, notifications):
        further.add_to(api, alerts)

    @api.get("/rules", **declare_response(Page[RuleShape], 400))
    def list_rules(
        series: Several = None, station: Several = None, quantity: Several = None,
        limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None,
    ) -> Json:  # fmt: skip
        """The rules with their series, limits and legal basis, for example for the lines in charts."""
        chosen = [
            s
            for s in alerts.series
            if _in(str(s.key), series) and _in(s.station, station) and _in(s.quantity, quantity)
        ]
        narrowed = any(f is not None for f in (series, station, quantity))
        items = [_show_rule(r, chosen) for r in alerts.rules]
        items = [i for i in items if i["series"] or not narrowed]
        return Json(page(items, lambda i: i["rule"], limit, cursor))

    return api


def _add_lists(api: APIRouter, alerts: AlertService) -> None:
    @api.get("/alerts", **declare_response(Page[Alert], 400, 422))
    def list_alerts(
        state: Several = None, station: Several = None, rule: Several = None,
        gateway: Several = None, series: Several = None, severity: Several = None,
        quantity: Several = None, since: Moment = None, until: Moment = None,
        limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None,
    ) -> Json:  # fmt: skip
        """Alerts with their history, newest first. ``since`` does not exclude open alerts."""
        wanted = AlertFilter(
            _split(state), _split(station), _split(rule), _split(gateway), _split(series),
            _split(severity), _split(quantity), optional_time(since, "since"), optional_time(until, "until"),
        )  # fmt: skip
        items, following = alerts.queries.find(wanted, limit, cursor)
        return Json({"items": items, "next": following})

    @api.get("/alerts/{alert_id}", **declare_response(AlertDetail, 404))
    def get_alert(alert_id: int) -> Json:
        """One alert with its history and the messages sent about it."""
        found = alerts.queries.get(alert_id)
        return Json(found | {"deliveries": alerts.queries.deliveries(alert_id)})

    @api.get("/alerts/{alert_id}/cap", response_class=CapResponse, **declare_response(None, 404))
    def get_cap(alert_id: int) -> CapResponse:
        """The alert as a CAP 1.2 document."""
        return CapResponse(alerts.queries.cap(alert_id))


def _add_steps(api: APIRouter, alerts: AlertService) -> None:
    stepped = declare_response(Alert, 404, 409)

    @api.post("/alerts/acknowledge", **declare_response(Acknowledged))
    def acknowledge_several(request: Request, body: Chosen) -> Json:
        """Acknowledge several alerts at once."""
        done, refused = [], []
        for alert_id in dict.fromkeys(body.ids):
            try:
                done.append(alerts.commands.acknowledge(alert_id, user_of(request), body.note))
            except (AlertNotFound, AlertConflict) as error:
                refused.append({"id": alert_id, "detail": error.detail})
        return Json({"items": done, "refused": refused})

    @api.post("/alerts/{alert_id}/acknowledge", **stepped)
    def acknowledge(alert_id: int, request: Request, body: Note | None = None) -> Json:
        """Acknowledge an alert."""
        note = body.note if body else None
        return Json(alerts.commands.acknowledge(alert_id, user_of(request), note))

    @api.post("/alerts/{alert_id}/comment", **stepped)
    def comment(alert_id: int, request: Request, body: Comment) -> Json:
        """Add a comment to its history."""
        return Json(alerts.commands.comment(alert_id, user_of(request), body.text))

    @api.post("/alerts/{alert_id}/assign", **stepped)
    def assign(alert_id: int, request: Request, body: Assignment) -> Json:
        """Assign it to a person."""
        return Json(alerts.commands.assign(alert_id, user_of(request), body.to))

    @api.post("/alerts/{alert_id}/resolve", **stepped)
    def resolve(alert_id: int, request: Request, body: Note | None = None) -> Json:
        """Resolve it by hand."""
        note = body.note if body else None
        return Json(alerts.commands.resolve(alert_id, user_of(request), note))

    @api.post("/alerts/{alert_id}/silence", **declare_response(Silence, 404, 422))
    def silence_alert(alert_id: int, request: Request, body: AlertSilence) -> Json:
        """Silence it for a time, or until it is resolved."""
        end_ms = optional_time(body.end, "end")
        if end_ms is not None and end_ms <= utc_now_ms():
            raise Problem(422, "The request is not valid", "end must be in the future")
        span = alerts.commands.silence_alert(alert_id, user_of(request), body.reason, end_ms)
        return Json(span.as_json())


def _split(values: list[str] | None) -> list[str]:
    return [part for value in values or [] for part in value.split(",") if part]


def _in(name: str, values: list[str] | None) -> bool:
    return values is None or name in _split(values)


def _show_rule(rule: Rule, series: list[Series]) -> dict[str, Any]:
    watched = [s for s in series if rule.select.matches(s)]
    averaging = format_duration(rule.averaging_ms) if rule.averaging_ms else None
    unit = next((s.unit for s in watched), "")
    return {
        "rule": rule.full_id, "kind": rule.kind, "name": rule.name.model_dump(),
        "severity": rule.severity.value, "enabled": rule.is_enabled,
        "verified": rule.legal.verified if rule.legal is not None else None,
        "demonstration": rule.demonstration, "quantity": list(rule.select.quantity),
        "limits": [
            {
                "value": limit.value, "comparison": limit.comparison,
                "severity": limit.severity.value, "unit": unit,
                "label": _label(rule.name, limit.value, unit, averaging),
            }
            for limit in rule.threshold_lines
        ],
        "averaging": averaging, "hold_ms": rule.hold, "legal": legal_json(rule),
        "series": [str(s.key) for s in watched],
    }  # fmt: skip


def _label(name: LocalText, value: float, unit: str, averaging: str | None) -> dict[str, str]:
    mean = {"vi": "trung bình", "en": "mean"}
    return {
        language: " ".join(
            f"{getattr(name, language)}: {shown_number(value, language)} {shown_unit(unit)}".split()
        )
        + (f" ({mean[language]} {averaging})" if averaging else "")
        for language in ("vi", "en")
    }
