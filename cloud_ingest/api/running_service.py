"""The parts of the running service that the API uses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cloud_ingest.configuration import CloudConfiguration
from cloud_ingest.database import Database
from cloud_ingest.intake.ledger.ledger import Ledger
from cloud_ingest.intake.mqtt.host_link import LinkState
from cloud_ingest.intake.mqtt.inbox import Inbox
from cloud_ingest.intake.quarantine import Quarantine
from cloud_ingest.intake.receiver import Receiver
from cloud_ingest.inventory.inventory import Inventory
from cloud_ingest.live import LiveUpdates
from cloud_ingest.pipeline import Pipeline
from cloud_ingest.stores.protocol import SampleStore


class HasProblem(Protocol):
    """A part that works in a thread of its own and says what keeps it from working."""

    @property
    def problem(self) -> str:
        """Empty while it works."""

    @property
    def failures(self) -> int:
        """How many unforeseen exceptions it survived."""


class HasState(Protocol):
    """A connection to the broker."""

    @property
    def state(self) -> LinkState:
        """Whether the broker is connected, and if not, why."""


@dataclass(frozen=True, slots=True)
class RunningService:
    """The parts of the service.

    ``now_ms`` is its clock, ``transitions_not_stored`` counts the changes of alerts that the
    database refused.
    """

    configuration: CloudConfiguration
    database: Database
    store: SampleStore
    inventory: Inventory
    ledger: Ledger
    quarantine: Quarantine
    receiver: Receiver
    inbox: Inbox
    pipeline: Pipeline
    link: HasState
    live: LiveUpdates
    notification: HasProblem
    started_ms: int
    now_ms: Callable[[], int]
    transitions_not_stored: Callable[[], int]
