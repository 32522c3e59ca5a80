"""What the host knows of each gateway's current session: births, aliases, sequence, silence.

No I/O: messages, and the time, come in; what to do comes out.
"""

from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What a metric of a birth is to the host."""

    SERIES = "series"
    BATCH = "batch"  # Store/Batch: closes a report
    PROPERTY = "property"  # text, structures, and what describes the gateway
    REFUSED = "refused"  # a series that is not taken in; the reason is in the slot


@dataclass(slots=True)
class Slot:
    """Where the values of one metric go. ``factor`` and ``offset`` bring them to the series' unit."""

    kind: Kind
    name: str
    datatype: int
    series: int = -1
    factor: float = 1.0
    offset: float = 0.0
    reason: str = ""


@dataclass(slots=True)
class DeviceSession:
    """The metrics that a device (or the node itself) announced in its last birth."""

    name: str
    born: bool = False
    by_alias: dict[int, Slot] = field(default_factory=dict)
    by_name: dict[str, Slot] = field(default_factory=dict)
    # Its row in the table that runs.py reads with (plain: its aliases are there).
    plain: bool = False
    number: int = -1

    def announce(self, slots: list[tuple[int | None, Slot]]) -> None:
        """Take the metrics of a birth in place of those before."""
        self.born = True
        self.by_alias = {alias: slot for alias, slot in slots if alias is not None}
        self.by_name = {slot.name: slot for _, slot in slots}


@dataclass(slots=True)
class SequenceCheck:
    """Watches the numbers 0..255 of a node's messages; QoS 0 may lose or swap them.

    A gap starts the reorder timer; messages that fill it within the time stop it (Sparkplug 3.0,
    host reordering).
    """

    expected: int | None = None
    missing: set[int] = field(default_factory=set)
    deadline_ms: int | None = None

    def restart(self, seq: int | None) -> None:
        """An NBIRTH came: ``seq`` is its number (0 by the standard, taken as it is)."""
        self.expected = None if seq is None else (seq + 1) % 256
        self.missing.clear()
        self.deadline_ms = None

    def forgive(self) -> None:
        """Messages were left out on purpose: the next one counts as the expected one."""
        self.restart(None)

    def take(self, seq: int | None, now_ms: int, timeout_ms: int) -> bool:
        """Note a message; True where it opened a gap."""
        if seq is None:
            return False
        seq %= 256
        if self.expected is None or seq == self.expected:
            self.expected = (seq + 1) % 256
            return False
        if seq in self.missing:
            self.missing.discard(seq)
            if not self.missing:
                self.deadline_ms = None
            return False
        self.missing.update((self.expected + i) % 256 for i in range((seq - self.expected) % 256))
        self.expected = (seq + 1) % 256
        if self.deadline_ms is None:
            self.deadline_ms = now_ms + timeout_ms
        return True

    def lapsed(self, now_ms: int) -> bool:
        """Whether a gap stayed open past its time; asking resets the timer."""
        if self.deadline_ms is None or now_ms < self.deadline_ms:
            return False
        self.missing.clear()
        self.deadline_ms = None
        return True


@dataclass(slots=True)
class NodeSession:
    """The current session of one gateway. ``bdseq`` is that of its last NBIRTH."""

    group: str
    gateway: str
    node: DeviceSession
    born: bool = False
    bdseq: int | None = None
    acknowledges: bool = False
    ack_alias: int | None = None
    sequence: SequenceCheck = field(default_factory=SequenceCheck)
    devices: dict[str, DeviceSession] = field(default_factory=dict)
    awaited: set[str] = field(default_factory=set)
    awaited_until_ms: int | None = None
    number: int = -1  # in the table that runs.py reads with

    def device(self, name: str | None) -> DeviceSession | None:
        """The device ``name``, or the node's own metrics for None."""
        return self.node if name is None else self.devices.get(name)

    def ends(self, bdseq: int | None) -> bool:
        """Whether an NDEATH with ``bdseq`` ends this session and not one before it.

        Some edge nodes count one further in the NDEATH that they send themselves.
        """
        if not self.born:
            return True
        if bdseq is None or self.bdseq is None:
            return True
        return bdseq % 256 in (self.bdseq, (self.bdseq + 1) % 256)
