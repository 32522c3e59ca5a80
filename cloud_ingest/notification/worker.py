"""Sends the queued notifications: grouped by station, rate-limited, with retries."""

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
from cloud_ingest.notification.channels import Channel
from cloud_ingest.notification.notifier import NotifierError
from cloud_ingest.notification.rendering import compose
from telemetry.time.clock import utc_now_ms

POLL_S = 0.25
PAUSE_S = 5.0
"""The pause after a failure of the database or of the worker itself."""
FIRST_RETRY_MS = 5_000
LONGEST_RETRY_MS = 900_000
GIVE_UP_MS = 86_400_000
_BATCH = 500

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class QueuedNotification:
    """One row of the queue with its alert. ``fires``: the alert's count when it was queued."""

    id: int
    kind: str
    created_ms: int
    attempts: int
    fires: int
    alert: Alert


@dataclass(frozen=True, slots=True)
class _Attempt:
    """The result of sending one message, until it is in the database. ``error`` None: sent."""

    channel: str
    items: Sequence[QueuedNotification]
    time_ms: int
    error: str | None


class NotificationWorker:
    """Sends the queue in a thread of its own.

    Every notification is sent at least once: if the process dies between sending and recording, it
    is sent again. A failed statement does not repeat a message: the result is kept in memory and
    recorded before the queue is read again.

    No exception ends the thread. It is logged and counted in ``failures``, ``problem`` names it until
    a round succeeds, and the worker continues after ``PAUSE_S``.
    """

    def __init__(
        self, database: Database, channels: Sequence[Channel], clock: Callable[[], int] = utc_now_ms
    ) -> None:
        self.failures = 0
        self._database = database
        self._channels = {c.name: c for c in channels}
        self._clock = clock
        self._sent_ms: dict[str, deque[int]] = defaultdict(deque)
        self._unrecorded: list[_Attempt] = []
        self._problem = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; without channels there is nothing to send and no thread."""
        if self._channels:
            self._thread = threading.Thread(target=self._run, name="notification", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Finish the current message and end the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    @property
    def problem(self) -> str:
        """Why notifications are not being sent at present; empty if they are."""
        if self._thread is not None and not self._thread.is_alive() and not self._stop.is_set():
            return "the notification worker is not running"
        return self._problem

    def _run(self) -> None:
        while not self._stop.wait(POLL_S):
            try:
                self.work()
            except sa.exc.SQLAlchemyError as error:
                if not self._problem:
                    _log.warning("notification_queue_unavailable", problem=str(error))
                self._problem = f"the queue cannot be read or written: {error}"
                self._stop.wait(PAUSE_S)
            except Exception as error:  # noqa: BLE001  # a defect must not end the thread
                self._count_failure(error)
                self._stop.wait(PAUSE_S)
            else:
                if self._problem:
                    _log.info("notification_worker_recovered")
                self._problem = ""

    def _count_failure(self, error: Exception) -> None:
        self.failures += 1
        self._problem = f"{type(error).__name__}: {error}"
        _log.error("notification_worker_failed", problem=self._problem, exc_info=error)

    def work(self) -> int:
        """Send everything that is due. Returns the number of messages that were sent."""
        self._record_attempts()
        sent = 0
        for name, items in self._due(self._clock()).items():
            channel = self._channels.get(name)
            if channel is None:
                self._drop(items, "this channel is no longer configured")
            else:
                sent += self._send_channel(channel, items)
        return sent

    def _due(self, now_ms: int) -> dict[str, list[QueuedNotification]]:
        """The due notifications by channel. Those that have become needless are dropped."""
        n = tables.notifications
        query = (
            sa.select(n)
            .where((n.c.state == "waiting") & (n.c.due_ms <= now_ms))
            .order_by(n.c.due_ms, n.c.id)
            .limit(_BATCH)
        )
        due: dict[str, list[QueuedNotification]] = defaultdict(list)
        needless: dict[str, list[QueuedNotification]] = defaultdict(list)
        with self._database.engine.connect().execution_options(read_only=True) as connection:
            rows = connection.execute(query).mappings().all()
            alerts = _alerts(connection, {row["alert_id"] for row in rows})
            for row in rows:
                fires = int(row["key"].split(":")[2])
                item = QueuedNotification(
                    row["id"], row["kind"], row["created_ms"], row["attempts"], fires,
                    alerts[row["alert_id"]],
                )  # fmt: skip
                reason = reason_to_drop(item, _last_sent(connection, row))
                if reason is None and _was_escalated(connection, row):
                    reason = "this channel was already told that nobody acknowledged it"
                if reason is None:
                    due[row["channel"]].append(item)
                else:
                    needless[reason].append(item)
        for reason, items in needless.items():
            self._drop(items, reason)
        return due

    def _send_channel(self, channel: Channel, items: list[QueuedNotification]) -> int:
        groups: dict[str | None, list[QueuedNotification]] = defaultdict(list)
        for item in items:
            groups[item.alert.station].append(item)
        free = self._free(channel)
        if free <= 0:
            return 0
        if len(groups) > free:  # more messages than the limit allows: send one with everything
            groups = {None: items}
        return sum(self._send(channel, group) for group in groups.values())

    def _free(self, channel: Channel) -> int:
        """How many more messages the channel may send in the current minute."""
        recent, now_ms = self._sent_ms[channel.name], self._clock()
        while recent and recent[0] <= now_ms - 60_000:
            recent.popleft()
        return channel.configuration.per_minute - len(recent)

    def _send(self, channel: Channel, items: list[QueuedNotification]) -> int:
        title, body, severity = compose(
            [(item.kind, item.alert) for item in items], channel.configuration.language
        )
        self._sent_ms[channel.name].append(self._clock())
        error: str | None = None
        try:
            channel.notifier.send(title, body, severity)
        except NotifierError as refused:
            error = str(refused)
            _log.warning("notification_not_sent", channel=channel.name, problem=error)
        except Exception as defect:  # noqa: BLE001  # one notifier must not stop the others
            self._count_failure(defect)
            error = self._problem
        self._unrecorded.append(_Attempt(channel.name, items, self._clock(), error))
        self._record_attempts()
        return int(error is None)

    def _record_attempts(self) -> None:
        while self._unrecorded:
            attempt = self._unrecorded[0]
            with self._database.engine.begin() as connection:
                for item in attempt.items:
                    _record(connection, attempt, item)
            del self._unrecorded[0]

    def _drop(self, items: Sequence[QueuedNotification], reason: str) -> None:
        n = tables.notifications
        dropped = sa.update(n).where(n.c.id.in_([item.id for item in items]))
        with self._database.engine.begin() as connection:
            connection.execute(dropped.values(state="dropped", error=reason))


def _record(connection: Connection, attempt: _Attempt, item: QueuedNotification) -> None:
    """Write the result of one attempt into the queue and the alert's history."""
    attempts, now_ms, error = item.attempts + 1, attempt.time_ms, attempt.error
    values: dict[str, Any] = {"attempts": attempts, "error": error}
    entry: Entry | None = None
    if error is None:
        values |= {"state": "sent", "sent_ms": now_ms}
        entry = Entry(now_ms, "notified", None, f"{attempt.channel}: {item.kind}")
    elif now_ms - item.created_ms > GIVE_UP_MS:
        values |= {"state": "failed"}
        entry = Entry(now_ms, "notification_failed", None, f"{attempt.channel}: {error}")
    else:
        values |= {"due_ms": now_ms + retry_after_ms(attempts, random.random())}
    n = tables.notifications
    connection.execute(sa.update(n).where(n.c.id == item.id).values(**values))
    if entry is not None:
        records.add_entries(connection, item.alert.id, [entry], now_ms)


