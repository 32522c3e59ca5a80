"""What the intake has gathered since the last commit, in the order in which it came."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from cloud_ingest.intake.quarantine import Quarantined
from cloud_ingest.intake.sample_buffer import SampleBuffer
from telemetry.batches import Int64


@dataclass(frozen=True, slots=True)
class Receipt:
    """A complete report of a gateway: its number, how many samples it holds, and of when.

    ``time_ms`` is the time of its first sample (None: it has none), ``arrived_ms`` when it came.
    """

    gateway: str
    batch: int
    samples: int
    time_ms: int | None
    arrived_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class Receipts:
    """Receipts of many reports in columns, in the order in which they came.

    ``gateway`` holds places in ``gateways``; a ``time_ms`` of -1 stands for None.
    """

    gateways: list[str]
    gateway: Int64
    batch: Int64
    samples: Int64
    time_ms: Int64
    arrived_ms: Int64

    def select(self, which: Int64 | slice) -> "Receipts":
        """The receipts at the given places."""
        return Receipts(
            self.gateways, self.gateway[which], self.batch[which], self.samples[which],
            self.time_ms[which], self.arrived_ms[which],
        )  # fmt: skip

    def one_by_one(self) -> Iterator[Receipt]:
        """Each of them by itself."""
        for g, batch, samples, time_ms, arrived_ms in zip(
            self.gateway.tolist(), self.batch.tolist(), self.samples.tolist(),
            self.time_ms.tolist(), self.arrived_ms.tolist(), strict=True,
        ):  # fmt: skip
            first_ms = None if time_ms < 0 else time_ms
            yield Receipt(self.gateways[g], batch, samples, first_ms, arrived_ms)


@dataclass(frozen=True, slots=True)
class OutboxBounds:
    """What a gateway says it still holds (``upcoming`` None: only that it gave up below ``oldest``)."""

    gateway: str
    oldest: int
    upcoming: int | None


@dataclass(frozen=True, slots=True)
class UnnumberedSamples:
    """Samples of a gateway that does not number its reports."""

    gateway: str
    samples: int
    time_ms: int | None
    arrived_ms: int


@dataclass(frozen=True, slots=True)
class GatewayCount:
    """A gateway says that it measured, or gave up, so many more samples than it said before."""

    gateway: str
    what: Literal["measured", "given_up"]
    samples: int
    arrived_ms: int


Entry = Receipt | Receipts | OutboxBounds | UnnumberedSamples | GatewayCount


@dataclass(frozen=True, slots=True)
class Rebirth:
    """A gateway is to introduce itself again."""

    group: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Transition:
    """A gateway (``device`` None) or one of its devices went online or offline."""

    group: str
    gateway: str
    device: str | None
    online: bool
    time_ms: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something that people may want to know of later."""

    time_ms: int
    kind: Literal[
        "online", "offline", "device_online", "device_offline", "data_lost", "quarantine",
        "series_limit", "rebirth", "shed",
    ]  # fmt: skip
    group: str
    gateway: str
    device: str | None
    message: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Work:
    """Samples, and what must become of the ledger once they are stored."""

    samples: SampleBuffer = field(default_factory=SampleBuffer)
    entries: list[Entry] = field(default_factory=list)
    rebirths: list[Rebirth] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
