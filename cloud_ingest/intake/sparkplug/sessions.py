"""The host's side of a gateway's session: metrics of the last births, sequence numbers, state. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from cloud_ingest.intake.sparkplug.session_states import (
    Handling,
    HostSessionEvent,
    HostSessionState,
    advance,
)


class MetricRole(Enum):
    """How the host uses a metric of a birth."""

    SERIES = "series"
    BATCH = "batch"  # Store/Batch: closes a report
    PROPERTY = "property"  # text, structures, and what describes the gateway
    REFUSED = "refused"  # a series that is not stored, for ``MetricTarget.reason``


@dataclass(slots=True)
class MetricTarget:
    """Where the values of one metric go. ``factor`` and ``offset`` convert to the series' unit."""

    role: MetricRole
    name: str
    datatype: int
    alias: int | None = None
    series: int = -1
    factor: float = 1.0
    offset: float = 0.0
    reason: str = ""


@dataclass(slots=True)
class DeviceSession:
    """The metrics that a device (or the node itself) announced in its last birth.

    ``number`` is its row in the alias table of the batch decoder, ``fits_batch_decoder`` whether that
    table holds its aliases.
    """

    name: str
    born: bool = False
    fits_batch_decoder: bool = False
    number: int = -1
    targets: tuple[MetricTarget, ...] = ()
    _by_alias: dict[int, MetricTarget] | None = None
    _by_name: dict[str, MetricTarget] | None = None

    def announce(self, targets: Sequence[MetricTarget]) -> None:
        """Replace the metrics by those of a new birth."""
        self.born = True
        self.targets = tuple(targets)
        self._by_alias = self._by_name = None

    @property
    def by_alias(self) -> dict[int, MetricTarget]:
        """The target of each alias."""
        if self._by_alias is None:
            self._by_alias = {t.alias: t for t in self.targets if t.alias is not None}
        return self._by_alias

    @property
    def by_name(self) -> dict[str, MetricTarget]:
        """The target of each metric name."""
        if self._by_name is None:
            self._by_name = {t.name: t for t in self.targets}
        return self._by_name


@dataclass(slots=True)
class SequenceCheck:
    """Checks the sequence numbers 0..255 of a node's messages; QoS 0 may lose or swap them.

    A gap starts the reorder timer; messages that fill it within the time stop it (Sparkplug 3.0,
    host reordering).
    """

    expected: int | None = None
    missing: set[int] | None = None
    deadline_ms: int | None = None

    def restart(self, seq: int | None) -> None:
        """An NBIRTH came: ``seq`` is its number (0 by the standard, taken as it is)."""
        self.expected = None if seq is None else (seq + 1) % 256
        self.missing = None
        self.deadline_ms = None

    def resync(self) -> None:
        """Accept the next number, whatever it is: the host itself dropped messages."""
        self.restart(None)

    def take(self, seq: int | None, now_ms: int, timeout_ms: int) -> bool:
        """Note a message; True if it opened a gap."""
        if seq is None:
            return False
        seq %= 256
        if self.expected is None or seq == self.expected:
            self.expected = (seq + 1) % 256
            return False
        missing = self.missing or set()
        if seq in missing:
            missing.discard(seq)
            if not missing:
                self.missing = self.deadline_ms = None
            return False
        missing.update((self.expected + i) % 256 for i in range((seq - self.expected) % 256))
        self.missing = missing
        self.expected = (seq + 1) % 256
        if self.deadline_ms is None:
            self.deadline_ms = now_ms + timeout_ms
        return True

    def lapsed(self, now_ms: int) -> bool:
        """Whether a gap stayed open past its time; resets the timer if so."""
        if self.deadline_ms is None or now_ms < self.deadline_ms:
            return False
        self.missing = None
        self.deadline_ms = None
        return True


@dataclass(slots=True)
class NodeSession:
    """The current session of one gateway; its states are in ``session_states``.

    ``bdseq`` is that of the last NBIRTH, ``awaited`` the devices whose DBIRTH must follow it until
    ``awaited_until_ms``, ``number`` the gateway's row in the alias table.
    """

    group: str
    gateway: str
    node: DeviceSession
    state: HostSessionState = HostSessionState.UNKNOWN
    born: bool = False  # follows from the state; read for every message
    bdseq: int | None = None
    acknowledges: bool = False
    sequence: SequenceCheck = field(default_factory=SequenceCheck)
    devices: dict[str, DeviceSession] = field(default_factory=dict)
    awaited: frozenset[str] = frozenset()
    awaited_until_ms: int | None = None
    number: int = -1

    def device(self, name: str | None) -> DeviceSession | None:
        """The device ``name``; None stands for the node's own metrics."""
        return self.node if name is None else self.devices.get(name)

    def handle(self, event: HostSessionEvent) -> Handling:
        """Go to the next state; returns what to do with the event. Raises WrongOrder."""
        self.state, handling = advance(self.state, event)
        self.born = self.state in (HostSessionState.ONLINE, HostSessionState.STALE)
        return handling

    def ends(self, bdseq: int | None) -> bool:
        """Whether an NDEATH with ``bdseq`` belongs to this session and not to an earlier one.

        Some edge nodes increment it in an NDEATH that they send themselves.
        """
        if not self.born:
            return True
        if bdseq is None or self.bdseq is None:
            return True
        return bdseq % 256 in (self.bdseq, (self.bdseq + 1) % 256)
