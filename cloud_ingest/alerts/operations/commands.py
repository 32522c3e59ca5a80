"""What people do with alerts: acknowledge, comment, assign, resolve, silence. Thread-safe."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from cloud_ingest.alerts import records, tables
from cloud_ingest.alerts.actions import Action, act
from cloud_ingest.alerts.lifecycle import AlertChange
from cloud_ingest.alerts.model import Alert, AlertEvent, AlertNotFound, Entry
from cloud_ingest.alerts.silences import Silence, Silences, end_with_alert, silence_of
from cloud_ingest.database import Database
from cloud_ingest.notification.channel_test import try_channel
from cloud_ingest.notification.queue import NotificationQueue
from telemetry.time.clock import utc_now_ms

_log = structlog.get_logger()


class AlertCommands:
    """Changes that people make. Every change is recorded with the name of who made it."""

    def __init__(
        self,
        database: Database,
        queue: NotificationQueue,
        silences: Silences,
        publish: Callable[[AlertEvent], None],
    ) -> None:
        self._database = database
        self._queue = queue
        self._silences = silences
        self._publish = publish

    def acknowledge(self, alert_id: int, by: str, note: str | None = None) -> dict[str, Any]:
        """Record that somebody has seen it. Raises AlertConflict if it is not firing."""
        return self._act(alert_id, Action.ACKNOWLEDGE, by, note)

    def comment(self, alert_id: int, by: str, text: str) -> dict[str, Any]:
        """Add a comment to the history."""
        return self._change(
            alert_id,
            lambda alert, now_ms: AlertChange(
                replace(alert, updated_ms=now_ms),
                [Entry(now_ms, "commented", by, text)],
                "commented",
            ),
        )

    def assign(self, alert_id: int, by: str, to: str | None) -> dict[str, Any]:
        """Set who is in charge of it (None: nobody)."""
        return self._change(
            alert_id,
            lambda alert, now_ms: AlertChange(
                replace(alert, assignee=to, updated_ms=now_ms),
                [Entry(now_ms, "assigned", by, to)],
                "assigned",
            ),
        )

    def resolve(self, alert_id: int, by: str, note: str | None = None) -> dict[str, Any]:
        """End it by hand. Raises AlertConflict if it is pending."""
        return self._act(alert_id, Action.RESOLVE, by, note)

    def _act(self, alert_id: int, action: Action, by: str, note: str | None) -> dict[str, Any]:
        return self._change(alert_id, lambda alert, now_ms: act(alert, action, now_ms, by, note))

    def _change(self, alert_id: int, change: Callable[[Alert, int], AlertChange]) -> dict[str, Any]:
        now_ms = utc_now_ms()
        with self._database.engine.begin() as connection:
            changed = change(records.existing(connection, alert_id, to_change=True), now_ms)
            if changed.event is not None:
                alert = records.save(connection, changed, now_ms)
                assert alert is not None
                self._queue.add(connection, alert, changed.event, now_ms)
                if not alert.is_open:
                    end_with_alert(connection, alert.id, now_ms)
            alert = records.existing(connection, alert_id)
            shown = records.shown(connection, alert, with_history=True)
        if changed.event is not None:
            self._silences.change()  # an alert that ended may have ended a silence
            without = {k: v for k, v in shown.items() if k != "history"}
            self._publish(AlertEvent(changed.event, without))
        return shown

    def silence(self, silence: Silence) -> Silence:
        """Silence every alert that ``silence`` matches. Returns it with its number."""
        values = {k: v for k, v in silence.as_json().items() if k != "id"}
        with self._database.engine.begin() as connection:
            key = connection.execute(
                sa.insert(tables.silences).values(**values)
            ).inserted_primary_key
            assert key is not None
            made = replace(silence, id=int(key[0]))
            self._mark_silenced(connection, made)
        self._silences.change()
        return made

    def silence_alert(self, alert_id: int, by: str, reason: str, end_ms: int | None) -> Silence:
        """Silence one alert until ``end_ms``, or until it is resolved. Raises AlertNotFound."""
        now_ms = utc_now_ms()
        with self._database.engine.connect().execution_options(read_only=True) as connection:
            alert = records.existing(connection, alert_id)
        until_resolved = alert_id if end_ms is None else None
        return self.silence(
            Silence(
                0, "silence", alert.rule, alert.station, alert.gateway, alert.device, alert.metric,
                now_ms, end_ms, until_resolved, reason, by, now_ms, None,
            )
        )  # fmt: skip

    def _mark_silenced(self, connection: Connection, silence: Silence) -> None:
        now_ms = silence.created_ms
        for alert in records.all_open(connection, to_change=True):
            if silence.covers(alert, now_ms) and not alert.silenced:
                entry = Entry(now_ms, "silenced", silence.created_by, silence.reason)
                changed = replace(alert, silenced=True, updated_ms=now_ms)
                records.save(connection, AlertChange(changed, [entry]), now_ms)

    def end_silence(self, silence_id: int, by: str) -> Silence:
        """End a silence now. Raises AlertNotFound."""
        now_ms = utc_now_ms()
        t = tables.silences
        with self._database.engine.begin() as connection:
            row = connection.execute(sa.select(t).where(t.c.id == silence_id)).mappings().first()
            if row is None:
                raise AlertNotFound(f"there is no silence {silence_id}")
            silence = silence_of(row)
            if silence.end_ms is None or silence.end_ms > now_ms:
                silence = replace(silence, end_ms=now_ms, ended_by=by)
                connection.execute(
                    sa.update(t).where(t.c.id == silence_id).values(end_ms=now_ms, ended_by=by)
                )
        self._silences.change()
        return silence

    def try_channel(self, name: str, by: str) -> dict[str, Any]:
        """Send a test message through a channel now; may take 15 s. Raises AlertNotFound."""
        channel = next((c for c in self._queue.channels if c.name == name), None)
        if channel is None:
            raise AlertNotFound(f"there is no notification channel {name}")
        result = try_channel(channel)
        _log.info("channel_tested", channel=name, by=by, ok=result.ok, problem=result.detail)
        return result.as_json()