def _last_sent(connection: Connection, row: Any) -> str | None:
    """The kind of the last notification about the alert that the row's channel sent."""
    n = tables.notifications
    query = (
        sa.select(n.c.kind)
        .where(
            (n.c.channel == row["channel"]) & (n.c.alert_id == row["alert_id"])
            & (n.c.state == "sent")
        )
        .order_by(n.c.sent_ms.desc(), n.c.id.desc())
        .limit(1)
    )  # fmt: skip
    return connection.execute(query).scalar()


def _was_escalated(connection: Connection, row: Any) -> bool:
    """Whether the channel has already sent an escalation of the alert at this severity."""
    if row["kind"] != "escalated":
        return False
    n = tables.notifications
    query = sa.select(n.c.id).where(
        (n.c.channel == row["channel"]) & (n.c.alert_id == row["alert_id"])
        & (n.c.kind == "escalated") & (n.c.severity == row["severity"]) & (n.c.state == "sent")
    )  # fmt: skip
    return connection.execute(query.limit(1)).first() is not None


def reason_to_drop(item: QueuedNotification, last_sent: str | None) -> str | None:
    """Why the notification is needless by now; None: send it.

    ``last_sent`` is the kind of the last notification that the channel sent about the alert.
    """
    alert = item.alert
    if alert.silenced or alert.inhibited_by is not None:
        return "silenced meanwhile"
    if item.kind == "resolved":
        if alert.is_open or alert.fires != item.fires:
            return "on again before its end was sent"
        return None if last_sent not in (None, "resolved") else "its beginning was never sent"
    if item.kind == "escalated":
        return None if alert.state == "firing" else f"{alert.state} in time"
    if item.kind == "refired" and last_sent not in (None, "resolved"):
        return "its end was never sent"
    return None


def retry_after_ms(attempts: int, chance: float) -> int:
    """The delay after a number of failures: doubling up to a limit, plus up to a quarter at random."""
    wait = min(FIRST_RETRY_MS * 2 ** (attempts - 1), LONGEST_RETRY_MS)
    return int(wait * (1 + chance / 4))


def _alerts(connection: Connection, ids: set[int]) -> dict[int, Alert]:
    t = tables.alerts
    query = sa.select(t).where(t.c.id.in_(ids))
    return {row["id"]: records.alert_of(row) for row in connection.execute(query).mappings()}
