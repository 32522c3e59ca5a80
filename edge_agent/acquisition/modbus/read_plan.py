"""Plans the reads that fetch the metrics of a device: neighbours merged, holes left out (no I/O).

Each read costs its answer plus about 13 bytes of overhead and two silences on the wire, and the
device's own reaction time. So it is cheaper to read a few unwanted registers than to make two
reads. Limits come from the profile: ``max_registers`` in one read, and ``gap``, the longest
unwanted stretch inside a read.

Example: a meter has these metrics in its holding registers, and its profile says
``limits: {max_registers: 10, gap: 2}``::

    address   0    1    2    3    4    5    6    7    8    9   10   11   12   13   14
    metric   [voltage ] .    .   [current ] .    .    .   [power   ][energy  ] .  [pf]

* ``voltage`` at 0 and 1 begins the first read.
* ``current`` at 4 and 5 joins it: 2 unwanted registers lie between (gap 2), and 0 to 5 are 6
  registers (at most 10).
* ``power`` at 9 and 10 does not: 3 unwanted registers (6, 7, 8) lie between. A second read begins.
* ``energy`` at 11 and 12 joins the second read, without a gap.
* ``pf`` at 14 joins it too: one unwanted register lies between, and 9 to 14 are 6 registers.

Two reads instead of five:

>>> from device_profiles.registers import Table
>>> meter = [
...     Register("voltage", Table.HOLDING, 0, 2),
...     Register("current", Table.HOLDING, 4, 2),
...     Register("power", Table.HOLDING, 9, 2),
...     Register("energy", Table.HOLDING, 11, 2),
...     Register("pf", Table.HOLDING, 14, 1),
... ]
>>> def show(reads):
...     for read in reads:
...         print(f"{read.address} to {read.address + read.count - 1}: {', '.join(read.metrics)}")
>>> show(plan_reads(meter, max_registers=10, gap=2))
0 to 5: voltage, current
9 to 14: power, energy, pf

Suppose that the device refuses the first read with *illegal data address*. The poller then reads
the unwanted stretch 2 to 3 alone (``unwanted_stretches``). If that is refused too, its registers
are holes. A read never covers a hole, so the next plan has three reads:

>>> learned = with_holes(Learned(), [Read(Table.HOLDING, 2, 2, ())])
>>> show(plan_reads(meter, max_registers=10, gap=2, holes=learned.holes))
0 to 1: voltage
4 to 5: current
9 to 14: power, energy, pf
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from device_profiles.registers import Table
from edge_agent.acquisition.modbus.requests import MAX_BITS, MAX_REGISTERS


@dataclass(frozen=True, slots=True)
class Register:
    """The place of a metric: ``register_count`` registers or bits of ``table`` from ``address``."""

    name: str
    table: Table
    address: int
    register_count: int


Hole = tuple[Table, int]
"""A register or bit that the device refuses to read."""


@dataclass(frozen=True, slots=True)
class Read:
    """One request: ``count`` registers or bits from ``address``, and the metrics in its answer."""

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
    """The fewest reads that fetch every metric; see the example above.

    Neighbours in one table are merged while the read has at most ``max_registers`` registers (16
    times that number of bits), no unwanted stretch is longer than ``gap`` and no unwanted register
    is in ``holes``. ``apart`` are the places where a new read must begin, ``alone`` the metrics
    that need a read of their own. Without these restrictions, greedy merging from the left gives
    the fewest reads.
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
    """What refusals of a device have taught: where reads must be split, and which metrics it lacks."""

    holes: frozenset[Hole] = frozenset()
    apart: frozenset[Hole] = frozenset()
    absent: frozenset[str] = frozenset()
    alone: frozenset[str] = frozenset()


def unwanted_stretches(read: Read, metrics: Iterable[Register]) -> list[Read]:
    """The parts of ``read`` that belong to no metric, each as a read of its own."""
    stretches, end = [], read.address
    for metric in _wanted(read, metrics):
        if metric.address > end:
            stretches.append(Read(read.table, end, metric.address - end, ()))
        end = max(end, metric.address + metric.register_count)
    return stretches


def with_holes(learned: Learned, refused: Iterable[Read]) -> Learned:
    """``learned``, with every register of the reads ``refused`` as a hole."""
    holes = {(r.table, a) for r in refused for a in range(r.address, r.address + r.count)}
    return replace(learned, holes=learned.holes | holes)


def cut_read(read: Read, metrics: Iterable[Register], learned: Learned) -> Learned:
    """What a refused ``read`` teaches if the device gives all of its unwanted parts.

    A binary search: the read is split between two metrics near its middle (metrics that overlap
    are read alone), until a single metric is refused. That metric is absent, its registers are
    holes, and the splits of the search are forgotten.
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
    """Addresses where a metric begins and no other metric would be split."""
    cuts, end = [], 0
    for i, metric in enumerate(wanted):
        if i and metric.address >= end:
            cuts.append(metric.address)
        end = max(end, metric.address + metric.register_count)
    return cuts
