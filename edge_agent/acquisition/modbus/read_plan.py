"""Which reads fetch a device's metrics: neighbours merged, known holes left out (no I/O)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from device_profiles.registers import Table
from edge_agent.acquisition.modbus.requests import MAX_BITS, MAX_REGISTERS


@dataclass(frozen=True, slots=True)
class Register:
    """Where a metric stands: ``register_count`` registers or bits of ``table`` from ``address``."""

    name: str
    table: Table
    address: int
    register_count: int


Hole = tuple[Table, int]
"""A register or bit that the device refuses to give."""


@dataclass(frozen=True, slots=True)
class Read:
    """One request: ``count`` registers or bits from ``address``, and the metrics in it."""

    table: Table
    address: int
    count: int
    metrics: tuple[str, ...]

    @property
    def is_bits(self) -> bool:
        """Whether it reads coils or discrete inputs."""
        return self.table.is_bits

    @property
    def reply_bytes(self) -> int:
        """Data bytes in its answer."""
        return (self.count + 7) // 8 if self.is_bits else 2 * self.count


def plan_reads(
    metrics: Iterable[Register],
    max_registers: int = MAX_REGISTERS,
    gap: int = 0,
    holes: frozenset[Hole] = frozenset(),
    apart: frozenset[Hole] = frozenset(),
    alone: frozenset[str] = frozenset(),
) -> list[Read]:
    """The fewest reads that fetch every metric.

    Neighbours of one table are merged while the read stays within ``max_registers`` (for bits: 16
    times as many), no unwanted stretch in it is longer than ``gap`` and no unwanted register is a
    known hole. ``apart`` holds the (table, address) at which a read must begin anew, ``alone`` the
    metrics that are read by themselves. Where none of these forbids anything, greedy merging from
    the left gives the fewest reads.
    """
    reads: list[Read] = []
    by_table: dict[Table, list[Register]] = {}
    for metric in metrics:
        if metric.name in alone:
            reads.append(Read(metric.table, metric.address, metric.register_count, (metric.name,)))
            continue
        by_table.setdefault(metric.table, []).append(metric)
    for table, wanted in by_table.items():
        bits = table.is_bits
        most = min(max_registers * 16, MAX_BITS) if bits else min(max_registers, MAX_REGISTERS)
        reach = gap * 16 if bits else gap
        reads += _merge(table, sorted(wanted, key=_place), most, reach, holes, apart)
    return reads


def _place(metric: Register) -> tuple[int, int]:
    return metric.address, metric.register_count


def _merge(
    table: Table,
    wanted: Sequence[Register],
    most: int,
    gap: int,
    holes: frozenset[Hole],
    apart: frozenset[Hole],
) -> list[Read]:
    reads: list[Read] = []
    start = end = 0
    names: list[str] = []
    for metric in wanted:
        last = max(end, metric.address + metric.register_count)
        between = range(end, metric.address)
        fits = (
            names
            and last - start <= most
            and metric.address - end <= gap
            and not ((table, metric.address) in apart and metric.address >= end)
            and not any((table, a) in holes for a in between)
        )
        if not fits:
            if names:
                reads.append(Read(table, start, end - start, tuple(names)))
            start, last, names = metric.address, metric.address + metric.register_count, []
        names.append(metric.name)
        end = last
    if names:
        reads.append(Read(table, start, end - start, tuple(names)))
    return reads


@dataclass(frozen=True, slots=True)
class Learned:
    """What a device's refusals have taught: where reads must be cut, and metrics it does not have."""

    holes: frozenset[Hole] = frozenset()
    apart: frozenset[Hole] = frozenset()
    absent: frozenset[str] = frozenset()
    alone: frozenset[str] = frozenset()


def unwanted_stretches(read: Read, metrics: Iterable[Register]) -> list[Read]:
    """The parts of ``read`` that no metric wants, each as a read of its own."""
    stretches, end = [], read.address
    for metric in _wanted(read, metrics):
        if metric.address > end:
            stretches.append(Read(read.table, end, metric.address - end, ()))
        end = max(end, metric.address + metric.register_count)
    return stretches


def with_holes(learned: Learned, refused: Iterable[Read]) -> Learned:
    """``learned`` and that the device refuses every register of ``refused``."""
    holes = {(r.table, a) for r in refused for a in range(r.address, r.address + r.count)}
    return replace(learned, holes=learned.holes | holes)


def cut_read(read: Read, metrics: Iterable[Register], learned: Learned) -> Learned:
    """What a refused ``read`` teaches when none of its unwanted parts is to blame.

    It is cut in the middle, between metrics (metrics that overlap are read alone), until a single
    metric is refused: that one is absent, its registers are holes, and the cuts of the search are
    forgotten.
    """
    wanted = _wanted(read, metrics)
    cuts = _cuts(wanted)
    if cuts:
        middle = read.address + read.count / 2
        cut = min(cuts, key=lambda a: abs(a - middle))
        return replace(learned, apart=learned.apart | {(read.table, cut)})
    if len(wanted) > 1:
        return replace(learned, alone=learned.alone | set(read.metrics))
    found = with_holes(learned, [read])
    apart = frozenset(place for place in learned.apart if place[0] != read.table)
    return replace(found, apart=apart, absent=learned.absent | set(read.metrics))


def _wanted(read: Read, metrics: Iterable[Register]) -> list[Register]:
    return sorted((m for m in metrics if m.name in read.metrics), key=_place)


def _cuts(wanted: Sequence[Register]) -> list[int]:
    """Addresses at which a metric begins and no other one is cut in two."""
    cuts, end = [], 0
    for i, metric in enumerate(wanted):
        if i and metric.address >= end:
            cuts.append(metric.address)
        end = max(end, metric.address + metric.register_count)
    return cuts
