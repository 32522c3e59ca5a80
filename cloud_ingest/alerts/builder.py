"""Builds the alert that people read from a transition of a rule or a stale subject."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from alert_rules.rule import Rule, Severity
from cloud_ingest.alerts.evaluation.no_data_watch import StaleSubject
from cloud_ingest.alerts.evaluation.rule_state import RuleTransition
from cloud_ingest.alerts.lifecycle import ConditionChange, late_after_ms
from cloud_ingest.alerts.model import Alert, AlertState
from cloud_ingest.alerts.texts import fill
from cloud_ingest.detection.explain import explain

StationName = Callable[[str], str]


def condition_change(
    one: RuleTransition, now_ms: int, station_name: StationName
) -> ConditionChange:
    """The change that a rule's transition reports about its series."""
    change, series, rule = one.transition, one.series, one.rule
    age_ms = now_ms - change.time_ms
    return ConditionChange(
        change=change.change,
        fresh=_fresh(one, now_ms, station_name),
        start_ms=change.start_ms,
        time_ms=change.time_ms,
        refire_within_ms=rule.refire_within,
        retrospective=age_ms > late_after_ms(series.interval_ms),
    )


def _fresh(one: RuleTransition, now_ms: int, station_name: StationName) -> Alert:
    change, series, rule = one.transition, one.series, one.rule
    limits = rule.threshold_lines
    limit = nearest_limit(rule, change.level, change.value)
    severity = limits_severity(rule, change.level)
    values: dict[str, object] = {
        "station": station_name(series.station), "gateway": series.key.gateway,
        "device": series.key.device, "metric": series.key.metric, "subject": str(series.key),
        "quantity": series.quantity, "value": change.value, "unit": series.unit,
        "limit": limit, "peak": change.peak, "start": change.start_ms, "time": change.time_ms,
        "severity": severity, "expected": one.finding.expected if one.finding else None,
    }  # fmt: skip
    return Alert(
        rule=rule.full_id, kind=rule.kind, subject=str(series.key), scope="metric",
        severity=severity, state=AlertState.PENDING, start_ms=change.start_ms, updated_ms=now_ms,
        station=series.station, gateway=series.key.gateway, device=series.key.device,
        metric=series.key.metric, quantity=series.quantity, unit=series.unit,
        value=_number(change.value), peak=_number(change.peak), limit_value=limit,
        comparison=limits[0].comparison if limits else None,
        name=rule.name.model_dump(), text=_text(one, values), legal=legal_json(rule),
    )  # fmt: skip


def _text(one: RuleTransition, values: dict[str, object]) -> dict[str, str]:
    """The text of the rule, or the detector's explanation if an anomaly rule has no text."""
    if one.rule.text is None and one.finding is not None:
        explanation = explain(replace(one.series, station=str(values["station"])), one.finding)
        return {"vi": explanation.vi, "en": explanation.en}
    return fill(one.rule, "metric", values)


def no_data_alert(stale: StaleSubject, now_ms: int, station_name: StationName) -> Alert:
    """The alert about a stale subject."""
    rule, series, key = stale.rule, stale.series, stale.key
    station = series.station if series is not None else None
    is_metric = key.scope == "metric" and series is not None
    subject = key.subject.replace("#", " / ")
    values: dict[str, object] = {
        "station": station_name(station) if station is not None else None,
        "gateway": stale.gateway, "device": stale.device, "subject": subject,
        "start": stale.since_ms, "time": now_ms, "severity": rule.severity.value,
        "quantity": series.quantity if series is not None and is_metric else None,
    }  # fmt: skip
    return Alert(
        rule=rule.full_id, kind=rule.kind, subject=key.subject, scope=key.scope,
        severity=rule.severity.value, state=AlertState.FIRING, start_ms=stale.since_ms, updated_ms=now_ms,
        station=station, gateway=stale.gateway, device=stale.device,
        metric=series.key.metric if series is not None and is_metric else None,
        quantity=series.quantity if series is not None and is_metric else None,
        unit=series.unit if series is not None and is_metric else None,
        name=rule.name.model_dump(), text=fill(rule, key.scope, values), legal=legal_json(rule),
    )  # fmt: skip


def limits_severity(rule: Rule, level: int) -> str:
    """The severity of a rule at a level (1 is the mildest)."""
    thresholds = rule.thresholds
    severity = thresholds[level - 1].severity if level <= len(thresholds) else rule.severity
    return Severity(severity).value


def nearest_limit(rule: Rule, level: int, value: float) -> float | None:
    """The limit that ``value`` passed at a level; None for rules without limits."""
    thresholds = rule.thresholds
    if not thresholds:
        return None
    passed = thresholds[min(level, len(thresholds)) - 1]
    if passed.comparison in ("above", "below"):
        return float(passed.low)
    is_low = abs(value - passed.low) < abs(value - passed.high)
    return float(passed.low if is_low else passed.high)


def legal_json(rule: Rule) -> dict[str, Any] | None:
    """The legal basis as the API shows it."""
    return rule.legal.model_dump(mode="json") if rule.legal is not None else None


def _number(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
