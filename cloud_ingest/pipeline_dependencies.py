"""What the pipeline needs: the shared parts, and the protocols of those that partitions own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cloud_ingest.alerts.model import AlertEvent
from cloud_ingest.database import Database
from cloud_ingest.intake.mqtt.inbox import Inbox
from cloud_ingest.intake.quarantine import Quarantine
from cloud_ingest.inventory.inventory import Inventory
from cloud_ingest.live import LiveUpdates
from cloud_ingest.stores.protocol import SampleStore
from telemetry.batches import SampleBatch
from telemetry.series import Series


class Quality(Protocol):
    """Quality control as the pipeline uses it (cloud_ingest.quality.QualityControl)."""

    def register(self, series: Sequence[Series]) -> None:
        """Add series, or update known ones."""

    def flag(self, batch: SampleBatch, now_ms: int) -> SampleBatch:
        """The same samples with their quality flags."""

    def take_corrections(self) -> SampleBatch:
        """Earlier samples whose flag became worse."""


class Alerts(Protocol):
    """Rules and detectors as the pipeline uses them (cloud_ingest.alerts.AlertService)."""

    def register(self, series: Sequence[Series]) -> None:
        """Add series, or update known ones."""

    def process(self, batch: SampleBatch, now_ms: int) -> Sequence[AlertEvent]:
        """Evaluate the rules over stored samples."""

    def tick(self, now_ms: int) -> Sequence[AlertEvent]:
        """Evaluate what depends on time alone."""

    def set_online(self, gateway: str, device: str | None, online: bool, now_ms: int) -> None:
        """Note that a gateway or device went online or offline."""

    def set_broker_online(self, online: bool, now_ms: int) -> None:
        """Note that the broker went online or offline."""


class CommandLink(Protocol):
    """Sends commands to gateways."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Send one command."""

    def publish_all(self, commands: Sequence[tuple[str, bytes]]) -> None:
        """Send several commands, each a topic and a payload."""


@dataclass(slots=True)
class PipelineCounters:
    """Counters of the pipeline since the start."""

    batches: int = 0
    samples: int = 0
    rejected: int = 0
    store_failures: int = 0
    rule_failures: int = 0
    acknowledgements: int = 0
    last_commit_ms: int = 0


@dataclass(frozen=True, slots=True)
class PipelineDependencies:
    """What all partitions share."""

    inbox: Inbox
    inventory: Inventory
    quarantine: Quarantine
    store: SampleStore
    database: Database
    live: LiveUpdates
    link: CommandLink
    counters: PipelineCounters = field(default_factory=PipelineCounters)
