"""Alerts in the database. Every function works inside the caller's transaction."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cloud_ingest.alerts import tables
from cloud_ingest.alerts.lifecycle import AlertChange, RecordedState
from cloud_ingest.alerts.model import OPEN, Alert, AlertNotFound, Entry

SHOWN_SPANS = 300
_COLUMNS = {f.name: tables.alerts.c[f.name].name for f in fields(Alert)}
"""The fields of an alert, and the names of their columns in the database."""


def alert_of(row: Mapping[Any, Any]) -> Alert:
    """An alert from its row."""
    return Alert(**{name: row[column] for name, column in _COLUMNS.items()})


def known(connection: Connection, rule: str, subject: str, start_ms: int) -> RecordedState:
    """What the records hold that matters for a run of ``rule`` at ``subject`` from ``start_ms``."""
    t = tables.alerts
    mine = (t.c.rule == rule) & (t.c.subject == subject)
    newest = sa.select(t).where(mine).order_by(t.c.start_ms.desc()).limit(1).with_for_update()
    last = _one(connection, newest)
    found = RecordedState()
    if last is None:
        return found
    if last.is_open:
        found.open = last
    else:
        found.open = _one(connection, sa.select(t).where(t.c.open_key == open_key(rule, subject)))
    found.last = None if last.is_open else last
    s = tables.spans
    if found.open is not None:
        since = sa.select(sa.func.max(s.c.start_ms)).where(
            (s.c.alert_id == found.open.id) & s.c.end_ms.is_(None)
        )
        found.open_since_ms = connection.execute(since).scalar()
    run = sa.select(s.c.id).where(
        (s.c.rule == rule) & (s.c.subject == subject) & (s.c.start_ms == start_ms)
    )
    found.run_known = connection.execute(run).first() is not None
    return found


def open_key(rule: str, subject: str) -> str:
    """What at most one open alert has."""
    return f"{rule}|{subject}"


def get(connection: Connection, alert_id: int, *, to_change: bool = False) -> Alert | None:
    """The alert with this number; ``to_change`` keeps others from changing it meanwhile."""
    query = sa.select(tables.alerts).where(tables.alerts.c.id == alert_id)
    return _one(connection, query.with_for_update() if to_change else query)


def existing(connection: Connection, alert_id: int, *, to_change: bool = False) -> Alert:
    """As ``get``; raises AlertNotFound if there is no such alert."""
    alert = get(connection, alert_id, to_change=to_change)
    if alert is None:
        raise AlertNotFound(f"there is no alert {alert_id}")
    return alert


def _one(connection: Connection, query: sa.Select[Any]) -> Alert | None:
    row = connection.execute(query).mappings().first()
    return alert_of(row) if row is not None else None


def all_open(connection: Connection, *, to_change: bool = False) -> list[Alert]:
    """Every alert that is not over; ``to_change`` keeps others from changing them meanwhile."""
    t = tables.alerts
    query = sa.select(t).where(t.c.state.in_(OPEN)).order_by(t.c.id)
    query = query.with_for_update() if to_change else query
    return [alert_of(row) for row in connection.execute(query).mappings()]


def overlapping(
    connection: Connection, rule: str, subject: str, start_ms: int, end_ms: int
) -> Alert | None:
    """An alert of the rule and subject whose time touches start_ms..end_ms."""
    t = tables.alerts
    query = (
        sa.select(t)
        .where(
            (t.c.rule == rule) & (t.c.subject == subject) & (t.c.start_ms <= end_ms)
            & (t.c.end_ms.is_(None) | (t.c.end_ms >= start_ms))
        )
        .limit(1)
    )  # fmt: skip
    return _one(connection, query)


def save(connection: Connection, outcome: AlertChange, now_ms: int) -> Alert | None:
    """Write an outcome down; gives the alert with its number (None where nothing is left of it)."""
    alert = outcome.alert
    if alert is None:
        return None
    if outcome.remove:
        connection.execute(sa.delete(tables.alerts).where(tables.alerts.c.id == alert.id))
        return None
    values = {name: getattr(alert, name) for name in _COLUMNS if name != "id"}
    values["name"], values["text"] = dict(alert.name), dict(alert.text)
    values["legal"] = dict(alert.legal) if alert.legal is not None else None
    values["open_key"] = open_key(alert.rule, alert.subject) if alert.is_open else None
    t = tables.alerts
    if alert.id:
        connection.execute(sa.update(t).where(t.c.id == alert.id).values(**values))
    else:
        key = connection.execute(sa.insert(t).values(**values)).inserted_primary_key
        assert key is not None
        alert.id = int(key[0])
    _save_spans(connection, alert, outcome)
    add_entries(connection, alert.id, outcome.entries, now_ms)
    return alert


def _save_spans(connection: Connection, alert: Alert, outcome: AlertChange) -> None:
    s = tables.spans
    if outcome.span_start_ms is not None:
        connection.execute(
            sa.insert(s).values(
                alert_id=alert.id, rule=alert.rule, subject=alert.subject,
                start_ms=outcome.span_start_ms, end_ms=outcome.span_end_ms,
            )
        )  # fmt: skip
    elif outcome.span_end_ms is not None:
        connection.execute(
            sa.update(s)
            .where((s.c.alert_id == alert.id) & s.c.end_ms.is_(None))
            .values(end_ms=outcome.span_end_ms)
        )


def add_entries(
    connection: Connection, alert_id: int, entries: Iterable[Entry], now_ms: int
) -> None:
    """Add to an alert's history."""
    rows = [
        {
            "alert_id": alert_id, "time_ms": e.time_ms, "recorded_ms": now_ms, "kind": e.kind,
            "by": e.by, "text": e.text, "value": e.value,
        }
        for e in entries
    ]  # fmt: skip
    if rows:
        connection.execute(sa.insert(tables.history), rows)


def spans_of(connection: Connection, ids: list[int]) -> dict[int, list[list[int | None]]]:
    """When each of these alerts was on: [start, end or None], the last few hundred, oldest first."""
    s = tables.spans
    found: dict[int, list[list[int | None]]] = {i: [] for i in ids}
    query = sa.select(s.c.alert_id, s.c.start_ms, s.c.end_ms).where(s.c.alert_id.in_(ids))
    for alert_id, start_ms, end_ms in connection.execute(query.order_by(s.c.start_ms)):
        found[alert_id].append([start_ms, end_ms])
    return {alert_id: spans[-SHOWN_SPANS:] for alert_id, spans in found.items()}


def history_of(connection: Connection, ids: list[int]) -> dict[int, list[Entry]]:
    """What happened to each of these alerts, in the order of recording."""
    h = tables.history
    found: dict[int, list[Entry]] = {i: [] for i in ids}
    query = sa.select(h).where(h.c.alert_id.in_(ids)).order_by(h.c.id)
    for row in connection.execute(query).mappings():
        entry = Entry(row["time_ms"], row["kind"], row["by"], row["text"], row["value"])
        found[row["alert_id"]].append(entry)
    return found


def shown(connection: Connection, alert: Alert, *, with_history: bool = False) -> dict[str, Any]:
    """An alert in its JSON form, with its spans."""
    spans = spans_of(connection, [alert.id])[alert.id]
    history = history_of(connection, [alert.id])[alert.id] if with_history else None
    return alert.as_json(spans, history)
