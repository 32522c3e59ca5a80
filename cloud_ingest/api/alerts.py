"""Alerts, silences and the rules behind them (contract C4)."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from alert_rules.schema import LocalText, Rule
from cloud_ingest.alerts import AlertConflict, AlertNotFound, AlertService
from cloud_ingest.alerts.builder import legal_json
from cloud_ingest.alerts.cap import cap_document
from cloud_ingest.alerts.desk import AlertFilter
from cloud_ingest.alerts.model import AlertError
from cloud_ingest.alerts.silencing import SilenceKind, SilenceSpan
from cloud_ingest.alerts.texts import shown_number, shown_unit
from cloud_ingest.api.paging import DEFAULT_LIMIT, Cursor, Limit, page
from cloud_ingest.api.problems import Problem
from telemetry.durations import format_duration
from telemetry.series import Series

OFFICER = "officer"
USER_HEADER = "X-Quantrac-User"
"""Who acts, percent-encoded; said by the client, not proved, until there are accounts."""
LONGEST_NAME = 80
ResultT = TypeVar("ResultT")
Several = Annotated[list[str] | None, Query(description="Repeated or comma separated: any of.")]
Moment = Annotated[str | None, Query(description="ISO 8601 (UTC unless it says so) or ms.")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Note(_Body):
    """A remark that goes with a step."""

    note: Annotated[str | None, Field(max_length=4000)] = None


class Comment(_Body):
    """A remark."""

    text: Annotated[str, Field(min_length=1, max_length=4000)]


class Assignment(_Body):
    """Whose the alert is; null: nobody's."""

    to: Annotated[str | None, Field(max_length=200)]


class AlertSilence(_Body):
    """For how long one alert notifies nobody, and why; without an end, until it is resolved."""

    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    end: str | int | None = None


class NewSilence(_Body):
    """A silence over everything that its fields match. ``end`` null: until it is ended."""

    kind: SilenceKind = "silence"
    rule: str | None = None
    station: str | None = None
    gateway: str | None = None
    device: str | None = None
    metric: str | None = None
    start: str | int | None = None
    end: str | int | None = None
    reason: Annotated[str, Field(min_length=1, max_length=1000)]


