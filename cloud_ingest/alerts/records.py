"""Alerts in the database. Every function works within the caller's transaction."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cloud_ingest.alerts import tables
from cloud_ingest.alerts.lifecycle import AlertChange, RecordedState
from cloud_ingest.alerts.model import OPEN, Alert, AlertNotFound, AlertState, Entry

SHOWN_SPANS = 300
"""An alert is shown with at most this many of its last spans."""
_COLUMNS = {f.name: tables.alerts.c[f.name].name for f in fields(Alert)}
"""The fields of an alert, and the names of their columns in the database."""


def alert_of(row: Mapping[Any, Any]) -> Alert:
    """An alert from its row."""
    alert = Alert(**{name: row[column] for name, column in _COLUMNS.items()})
    alert.state = AlertState(alert.state)
    return alert


def recorded_state(connection: Connection, rule: str, subject: str, start_ms: int) -> RecordedState:
    """What is recorded about ``rule`` at ``subject`` that matters for a span from ``start_ms``.

    Locks the newest alert until the transaction ends.
    """
    t = tables.alerts
    mine = (t.c.rule == rule) & (t.c.subject == subject)
    newest = sa.select(t).where(mine).order_by(t.c.start_ms.desc()).limit(1).with_for_update()
    last = _one(connection, newest)
    if last is None:
        return RecordedState()
    open_alert: Alert | None = last
    if not last.is_open:
        open_alert = _one(connection, sa.select(t).where(t.c.open_key == open_key(rule, subject)))
    s = tables.spans
    open_since_ms: int | None = None
    if open_alert is not None:
        since = sa.select(sa.func.max(s.c.start_ms)).where(
            (s.c.alert_id == open_alert.id) & s.c.end_ms.is_(None)
        )
        open_since_ms = connection.execute(since).scalar()
    span = sa.select(s.c.id).where(
        (s.c.rule == rule) & (s.c.subject == subject) & (s.c.start_ms == start_ms)
    )
    return RecordedState(
        open_alert, None if last.is_open else last, open_since_ms,
        connection.execute(span).first() is not None,
    )  # fmt: skip


def open_key(rule: str, subject: str) -> str:
    """The key that at most one open alert has."""
    return f"{rule}|{subject}"


def get(connection: Connection, alert_id: int, *, to_change: bool = False) -> Alert | None:
    """The alert with this number; ``to_change`` locks it until the transaction ends."""
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
    """Every alert that is not resolved; ``to_change`` locks them until the transaction ends."""
    t = tables.alerts
    query = sa.select(t).where(t.c.state.in_([state.value for state in OPEN])).order_by(t.c.id)
    query = query.with_for_update() if to_change else query
    return [alert_of(row) for row in connection.execute(query).mappings()]


def overlapping(
    connection: Connection, rule: str, subject: str, start_ms: int, end_ms: int
) -> Alert | None:
    """An alert of the rule and subject that overlaps start_ms..end_ms."""
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


def save(connection: Connection, change: AlertChange, now_ms: int) -> Alert | None:
    """Write a change. Returns the alert with its number, None if it was removed or nothing changed."""
    alert = change.alert
    if alert is None:
        return None
    t = tables.alerts
    if change.remove:
        connection.execute(sa.delete(t).where(t.c.id == alert.id))
        return None
    values = {name: getattr(alert, name) for name in _COLUMNS if name != "id"} | {
        "state": alert.state.value,
        "name": dict(alert.name),
        "text": dict(alert.text),
        "legal": dict(alert.legal) if alert.legal is not None else None,
        "open_key": open_key(alert.rule, alert.subject) if alert.is_open else None,
    }
    if alert.id:
        connection.execute(sa.update(t).where(t.c.id == alert.id).values(**values))
    else:
        key = connection.execute(sa.insert(t).values(**values)).inserted_primary_key
        assert key is not None
        alert.id = int(key[0])
    _save_spans(connection, alert, change)
    add_entries(connection, alert.id, change.entries, now_ms)
    return alert


def _save_spans(connection: Connection, alert: Alert, change: AlertChange) -> None:
    s = tables.spans
    if change.span_start_ms is not None:
        connection.execute(
            sa.insert(s).values(
                alert_id=alert.id, rule=alert.rule, subject=alert.subject,
                start_ms=change.span_start_ms, end_ms=change.span_end_ms,
            )
        )  # fmt: skip
    elif change.span_end_ms is not None:
        connection.execute(
            sa.update(s)
            .where((s.c.alert_id == alert.id) & s.c.end_ms.is_(None))
            .values(end_ms=change.span_end_ms)
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
    """The spans of each alert as [start, end or None], the oldest first."""
    s = tables.spans
    found: dict[int, list[list[int | None]]] = {i: [] for i in ids}
    query = sa.select(s.c.alert_id, s.c.start_ms, s.c.end_ms).where(s.c.alert_id.in_(ids))
    for alert_id, start_ms, end_ms in connection.execute(query.order_by(s.c.start_ms)):
        found[alert_id].append([start_ms, end_ms])
    return {alert_id: spans[-SHOWN_SPANS:] for alert_id, spans in found.items()}


def history_of(connection: Connection, ids: list[int]) -> dict[int, list[Entry]]:
    """The history of each alert, in the order of recording."""
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
