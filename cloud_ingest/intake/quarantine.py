"""Quarantine: messages and samples that were refused, kept with the reason and counted."""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from cloud_ingest.database import Database
from cloud_ingest.database.schema import quarantine

_log = structlog.get_logger()

BURST_MS = 60_000
KEPT_PER_BURST = 20
KEPT_BYTES = 65_536
KEPT_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A refused message or some refused samples, and the reason.

    ``form`` message: ``payload`` is the MQTT payload; samples: it is JSON with the samples.
    """

    time_ms: int
    topic: str
    gateway: str | None
    reason: str
    payload: bytes
    form: Literal["message", "samples"] = "message"
    count: int = 1


@dataclass(slots=True)
class _Burst:
    began_ms: int
    kept: int = 0
    uncounted: int = 0
    row: int | None = None


class Quarantine:
    """Collects refused items and writes them in the pipeline's transaction.

    A burst is what one gateway sends within BURST_MS for the same reason. Its first KEPT_PER_BURST
    items are kept with their payload and one log line is written; the rest is only counted.

    An item that is replayed is hidden at once, and deleted in the transaction after which its samples
    are stored. If the service dies before that, the item is there again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bursts: dict[tuple[str, str], _Burst] = {}
        self._unsaved: list[tuple[Quarantined, _Burst]] = []
        self._rows = 0
        self._replaying: set[int] = set()
        self._replayed: list[int] = []
        self._lock = threading.Lock()
        self._totals: Counter[str] = Counter()

    def load(self) -> None:
        """Read the counts from the database."""
        statement = sa.select(quarantine.c.reason, sa.func.sum(quarantine.c.count)).group_by(
            quarantine.c.reason
        )
        with self._database.engine.connect().execution_options(read_only=True) as connection:
            for reason, count in connection.execute(statement):
                self._totals[reason] = int(count)
            rows = connection.execute(sa.select(sa.func.count()).select_from(quarantine))
            self._rows = int(rows.scalar_one())

    def put(self, item: Quarantined) -> None:
        """Add an item; of a burst only the first items are kept with their payload."""
        with self._lock:
            self._totals[item.reason] += item.count
        key = (item.gateway or item.topic.split("/")[0], item.reason)
        burst = self._bursts.get(key)
        if burst is None or item.time_ms - burst.began_ms > BURST_MS:
            burst = self._bursts[key] = _Burst(item.time_ms)
            _log.warning(
                "message_quarantined", topic=item.topic, gateway=item.gateway, reason=item.reason,
                size=len(item.payload),
            )  # fmt: skip
        if burst.kept < KEPT_PER_BURST:
            burst.kept += 1
            self._unsaved.append((item, burst))
        else:
            burst.uncounted += item.count

    def begin_replay(self, item: int) -> bool:
        """Hide a row that is about to be replayed; False if it is being replayed already."""
        with self._lock:
            if item in self._replaying:
                return False
            self._replaying.add(item)
            return True

    def cancel_replay(self, item: int) -> None:
        """Show a row again: its message could not be queued."""
        with self._lock:
            self._replaying.discard(item)

    def replaying(self) -> frozenset[int]:
        """The rows whose messages are queued and not committed yet."""
        with self._lock:
            return frozenset(self._replaying)

    def note_replayed(self, items: Iterable[int]) -> None:
        """Delete these rows with the next save: their samples are in the store."""
        self._replayed.extend(items)

    def summary(self) -> dict[str, int]:
        """Counts by reason."""
        with self._lock:
            return dict(self._totals)

    def has_changes(self) -> bool:
        """Whether anything is unsaved."""
        return bool(self._unsaved or self._replayed) or any(
            b.uncounted for b in self._bursts.values()
        )

    def save(self, connection: Connection) -> None:
        """Write what is unsaved. Call ``saved`` after the commit."""
        for item, burst in self._unsaved:
            row = {
                "time_ms": item.time_ms, "topic": item.topic[:2000].replace("\x00", "\ufffd"),
                "gateway_id": item.gateway, "reason": item.reason.replace("\x00", "\ufffd"), "size": len(item.payload),
                "count": item.count, "form": item.form, "payload": item.payload[:KEPT_BYTES],
            }  # fmt: skip
            result = connection.execute(sa.insert(quarantine).values(row))
            key = result.inserted_primary_key
            burst.row = int(key[0]) if key else None
        for burst in self._bursts.values():
            if burst.uncounted and burst.row is not None:
                statement = sa.update(quarantine).where(quarantine.c.id == burst.row)
                connection.execute(statement.values(count=quarantine.c.count + burst.uncounted))
        if (
            self._replayed
        ):  # after the new rows, so that none of them gets the number of a deleted one
            connection.execute(sa.delete(quarantine).where(quarantine.c.id.in_(self._replayed)))
        if self._rows + len(self._unsaved) > KEPT_ROWS + KEPT_ROWS // 10:
            self._forget_oldest(connection)

    def _forget_oldest(self, connection: Connection) -> None:
        newest = sa.select(quarantine.c.id).order_by(quarantine.c.id.desc())
        limit = connection.execute(newest.offset(KEPT_ROWS).limit(1)).scalar()
        if limit is not None:
            connection.execute(sa.delete(quarantine).where(quarantine.c.id <= limit))

    def saved(self) -> None:
        """Note that the last save is committed."""
        self._rows = min(self._rows + len(self._unsaved), KEPT_ROWS + KEPT_ROWS // 10)
        self._unsaved.clear()
        with self._lock:
            self._replaying.difference_update(self._replayed)
        self._replayed.clear()
        for burst in self._bursts.values():
            burst.uncounted = 0

    def forget_bursts(self, now_ms: int) -> None:
        """Forget bursts that ended long ago."""
        for key in [k for k, b in self._bursts.items() if now_ms - b.began_ms > 2 * BURST_MS]:
            if not self._bursts[key].uncounted:
                del self._bursts[key]