def router(alerts: AlertService) -> APIRouter:
    """The endpoints over one alert service."""
    api = APIRouter(tags=["alerts"])
    _add_lists(api, alerts)
    _add_steps(api, alerts)
    _add_silences(api, alerts)

    @api.get("/rules")
    def list_rules(
        series: Several = None, station: Several = None, quantity: Several = None,
        limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Which limits apply to which series, for the lines in charts; with their legal basis."""
        chosen = [
            s
            for s in alerts.series
            if _in(str(s.key), series) and _in(s.station, station) and _in(s.quantity, quantity)
        ]
        narrowed = any(f is not None for f in (series, station, quantity))
        items = [_show_rule(r, chosen) for r in alerts.rules]
        items = [i for i in items if i["series"] or not narrowed]
        return page(items, lambda i: i["rule"], limit, cursor)

    return api


def _add_lists(api: APIRouter, alerts: AlertService) -> None:
    @api.get("/alerts")
    def list_alerts(
        state: Several = None, station: Several = None, rule: Several = None,
        gateway: Several = None, series: Several = None, severity: Several = None,
        quantity: Several = None, since: Moment = None, until: Moment = None,
        limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Alerts with their history, the newest first. Open ones are there whatever ``since`` says."""
        wanted = AlertFilter(
            _split(state), _split(station), _split(rule), _split(gateway), _split(series),
            _split(severity), _split(quantity), moment_ms(since, "since"), moment_ms(until, "until"),
        )  # fmt: skip
        items, following = _answer(lambda: alerts.desk.find(wanted, limit, cursor))
        return {"items": items, "next": following}

    @api.get("/alerts/{alert_id}")
    def get_alert(alert_id: int) -> dict[str, Any]:
        """One alert with its history and what was sent about it."""
        found = _answer(lambda: alerts.desk.get(alert_id))
        return found | {"deliveries": alerts.desk.deliveries(alert_id)}

    @api.get("/alerts/{alert_id}/cap", response_class=Response)
    def get_cap(alert_id: int) -> Response:
        """The alert as a CAP 1.2 document."""
        alert = _answer(lambda: alerts.desk.alert(alert_id))
        return Response(cap_document(alert), media_type="application/cap+xml")


def _add_steps(api: APIRouter, alerts: AlertService) -> None:
    @api.post("/alerts/{alert_id}/acknowledge")
    def acknowledge(alert_id: int, request: Request, body: Note | None = None) -> dict[str, Any]:
        """Note that somebody has seen it."""
        note = body.note if body else None
        return _answer(lambda: alerts.desk.acknowledge(alert_id, _user(request), note))

    @api.post("/alerts/{alert_id}/comment")
    def comment(alert_id: int, request: Request, body: Comment) -> dict[str, Any]:
        """Add a remark to its history."""
        return _answer(lambda: alerts.desk.comment(alert_id, _user(request), body.text))

    @api.post("/alerts/{alert_id}/assign")
    def assign(alert_id: int, request: Request, body: Assignment) -> dict[str, Any]:
        """Say whose it is."""
        return _answer(lambda: alerts.desk.assign(alert_id, _user(request), body.to))

    @api.post("/alerts/{alert_id}/resolve")
    def resolve(alert_id: int, request: Request, body: Note | None = None) -> dict[str, Any]:
        """End it by hand."""
        note = body.note if body else None
        return _answer(lambda: alerts.desk.resolve(alert_id, _user(request), note))

    @api.post("/alerts/{alert_id}/silence")
    def silence_alert(alert_id: int, request: Request, body: AlertSilence) -> dict[str, Any]:
        """Keep it quiet for a time, or until it is resolved."""
        end_ms = moment_ms(body.end, "end")
        return _answer(
            lambda: alerts.desk.silence_alert(alert_id, _user(request), body.reason, end_ms)
        ).as_json()


def _add_silences(api: APIRouter, alerts: AlertService) -> None:
    @api.get("/silences")
    def list_silences(
        active: bool = False, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> dict[str, Any]:
        """Silences and maintenance, the newest first; with ``active`` those that are not over."""
        found = alerts.desk.silences(now_ms=_now_ms() if active else None)
        return page(found, lambda s: f"{10**15 - s.id:015d}", limit, cursor, SilenceSpan.as_json)

    @api.post("/silences", status_code=201)
    def add_silence(request: Request, body: NewSilence) -> dict[str, Any]:
        """Begin a silence, a maintenance or a calibration."""
        now_ms = _now_ms()
        start_ms = moment_ms(body.start, "start")
        end_ms = moment_ms(body.end, "end")
        start_ms = now_ms if start_ms is None else start_ms
        if end_ms is not None and end_ms <= start_ms:
            raise Problem(422, "The request is not valid", "end must be later than start")
        span = SilenceSpan(
            0, body.kind, body.rule, body.station, body.gateway, body.device, body.metric,
            start_ms, end_ms, None, body.reason, _user(request), now_ms, None,
        )  # fmt: skip
        return alerts.desk.silence(span).as_json()

    @api.delete("/silences/{silence_id}")
    def end_silence(silence_id: int, request: Request) -> dict[str, Any]:
        """End a silence now; its record stays."""
        return _answer(lambda: alerts.desk.end_silence(silence_id, _user(request))).as_json()


def _answer(call: Callable[[], ResultT]) -> ResultT:
    try:
        return call()
    except AlertNotFound as error:
        raise Problem(404, "Not found", error.detail) from error
    except AlertConflict as error:
        raise Problem(409, "Not possible now", error.detail) from error
    except AlertError as error:
        raise Problem(400, "Not possible", error.detail) from error


def _user(request: Request) -> str:
    said = unquote(request.headers.get(USER_HEADER, "")).strip()[:LONGEST_NAME]
    return str(getattr(request.state, "user", None) or said or OFFICER)


def _split(values: list[str] | None) -> list[str]:
    return [part for value in values or [] for part in value.split(",") if part]


def _in(name: str, values: list[str] | None) -> bool:
    return values is None or name in _split(values)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def moment_ms(given: str | int | None, field: str) -> int | None:
    """A moment from a query or body: ISO 8601 or milliseconds; Problem 422 for anything else."""
    if given is None or isinstance(given, int):
        return given
    text = given.strip().replace(" ", "+")  # a plus sign that was not escaped in a query
    if text.lstrip("-").isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        detail = f"{field}: write a time as 2026-11-23T08:00:00+07:00 or in milliseconds"
        raise Problem(422, "The request is not valid", detail) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


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
            for limit in rule.limits
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
