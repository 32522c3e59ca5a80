"""Queues notifications in the transaction that changes the alert, so that none is lost."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from cloud_ingest.alerts import tables
from cloud_ingest.alerts.model import Alert
from cloud_ingest.notification.channels import Channel

RESOLVED_DELAY_MS = 60_000
"""The end of an alert is sent after this time if it has not fired again; a flapping one later."""
FLAPPING_RESOLVED_DELAY_MS = 600_000
_SENT_AT_ONCE = ("fired", "refired", "rose", "assigned")


class NotificationQueue:
    """Decides which channels receive an event of an alert, and queues it for them."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self.channels = list(channels)

    def add(self, connection: Connection, alert: Alert, event: str, now_ms: int) -> None:
        """Queue ``event`` of ``alert`` for its channels; an event that is queued already changes nothing."""
        if alert.retrospective or alert.silenced or alert.inhibited_by is not None:
            return
        rows = [
            row
            for channel in self.channels
            if channel.takes(alert.rule, alert.station or "", alert.severity)
            for row in _rows(channel, alert, event, now_ms)
        ]
        if rows:
            is_postgresql = connection.dialect.name == "postgresql"
            insert = postgresql.insert if is_postgresql else sqlite.insert
            once = insert(tables.notifications).on_conflict_do_nothing(index_elements=["key"])
            connection.execute(once, rows)


def _rows(channel: Channel, alert: Alert, event: str, now_ms: int) -> list[dict[str, Any]]:
    chosen = channel.configuration
    if chosen.escalate_after is not None:
        if event not in ("fired", "refired", "rose"):
            return []
        return [_row(channel, alert, "escalated", now_ms, now_ms + chosen.escalate_after)]
    if event in _SENT_AT_ONCE:
        return [_row(channel, alert, event, now_ms, now_ms)]
    if event == "resolved" and chosen.resolved:
        delay_ms = FLAPPING_RESOLVED_DELAY_MS if alert.flapping else RESOLVED_DELAY_MS
        return [_row(channel, alert, event, now_ms, now_ms + delay_ms)]
    return []


def _row(channel: Channel, alert: Alert, kind: str, now_ms: int, due_ms: int) -> dict[str, Any]:
    what = f"{alert.id}:{kind}:{alert.fires}:{alert.severity}"
    if kind == "assigned":
        what += f":{alert.assignee}:{now_ms}"
    return {
        "key": f"{what}:{channel.name}", "alert_id": alert.id, "channel": channel.name,
        "kind": kind, "severity": alert.severity, "station": alert.station,
        "created_ms": now_ms, "due_ms": max(due_ms, channel.not_before_ms(alert.severity, due_ms)),
        "attempts": 0, "state": "waiting",
    }  # fmt: skip
