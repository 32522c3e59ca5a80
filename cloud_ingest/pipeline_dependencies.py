"""What a batch meets on its way through the pipeline, and what the pipeline asks of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cloud_ingest.alerts.model import AlertEvent
from cloud_ingest.database import Database
from cloud_ingest.intake.ledger.ledger import Ledger
from cloud_ingest.intake.mqtt.inbox import Inbox
from cloud_ingest.intake.quarantine import Quarantine
from cloud_ingest.intake.receiver import Receiver
from cloud_ingest.inventory.inventory import Inventory
from cloud_ingest.live import LiveUpdates
from cloud_ingest.stores.protocol import SampleStore
from telemetry.batches import SampleBatch
from telemetry.series import Series


class Quality(Protocol):
    """What the pipeline asks of quality control (cloud_ingest.quality.QualityControl)."""

    def register(self, series: Sequence[Series]) -> None:
        """Make series known, or what changed of them."""

    def flag(self, batch: SampleBatch, now_ms: int) -> SampleBatch:
        """The same samples with their flags."""

    def take_corrections(self) -> SampleBatch:
        """Earlier samples whose flag got worse."""


class Alerts(Protocol):
    """What the pipeline asks of the rules (cloud_ingest.alerts.AlertService)."""

    def register(self, series: Sequence[Series]) -> None:
        """Make series known, or what changed of them."""

    def process(self, batch: SampleBatch, now_ms: int) -> Sequence[AlertEvent]:
        """Judge stored samples."""

    def tick(self, now_ms: int) -> Sequence[AlertEvent]:
        """Judge the passing of time."""

    def set_online(self, gateway: str, device: str | None, online: bool, now_ms: int) -> None:
        """A gateway or device came or went."""

    def set_broker_online(self, online: bool, now_ms: int) -> None:
        """The broker came or went."""


class CommandLink(Protocol):
    """Where commands to gateways go out."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Send one."""

    def publish_all(self, commands: Sequence[tuple[str, bytes]]) -> None:
        """Send several: topic and payload of each."""


@dataclass(slots=True)
class Counters:
    """What went through since the start."""

    batches: int = 0
    samples: int = 0
    rejected: int = 0
    store_failures: int = 0
    rule_failures: int = 0
    acknowledgements: int = 0
    last_commit_ms: int = 0


@dataclass(frozen=True, slots=True)
class PipelineDependencies:
    """Everything that a batch meets on its way."""

    inbox: Inbox
    receiver: Receiver
    inventory: Inventory
    ledger: Ledger
    quarantine: Quarantine
    quality: Quality
    store: SampleStore
    alerts: Alerts
    database: Database
    live: LiveUpdates
    link: CommandLink
