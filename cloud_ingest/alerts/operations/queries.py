"""Reads alerts, silences and deliveries. Thread-safe; changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cloud_ingest.alerts import records, tables
from cloud_ingest.alerts.model import OPEN
from cloud_ingest.alerts.operations.cap import cap_document
from cloud_ingest.alerts.silences import Silence, silence_of
from cloud_ingest.database import Database
from cloud_ingest.database.cursor import decode_cursor, encode_cursor
from cloud_ingest.notification.queue import NotificationQueue
from cloud_ingest.quality import MarkedSpan
from telemetry.time.clock import utc_now_ms

_MARKED_MS = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Selects alerts. Empty fields match all; ``since_ms`` never hides an open alert."""

    states: Sequence[str] = ()
    stations: Sequence[str] = ()
    rules: Sequence[str] = ()
    gateways: Sequence[str] = ()
    series: Sequence[str] = ()
    severities: Sequence[str] = ()
    quantities: Sequence[str] = ()
    since_ms: int | None = None
    until_ms: int | None = None


class AlertQueries:
    """Read access to alerts, silences, deliveries and channels."""

    def __init__(self, database: Database, queue: NotificationQueue) -> None:
        self._database = database
        self._queue = queue

    def _connect(self) -> Connection:
        return self._database.engine.connect().execution_options(read_only=True)

    def find(
        self, wanted: AlertFilter, limit: int = 100, cursor: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Alerts with spans and history, the newest first, and the cursor of the next page."""
        t = tables.alerts
        query = sa.select(t).order_by(t.c.start_ms.desc(), t.c.id.desc()).limit(limit + 1)
        query = query.where(*_conditions(wanted))
        if cursor is not None:
            start_ms, alert_id = decode_cursor(cursor, int, 2)
            query = query.where(
                (t.c.start_ms < start_ms) | ((t.c.start_ms == start_ms) & (t.c.id < alert_id))
            )
        with self._connect() as connection:
            alerts = [records.alert_of(row) for row in connection.execute(query).mappings()]
            more = len(alerts) > limit
            alerts = alerts[:limit]
            ids = [a.id for a in alerts]
            spans = records.spans_of(connection, ids)
            history = records.history_of(connection, ids)
        items = [a.as_json(spans[a.id], history[a.id]) for a in alerts]
        return items, encode_cursor(alerts[-1].start_ms, alerts[-1].id) if more else None

    def get(self, alert_id: int) -> dict[str, Any]:
        """One alert with spans and history. Raises AlertNotFound."""
        with self._connect() as connection:
            alert = records.existing(connection, alert_id)
            return records.shown(connection, alert, with_history=True)

    def cap(self, alert_id: int) -> bytes:
        """One alert as a CAP 1.2 document. Raises AlertNotFound."""
        with self._connect() as connection:
            alert = records.existing(connection, alert_id)
            return cap_document(alert, records.history_of(connection, [alert_id])[alert_id])

    def silences(self, *, now_ms: int | None = None) -> list[Silence]:
        """All silences, or those that have not ended at ``now_ms``; the newest first."""
        t = tables.silences
        query = sa.select(t).order_by(t.c.id.desc())
        if now_ms is not None:
            query = query.where(t.c.end_ms.is_(None) | (t.c.end_ms > now_ms))
        with self._connect() as connection:
            return [silence_of(row) for row in connection.execute(query).mappings()]

    def marked_spans(self) -> list[MarkedSpan]:
        """Maintenance and calibration since thirty days ago, also future ones, for quality control."""
        since_ms = utc_now_ms() - _MARKED_MS
        return [
            MarkedSpan(s.station, s.gateway, s.device, s.metric, s.start_ms, s.end_ms)
            for s in self.silences(now_ms=since_ms)
            if s.kind != "silence"
        ]

    def deliveries(self, alert_id: int) -> list[dict[str, Any]]:
        """The notifications about an alert: channel, kind, state, times and error."""
        t = tables.notifications
        query = sa.select(t).where(t.c.alert_id == alert_id).order_by(t.c.id)
        with self._connect() as connection:
            return [
                {
                    "channel": row["channel"], "kind": row["kind"], "state": row["state"],
                    "created_ms": row["created_ms"], "sent_ms": row["sent_ms"],
                    "attempts": row["attempts"], "error": row["error"],
                }
                for row in connection.execute(query).mappings()
            ]  # fmt: skip

    def channels(self) -> list[dict[str, Any]]:
        """The notification channels without their addresses, which may hold passwords."""
        return [channel.as_json() for channel in self._queue.channels]


def _conditions(wanted: AlertFilter) -> list[sa.ColumnElement[bool]]:
    t = tables.alerts
    states = {s for s in wanted.states if s != "open"}
    if "open" in wanted.states:
        states |= set(OPEN)
    found: list[sa.ColumnElement[bool]] = []
    for column, values in (
        (t.c.state, sorted(states)), (t.c.station, wanted.stations), (t.c.rule, wanted.rules),
        (t.c.gateway, wanted.gateways), (t.c.subject, wanted.series),
        (t.c.severity, wanted.severities), (t.c.quantity, wanted.quantities),
    ):  # fmt: skip
        if values:
            found.append(column.in_(values))
    if wanted.since_ms is not None:
        found.append(t.c.end_ms.is_(None) | (t.c.end_ms >= wanted.since_ms))
    if wanted.until_ms is not None:
        found.append(t.c.start_ms < wanted.until_ms)
    return found
