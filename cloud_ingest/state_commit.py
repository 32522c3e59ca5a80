"""Saving the pipeline's state: inventory, ledgers, quarantine and events in one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from cloud_ingest.database import schema
from cloud_ingest.intake.work import GatewayEvent
from cloud_ingest.partition import Partition
from cloud_ingest.pipeline_dependencies import PipelineDependencies
from cloud_ingest.retry import Retry

LAST_SEEN_EVERY_MS = 30_000
"""How often the last-seen times of gateways and devices are saved."""


class StateCommit:
    """Saves what changed. Only the pipeline's thread calls it."""

    def __init__(
        self, shared: PipelineDependencies, partitions: Mapping[str, Partition], retry: Retry
    ) -> None:
        self._shared = shared
        self._partitions = partitions
        self._retry = retry
        self._last_seen_ms = 0

    def save(self, events: Sequence[GatewayEvent], now_ms: int) -> None:
        """Save if there is something to save; returns once it is committed. Raises Stopped."""
        last_seen = now_ms - self._last_seen_ms >= LAST_SEEN_EVERY_MS
        if last_seen:
            self._last_seen_ms = now_ms
        if events or last_seen or self._has_changes():
            self._retry.until_done(lambda: self.write(events, last_seen=last_seen), "database")

    def _has_changes(self) -> bool:
        shared = self._shared
        return (
            shared.inventory.has_changes()
            or shared.quarantine.has_changes()
            or any(p.ledger.has_changes() for p in self._partitions.values())
        )

    def write(self, events: Sequence[GatewayEvent] = (), *, last_seen: bool = False) -> None:
        """Write all changes in one transaction; raises what SQLAlchemy raises."""
        shared, ledgers = self._shared, [p.ledger for p in self._partitions.values()]
        with shared.database.engine.begin() as connection:
            shared.inventory.save(connection)
            for ledger in ledgers:
                ledger.save(connection)
            shared.quarantine.save(connection)
            if last_seen:
                shared.inventory.save_last_seen(connection)
            if events:
                connection.execute(sa.insert(schema.events), [_row(e) for e in events])
        shared.inventory.saved(last_seen=last_seen)
        for ledger in ledgers:
            ledger.saved()
        shared.quarantine.saved()


def _row(event: GatewayEvent) -> dict[str, Any]:
    return {
        "time_ms": event.time_ms, "kind": event.kind, "group_id": event.group,
        "gateway_id": event.gateway, "device": event.device, "message": event.message,
        "details": event.details,
    }  # fmt: skip
