"""What the host knows of each gateway's current session: births, aliases, sequence, silence.

No I/O: messages, and the time, come in; what to do comes out.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class MetricRole(Enum):
    """What a metric of a birth is to the host."""

    SERIES = "series"
    BATCH = "batch"  # Store/Batch: closes a report
    PROPERTY = "property"  # text, structures, and what describes the gateway
    REFUSED = "refused"  # a series that is not taken in; the reason is in the target


@dataclass(slots=True)
class MetricTarget:
    """Where the values of one metric go. ``factor`` and ``offset`` bring them to the series' unit."""

    role: MetricRole
    name: str
    datatype: int
    series: int = -1
    factor: float = 1.0
    offset: float = 0.0
    reason: str = ""


MetricTargets = Sequence[tuple[int | None, MetricTarget]]


class _Shape(NamedTuple):
    """What a device announced, as far as thousands of its kind announce the same.

    In ``others`` are the targets that are no series; series are the rest.
    """

    aliases: tuple[int | None, ...]
    names: tuple[str, ...]
    datatypes: tuple[int, ...]
    others: tuple[MetricTarget | None, ...]


_shapes: dict[object, _Shape] = {}
_MOST_SHAPES = 10_000


def _shape_of(targets: MetricTargets) -> _Shape:
    """The shape of these metrics; the same object for the same ones."""
    key = tuple((a, s.role, s.name, s.datatype, s.reason) for a, s in targets)
    found = _shapes.get(key)
    if found is None:
        if len(_shapes) >= _MOST_SHAPES:
            _shapes.clear()
        found = _shapes[key] = _Shape(
            tuple(a for a, _ in targets),
            tuple(s.name for _, s in targets),
            tuple(s.datatype for _, s in targets),
            tuple(None if s.role is MetricRole.SERIES else s for _, s in targets),
        )
    return found


@dataclass(slots=True)
class DeviceSession:
    """The metrics that a device (or the node itself) announced in its last birth."""

    name: str
    born: bool = False
    # Its row in the table that runs.py reads with (plain: its aliases are there).
    plain: bool = False
    number: int = -1
    _announced: MetricTargets | _Shape | None = None
    _series: "array[int] | range | None" = None
    _by_alias: dict[int, MetricTarget] | None = None
    _by_name: dict[str, MetricTarget] | None = None

    def announce(self, targets: MetricTargets) -> None:
        """Take the metrics of a birth in place of those before."""
        self.born = True
        self._by_alias = self._by_name = None
        series = [s for _, s in targets if s.role is MetricRole.SERIES]
        if any(s.factor != 1.0 or s.offset != 0.0 for s in series):
            self._announced = targets
            return
        # Reports in their usual form need no targets: an outline is kept, most often a shared one.
        self._announced = _shape_of(targets)
        numbers = [s.series for s in series]
        run = range(numbers[0], numbers[0] + len(numbers)) if numbers else range(0)
        self._series = run if numbers == list(run) else array("i", numbers)

    @property
    def targets(self) -> MetricTargets:
        """The metrics of the last birth: the alias and the target of each."""
        shape = self._announced
        if not isinstance(shape, _Shape):
            return shape or []
        series = iter(self._series or ())
        return [
            (alias, other or MetricTarget(MetricRole.SERIES, name, datatype, next(series)))
            for alias, name, datatype, other in zip(*shape, strict=True)
        ]

    @property
    def by_alias(self) -> dict[int, MetricTarget]:
        """The target of each alias."""
        if self._by_alias is None:
            self._by_alias = {alias: target for alias, target in self.targets if alias is not None}
        return self._by_alias

    @property
    def by_name(self) -> dict[str, MetricTarget]:
        """The target of each metric."""
        if self._by_name is None:
            self._by_name = {target.name: target for _, target in self.targets}
        return self._by_name


@dataclass(slots=True)
class SequenceCheck:
    """Watches the numbers 0..255 of a node's messages; QoS 0 may lose or swap them.

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
        """Whether a gap stayed open past its time; asking resets the timer."""
        if self.deadline_ms is None or now_ms < self.deadline_ms:
            return False
        self.missing = None
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
    awaited: frozenset[str] = frozenset()
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
