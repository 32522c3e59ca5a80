"""What the message handlers share: inventory, sessions, limits, and the work gathered so far."""

from dataclasses import dataclass, field
from typing import Any, Literal

from cloud_ingest.intake.configuration import IntakeConfiguration
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.quarantine import Quarantined
from cloud_ingest.intake.series_limiter import SeriesLimiter
from cloud_ingest.intake.sparkplug.batch_decoder import AliasTable
from cloud_ingest.intake.sparkplug.sessions import NodeSession
from cloud_ingest.intake.work import GatewayCount, OutboxBounds, Work
from cloud_ingest.inventory.inventory import Inventory
from telemetry.sparkplug import names

_GATEWAY_FIELDS = {
    names.STORE_BACKLOG: "backlog",
    names.STORE_OLDEST_TIME: "backlog_oldest_ms",
    names.STORE_MEASURED: "samples_measured",
    names.STORE_GIVEN_UP: "samples_given_up",
    names.STORE_NEXT: "next_batch",
}

_COUNTERS: dict[str, Literal["measured", "given_up"]] = {
    names.STORE_MEASURED: "measured",
    names.STORE_GIVEN_UP: "given_up",
}


@dataclass(slots=True)
class Context:
    """One for each receiver; only the pipeline's thread uses it."""

    inventory: Inventory
    limits: IntakeConfiguration
    series_limiter: SeriesLimiter
    aliases: AliasTable = field(default_factory=AliasTable)
    sessions: dict[str, NodeSession] = field(default_factory=dict)
    last_seen: dict[tuple[str, str | None], int] = field(default_factory=dict)
    acknowledging: set[str] = field(default_factory=set)
    work: Work = field(default_factory=Work)

    def quarantine(self, item: Quarantined) -> None:
        """Put an item into quarantine."""
        self.work.quarantined.append(item)

    def refuse(self, message: MqttMessage, gateway: str | None, reason: str) -> None:
        """Put a whole message into quarantine."""
        self.quarantine(
            Quarantined(message.time_ms, message.topic, gateway, reason, message.payload)
        )

    def note_node(self, gateway: str, name: str, value: Any, now_ms: int) -> None:
        """Handle a metric by which a gateway describes its outbox or the counters of its buses."""
        field_name = _GATEWAY_FIELDS.get(name)
        if field_name is not None:
            number = int(value) if isinstance(value, (int, float)) else None
            if number is not None and name in _COUNTERS:
                self._count(gateway, name, number, now_ms)
            self.inventory.update_gateway(gateway, **{field_name: number})
        elif name == names.STORE_OLDEST and isinstance(value, int):
            self.work.entries.append(OutboxBounds(gateway, value, None))
        elif name.startswith(names.DIAGNOSTICS) and isinstance(value, (int, float)):
            device, _, counter = name.removeprefix(names.DIAGNOSTICS).rpartition("/")
            self.inventory.count_diagnostic(gateway, device, counter, int(value))

    def _count(self, gateway: str, name: str, total: int, now_ms: int) -> None:
        known = self.inventory.gateway(gateway)
        before = getattr(known, _GATEWAY_FIELDS[name], None) or 0
        more = total - before if total >= before else total  # a new outbox counts from 0
        if more:
            self.work.entries.append(GatewayCount(gateway, _COUNTERS[name], more, now_ms))
