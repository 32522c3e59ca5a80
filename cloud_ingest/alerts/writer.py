"""Writes changes of alerts with their notifications, in one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import Connection

from cloud_ingest.alerts import lifecycle, records
from cloud_ingest.alerts.lifecycle import AlertChange, ConditionChange
from cloud_ingest.alerts.model import Alert, AlertEvent
from cloud_ingest.alerts.silences import Silences, end_with_alert
from cloud_ingest.database import Database
from cloud_ingest.notification.queue import NotificationQueue


class AlertWriter:
    """Opens the transactions of the rules' thread and keeps the events of those that were committed."""

    def __init__(self, database: Database, queue: NotificationQueue, silences: Silences) -> None:
        self._database = database
        self._queue = queue
        self._silences = silences
        self._events: list[AlertEvent] = []

    @contextmanager
    def transaction(self, now_ms: int) -> Iterator["AlertTransaction"]:
        """A transaction. Its events are published only if it is committed."""
        with self._database.engine.begin() as connection:
            self._silences.refresh(connection, now_ms)
            transaction = AlertTransaction(connection, self._queue, self._silences, now_ms)
            yield transaction
        self._events += transaction.events

    def take_events(self) -> list[AlertEvent]:
        """The events of committed transactions, each once."""
        events, self._events = self._events, []
        return events


class AlertTransaction:
    """One open transaction. ``connection`` may be used to read within it."""

    def __init__(
        self, connection: Connection, queue: NotificationQueue, silences: Silences, now_ms: int
    ) -> None:
        self.connection = connection
        self.now_ms = now_ms
        self.events: list[AlertEvent] = []
        self._queue = queue
        self._silences = silences

    def apply(self, change: ConditionChange) -> Alert | None:
        """Write what a rule's report changes. Returns the alert, None if nothing is left of it."""
        fresh = change.fresh
        recorded = records.recorded_state(
            self.connection, fresh.rule, fresh.subject, change.start_ms
        )
        return self.write(lifecycle.apply(recorded, change, self.now_ms))

    def write(self, change: AlertChange) -> Alert | None:
        """Write a change, queue its notifications and note its event."""
        if change.alert is None:
            return None
        if change.event is not None and not change.remove:
            change.alert.silenced = self._silences.covers(change.alert, self.now_ms)
        alert = records.save(self.connection, change, self.now_ms)
        if change.event is None:
            return alert
        if alert is None:
            self.events.append(AlertEvent(change.event, change.alert.as_json()))
            return None
        if change.event == "resolved" and end_with_alert(self.connection, alert.id, self.now_ms):
            self._silences.change()
        self._queue.add(self.connection, alert, change.event, self.now_ms)
        self.events.append(AlertEvent(change.event, records.shown(self.connection, alert)))
        return alert
