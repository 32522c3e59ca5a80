"""Sends what is queued: grouped by station, rate-limited, again after failures."""

import random
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from cloud_ingest.alerts import records, tables
from cloud_ingest.alerts.model import Alert, Entry
from cloud_ingest.database import Database
from cloud_ingest.notification.channels import Channel, NotifierError
from cloud_ingest.notification.rendering import compose
from telemetry.clock import utc_now_ms

POLL_S = 0.25
FIRST_RETRY_MS = 5_000
LONGEST_RETRY_MS = 900_000
GIVE_UP_MS = 86_400_000
_BATCH = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the queue with its alert."""

    id: int
    kind: str
    created_ms: int
    attempts: int
    fires: int
    alert: Alert


class NotificationWorker:
    """Works the queue off in a thread of its own. At least once: a crash while sending sends again."""

    def __init__(
        self, database: Database, channels: Sequence[Channel],
        clock: Callable[[], int] = utc_now_ms,
    ) -> None:  # fmt: skip
        self._database = database
        self._channels = {c.name: c for c in channels}
        self._clock = clock
        self._sent_ms: dict[str, deque[int]] = defaultdict(deque)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to send."""
        if self._channels:
            self._thread = threading.Thread(target=self._run, name="notification", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Finish the message under way and end."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.wait(POLL_S):
            try:
                self.work()
            except sa.exc.SQLAlchemyError as error:
                log.warning("the notification queue cannot be read", reason=str(error))
                self._stop.wait(5)

    def work(self) -> int:
        """Send everything that is due; gives how many messages went out."""
        now_ms = self._clock()
        due = self._due(now_ms)
        sent = 0
        for name, items in due.items():
            channel = self._channels.get(name)
            if channel is None:
                self._finish(items, "dropped", "this channel is no longer configured")
            else:
                sent += self._send_channel(channel, items)
        return sent

    def _due(self, now_ms: int) -> dict[str, list[Item]]:
        n = tables.notifications
        query = (
            sa.select(n)
            .where((n.c.state == "waiting") & (n.c.due_ms <= now_ms))
            .order_by(n.c.due_ms, n.c.id)
            .limit(_BATCH)
        )
        found: dict[str, list[Item]] = defaultdict(list)
        with self._database.engine.connect().execution_options(read_only=True) as connection:
            rows = connection.execute(query).mappings().all()
            alerts = _alerts(connection, {row["alert_id"] for row in rows})
            for row in rows:
                alert = alerts[row["alert_id"]]
                told = self._last_told(connection, row["channel"], row["alert_id"])
                fires = int(row["key"].split(":")[2])
                item = Item(
                    row["id"], row["kind"], row["created_ms"], row["attempts"], fires, alert
                )
                reason = needless(item, told)
                if reason is None and self._was_escalated(connection, row):
                    reason = "told before that nobody acknowledged it"
                found[row["channel"] if reason is None else f"\0{reason}"].append(item)
        for key in [k for k in found if k.startswith("\0")]:
            self._finish(found.pop(key), "dropped", key[1:])
        return found

    def _last_told(self, connection: Connection, channel: str, alert_id: int) -> str | None:
        n = tables.notifications
        query = (
            sa.select(n.c.kind)
            .where((n.c.channel == channel) & (n.c.alert_id == alert_id) & (n.c.state == "sent"))
            .order_by(n.c.sent_ms.desc(), n.c.id.desc())
            .limit(1)
        )
        return connection.execute(query).scalar()

    def _was_escalated(self, connection: Connection, row: Any) -> bool:
        """Whether the channel has heard already that nobody acknowledged it, at this severity."""
        if row["kind"] != "escalated":
            return False
        n = tables.notifications
        query = sa.select(n.c.id).where(
            (n.c.channel == row["channel"]) & (n.c.alert_id == row["alert_id"])
            & (n.c.kind == "escalated") & (n.c.severity == row["severity"]) & (n.c.state == "sent")
        )  # fmt: skip
        return connection.execute(query.limit(1)).first() is not None

    def _send_channel(self, channel: Channel, items: list[Item]) -> int:
        groups: dict[str | None, list[Item]] = defaultdict(list)
        for item in items:
            groups[item.alert.station].append(item)
        free = self._free(channel)
        if free <= 0:
            return 0
        if len(groups) > free:  # all that waits goes into one message rather than none
            groups = {None: items}
        return sum(self._send(channel, group) for group in groups.values())

    def _free(self, channel: Channel) -> int:
        """How many messages the channel may still have in this minute."""
        recent, now_ms = self._sent_ms[channel.name], self._clock()
        while recent and recent[0] <= now_ms - 60_000:
            recent.popleft()
        return channel.configuration.per_minute - len(recent)

    def _send(self, channel: Channel, items: list[Item]) -> int:
        news = [(item.kind, item.alert) for item in items]
        title, body, severity = compose(news, channel.configuration.language)
        self._sent_ms[channel.name].append(self._clock())
        try:
            channel.notifier.send(title, body, severity)
        except NotifierError as error:
            self._postpone(channel, items, str(error))
            return 0
        self._finish(items, "sent", None, channel.name)
        return 1

    def _postpone(self, channel: Channel, items: list[Item], reason: str) -> None:
        now_ms = self._clock()
        n = tables.notifications
        log.warning("a notification could not be sent", channel=channel.name, reason=reason)
        with self._database.engine.begin() as connection:
            for item in items:
                attempts = item.attempts + 1
                over = now_ms - item.created_ms > GIVE_UP_MS
                values = {
                    "attempts": attempts, "error": reason, "state": "failed" if over else "waiting",
                    "due_ms": now_ms + retry_after_ms(attempts, random.random()),
                }  # fmt: skip
                connection.execute(sa.update(n).where(n.c.id == item.id).values(**values))
                if over:
                    entry = Entry(now_ms, "notification_failed", None, f"{channel.name}: {reason}")
                    records.add_entries(connection, item.alert.id, [entry], now_ms)

    def _finish(
        self, items: list[Item], state: str, reason: str | None, channel: str | None = None
    ) -> None:
        now_ms = self._clock()
        n = tables.notifications
        with self._database.engine.begin() as connection:
            for item in items:
                values = {
                    "state": state, "error": reason, "attempts": item.attempts + (state == "sent"),
                    "sent_ms": now_ms if state == "sent" else None,
                }  # fmt: skip
                connection.execute(sa.update(n).where(n.c.id == item.id).values(**values))
                if state == "sent":
                    entry = Entry(now_ms, "notified", None, f"{channel}: {item.kind}")
                    records.add_entries(connection, item.alert.id, [entry], now_ms)


def needless(item: Item, last_told: str | None) -> str | None:
    """Why this need not be sent any more; None: send it. ``last_told`` is the channel's last news."""
    alert = item.alert
    if alert.silenced or alert.inhibited_by is not None:
        return "silenced meanwhile"
    if item.kind == "resolved":
        if alert.is_open or alert.fires != item.fires:
            return "on again before its end was told"
        return None if last_told not in (None, "resolved") else "its beginning was never told"
    if item.kind == "escalated":
        return None if alert.state == "firing" else f"{alert.state} in time"
    if item.kind == "refired" and last_told not in (None, "resolved"):
        return "its end was never told"
    return None


def retry_after_ms(attempts: int, chance: float) -> int:
    """How long to wait after so many failures: doubling, with up to a quarter by chance."""
    wait = min(FIRST_RETRY_MS * 2 ** (attempts - 1), LONGEST_RETRY_MS)
    return int(wait * (1 + chance / 4))


def _alerts(connection: Connection, ids: set[int]) -> dict[int, Alert]:
    t = tables.alerts
    query = sa.select(t).where(t.c.id.in_(ids))
    return {row["id"]: records.alert_of(row) for row in connection.execute(query).mappings()}
