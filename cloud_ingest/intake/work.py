"""What intake gathered since the last commit, in the order of arrival."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from cloud_ingest.intake.quarantine import Quarantined
from cloud_ingest.intake.sample_buffer import SampleBuffer
from telemetry.batches import Int64


@dataclass(frozen=True, slots=True)
class Receipt:
    """A complete report of a gateway.

    ``batch`` is the report number (on the wire: Store/Batch), ``samples`` how many samples it holds.
    ``time_ms`` is the time of its first sample (None: no sample), ``arrived_ms`` that of its arrival.
    """

    gateway: str
    batch: int
    samples: int
    time_ms: int | None
    arrived_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class Receipts:
    """Receipts of many reports in columns, in the order of arrival.

    ``gateway`` holds indices of ``gateways``; a ``time_ms`` of -1 means None.
    """

    gateways: list[str]
    gateway: Int64
    batch: Int64
    samples: Int64
    time_ms: Int64
    arrived_ms: Int64

    def select(self, which: Int64 | slice) -> "Receipts":
        """The receipts at the given positions."""
        return Receipts(
            self.gateways, self.gateway[which], self.batch[which], self.samples[which],
            self.time_ms[which], self.arrived_ms[which],
        )  # fmt: skip

    def one_by_one(self) -> Iterator[Receipt]:
        """The receipts as single objects."""
        for g, batch, samples, time_ms, arrived_ms in zip(
            self.gateway.tolist(), self.batch.tolist(), self.samples.tolist(),
            self.time_ms.tolist(), self.arrived_ms.tolist(), strict=True,
        ):  # fmt: skip
            first_ms = None if time_ms < 0 else time_ms
            yield Receipt(self.gateways[g], batch, samples, first_ms, arrived_ms)


@dataclass(frozen=True, slots=True)
class OutboxBounds:
    """The bounds of a gateway's outbox: it holds the reports from ``oldest`` to before ``upcoming``.

    ``upcoming`` None: only the oldest number is known.
    """

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
    """The increase of a counter that a gateway reports: samples measured, or given up."""

    gateway: str
    what: Literal["measured", "given_up"]
    samples: int
    arrived_ms: int


Entry = Receipt | Receipts | OutboxBounds | UnnumberedSamples | GatewayCount


@dataclass(frozen=True, slots=True)
class Rebirth:
    """A gateway to ask for a rebirth."""

    group: str
    gateway: str


@dataclass(frozen=True, slots=True)
class PresenceChange:
    """A gateway (``device`` None) or one of its devices went online or offline."""

    group: str
    gateway: str
    device: str | None
    online: bool
    time_ms: int


@dataclass(frozen=True, slots=True)
class GatewayEvent:
    """An event of a gateway or a device, for the list of events."""

    time_ms: int
    kind: Literal[
        "online", "offline", "device_online", "device_offline", "data_lost", "series_limit",
        "rebirth",
    ]  # fmt: skip
    group: str
    gateway: str
    device: str | None
    message: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Work:
    """Samples and everything that follows from them once they are stored."""

    samples: SampleBuffer = field(default_factory=SampleBuffer)
    entries: list[Entry] = field(default_factory=list)
    rebirths: list[Rebirth] = field(default_factory=list)
    presence_changes: list[PresenceChange] = field(default_factory=list)
    events: list[GatewayEvent] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    replayed: list[int] = field(default_factory=list)  # items of the quarantine that were taken in
