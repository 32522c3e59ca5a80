"""What people do with alerts: find, acknowledge, comment, assign, resolve, silence. Thread-safe."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from cloud_ingest.alerts import lifecycle, records, tables
from cloud_ingest.alerts.cap import cap_document
from cloud_ingest.alerts.lifecycle import Outcome
from cloud_ingest.alerts.model import (
    OPEN,
    Alert,
    AlertConflict,
    AlertEvent,
    AlertNotFound,
    Entry,
)
from cloud_ingest.alerts.silences import Silences, SilenceSpan, span_of
from cloud_ingest.database import Database
from cloud_ingest.notification.channel_test import try_channel
from cloud_ingest.notification.queue import NotificationQueue
from cloud_ingest.quality import MarkedSpan
from telemetry.clock import utc_now_ms

_MARKED_MS = 30 * 86_400_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts are asked for; empty fields match all. ``since_ms`` spares open alerts."""

    states: Sequence[str] = ()
    stations: Sequence[str] = ()
    rules: Sequence[str] = ()
    gateways: Sequence[str] = ()
    series: Sequence[str] = ()
    severities: Sequence[str] = ()
    quantities: Sequence[str] = ()
    since_ms: int | None = None
    until_ms: int | None = None


class AlertDesk:
    """The door for people. Every change is recorded with who made it."""

    def __init__(
        self,
        database: Database,
        queue: NotificationQueue,
        silences: Silences,
        tell: Callable[[AlertEvent], None],
    ) -> None:
        self._database = database
        self._queue = queue
        self._silences = silences
        self._tell = tell

    def find(
        self, wanted: AlertFilter, limit: int = 100, cursor: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Alerts, the newest first, with spans and history; and where the next page begins."""
        t = tables.alerts
        query = sa.select(t).order_by(t.c.start_ms.desc(), t.c.id.desc()).limit(limit + 1)
        query = query.where(*_conditions(wanted))
        if cursor is not None:
            start_ms, alert_id = _decode(cursor)
            query = query.where(
                (t.c.start_ms < start_ms) | ((t.c.start_ms == start_ms) & (t.c.id < alert_id))
            )
        with self._database.engine.connect().execution_options(read_only=True) as connection:
            alerts = [records.alert_of(row) for row in connection.execute(query).mappings()]
            more = len(alerts) > limit
            alerts = alerts[:limit]
            ids = [a.id for a in alerts]
            spans = records.spans_of(connection, ids)
            history = records.history_of(connection, ids)
        items = [a.as_json(spans[a.id], history[a.id]) for a in alerts]
        return items, _encode(alerts[-1]) if more else None

    def get(self, alert_id: int) -> dict[str, Any]:
        """One alert with spans and history; raises AlertNotFound."""
        with self._database.engine.connect().execution_options(read_only=True) as connection:
            return records.shown(connection, _existing(connection, alert_id), with_history=True)

    def alert(self, alert_id: int) -> Alert:
        """One alert; raises AlertNotFound."""
        with self._database.engine.connect().execution_options(read_only=True) as connection:
            return _existing(connection, alert_id)

    def cap(self, alert_id: int) -> bytes:
        """One alert as a CAP 1.2 document; raises AlertNotFound."""
        with self._database.engine.connect().execution_options(read_only=True) as connection:
            alert = _existing(connection, alert_id)
            return cap_document(alert, records.history_of(connection, [alert_id])[alert_id])

    def acknowledge(self, alert_id: int, by: str, note: str | None = None) -> dict[str, Any]:
        """Note that somebody has seen it. Raises AlertConflict where it is not firing."""

        def change(alert: Alert, now_ms: int) -> Outcome:
            if alert.state == "acknowledged":
                return Outcome(alert)
            if alert.state != "firing":
                raise AlertConflict(f"alert {alert_id} is {alert.state}, not firing")
            return lifecycle.acknowledge(alert, by, note, now_ms)

        return self._change(alert_id, change)

    def comment(self, alert_id: int, by: str, text: str) -> dict[str, Any]:
        """Add a remark."""
        return self._change(
            alert_id,
            lambda alert, now_ms: Outcome(
                replace(alert, updated_ms=now_ms),
                [Entry(now_ms, "commented", by, text)],
                "commented",
            ),
        )

    def assign(self, alert_id: int, by: str, to: str | None) -> dict[str, Any]:
        """Say whose it is (None: nobody's)."""
        return self._change(
            alert_id,
            lambda alert, now_ms: Outcome(
                replace(alert, assignee=to, updated_ms=now_ms),
                [Entry(now_ms, "assigned", by, to)],
                "assigned",
            ),
        )

    def resolve(self, alert_id: int, by: str, note: str | None = None) -> dict[str, Any]:
        """End it by hand. Raises AlertConflict where it is not firing or acknowledged."""

        def change(alert: Alert, now_ms: int) -> Outcome:
            if alert.state == "resolved":
                return Outcome(alert)
            if alert.state == "pending":
                raise AlertConflict(f"alert {alert_id} is pending and has not fired")
            return lifecycle.resolve_by_hand(alert, by, note, now_ms)

        return self._change(alert_id, change)

    def _change(self, alert_id: int, change: Callable[[Alert, int], Outcome]) -> dict[str, Any]:
        now_ms = utc_now_ms()
        with self._database.engine.begin() as connection:
            outcome = change(_existing(connection, alert_id, to_change=True), now_ms)
            if outcome.event is not None:
                alert = records.save(connection, outcome, now_ms)
                assert alert is not None
                self._queue.add(connection, alert, outcome.event, now_ms)
                if not alert.is_open:
                    end_with_alert(connection, alert.id, now_ms)
            shown = records.shown(connection, _existing(connection, alert_id), with_history=True)
        if outcome.event is not None:
            self._silences.change()  # an end may have ended some
            without = {k: v for k, v in shown.items() if k != "history"}
            self._tell(AlertEvent(outcome.event, without))
        return shown

    def silence(self, span: SilenceSpan) -> SilenceSpan:
        """Keep the alerts that ``span`` matches quiet; gives it with its number."""
        values = {k: v for k, v in span.as_json().items() if k != "id"}
        with self._database.engine.begin() as connection:
            key = connection.execute(
                sa.insert(tables.silences).values(**values)
            ).inserted_primary_key
            assert key is not None
            made = replace(span, id=int(key[0]))
            self._mark_silenced(connection, made)
        self._silences.change()
        return made

    def silence_alert(self, alert_id: int, by: str, reason: str, end_ms: int | None) -> SilenceSpan:
        """Keep one alert quiet until ``end_ms``, or until it is resolved."""
        now_ms = utc_now_ms()
        alert = self.alert(alert_id)
        until = alert_id if end_ms is None else None
        return self.silence(
            SilenceSpan(
                0, "silence", alert.rule, alert.station, alert.gateway, alert.device, alert.metric,
                now_ms, end_ms, until, reason, by, now_ms, None,
            )
        )  # fmt: skip

    def _mark_silenced(self, connection: Connection, span: SilenceSpan) -> None:
        now_ms = span.created_ms
        for alert in records.all_open(connection, to_change=True):
            if span.covers(alert, now_ms) and not alert.silenced:
                entry = Entry(now_ms, "silenced", span.created_by, span.reason)
                changed = replace(alert, silenced=True, updated_ms=now_ms)
                records.save(connection, Outcome(changed, [entry]), now_ms)

    def end_silence(self, silence_id: int, by: str) -> SilenceSpan:
        """End a silence now; raises AlertNotFound."""
        now_ms = utc_now_ms()
        t = tables.silences
        with self._database.engine.begin() as connection:
            row = connection.execute(sa.select(t).where(t.c.id == silence_id)).mappings().first()
            if row is None:
                raise AlertNotFound(f"there is no silence {silence_id}")
            span = span_of(row)
            if span.end_ms is None or span.end_ms > now_ms:
                span = replace(span, end_ms=now_ms, ended_by=by)
                connection.execute(
                    sa.update(t).where(t.c.id == silence_id).values(end_ms=now_ms, ended_by=by)
                )
        self._silences.change()
        return span

    def silences(self, *, now_ms: int | None = None) -> list[SilenceSpan]:
        """All silences, or those that are not over at ``now_ms``; the newest first."""
        t = tables.silences
        query = sa.select(t).order_by(t.c.id.desc())
        if now_ms is not None:
            query = query.where(t.c.end_ms.is_(None) | (t.c.end_ms > now_ms))
        with self._database.engine.connect().execution_options(read_only=True) as connection:
            return [span_of(row) for row in connection.execute(query).mappings()]

    def marked_spans(self) -> list[MarkedSpan]:
        """Maintenance and calibration of the last thirty days and to come, for quality control."""
        since_ms = utc_now_ms() - _MARKED_MS
        return [
            MarkedSpan(s.station, s.gateway, s.device, s.metric, s.start_ms, s.end_ms)
            for s in self.silences(now_ms=since_ms)
            if s.kind != "silence"
        ]

    def deliveries(self, alert_id: int) -> list[dict[str, Any]]:
        """What was sent about an alert, to whom, and whether it arrived."""
        t = tables.notifications
        query = sa.select(t).where(t.c.alert_id == alert_id).order_by(t.c.id)
        with self._database.engine.connect().execution_options(read_only=True) as connection:
            return [
                {
                    "channel": row["channel"], "kind": row["kind"], "state": row["state"],
                    "created_ms": row["created_ms"], "sent_ms": row["sent_ms"],
                    "attempts": row["attempts"], "error": row["error"],
                }
                for row in connection.execute(query).mappings()
            ]  # fmt: skip

    def channels(self) -> list[dict[str, Any]]:
        """Who is told of which alerts, without the addresses (they may hold passwords)."""
        return [channel.as_json() for channel in self._queue.channels]

    def try_channel(self, name: str, by: str) -> dict[str, Any]:
        """Send a test message through a channel now; raises AlertNotFound. May take 15 s."""
        channel = next((c for c in self._queue.channels if c.name == name), None)
        if channel is None:
            raise AlertNotFound(f"there is no notification channel {name}")
        trial = try_channel(channel)
        log.info("a channel was tried", channel=name, by=by, ok=trial.ok, reason=trial.detail)
        return trial.as_json()


def end_with_alert(connection: Connection, alert_id: int, now_ms: int) -> None:
    """End the silences that were to last until this alert is resolved."""
    t = tables.silences
    connection.execute(
        sa.update(t)
        .where((t.c.until_resolved == alert_id) & t.c.end_ms.is_(None))
        .values(end_ms=now_ms)
    )


def _existing(connection: Connection, alert_id: int, *, to_change: bool = False) -> Alert:
    alert = records.get(connection, alert_id, to_change=to_change)
    if alert is None:
        raise AlertNotFound(f"there is no alert {alert_id}")
    return alert


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


def _encode(alert: Alert) -> str:
    return base64.urlsafe_b64encode(json.dumps([alert.start_ms, alert.id]).encode()).decode()


def _decode(cursor: str) -> tuple[int, int]:
    try:
        start_ms, alert_id = json.loads(base64.urlsafe_b64decode(cursor))
        return int(start_ms), int(alert_id)
    except (ValueError, TypeError) as error:
        raise AlertConflict("the cursor is not one that a list gave") from error
