"""Which reads fetch a device's metrics."""

import doctest

from hypothesis import given
from hypothesis import strategies as st

from device_profiles.registers import Table
from edge_agent.acquisition.modbus import read_plan
from edge_agent.acquisition.modbus.read_plan import (
    Learned,
    Read,
    Register,
    cut_read,
    plan_reads,
    unwanted_stretches,
    with_holes,
)


def registers(*places: tuple[int, int], table: Table = Table.HOLDING) -> list[Register]:
    return [Register(f"m{address}", table, address, count) for address, count in places]


def shapes(reads: list[Read]) -> list[tuple[int, int]]:
    return [(r.address, r.count) for r in reads]


def test_the_worked_example_is_true() -> None:
    result = doctest.testmod(read_plan)
    assert (result.failed, result.attempted > 5) == (0, True)


def test_neighbours_are_read_together() -> None:
    assert shapes(plan_reads(registers((0, 1), (1, 2), (3, 1)))) == [(0, 4)]


def test_a_gap_is_bridged_only_as_far_as_the_device_allows() -> None:
    metrics = registers((0, 1), (4, 1))
    assert shapes(plan_reads(metrics, gap=3)) == [(0, 5)]
    assert shapes(plan_reads(metrics, gap=2)) == [(0, 1), (4, 1)]


def test_a_read_never_exceeds_the_limit_of_the_device() -> None:
    metrics = registers(*((i, 1) for i in range(10)))
    assert shapes(plan_reads(metrics, max_registers=4)) == [(0, 4), (4, 4), (8, 2)]


def test_a_value_of_several_registers_is_never_torn() -> None:
    metrics = registers((0, 2), (2, 2), (4, 2))
    assert shapes(plan_reads(metrics, max_registers=3)) == [(0, 2), (2, 2), (4, 2)]


def test_tables_are_read_apart() -> None:
    metrics = registers((0, 1)) + registers((1, 1), table=Table.INPUT)
    assert len(plan_reads(metrics, gap=10)) == 2


def test_bits_are_counted_as_bits() -> None:
    metrics = registers((0, 1), (100, 1), table=Table.COIL)
    assert shapes(plan_reads(metrics, max_registers=10, gap=8)) == [(0, 101)]


def test_a_known_hole_is_never_read_for_nothing() -> None:
    metrics = registers((0, 1), (2, 1), (4, 1))
    holes = frozenset({(Table.HOLDING, 3)})
    assert shapes(plan_reads(metrics, gap=5, holes=holes)) == [(0, 3), (4, 1)]


def test_overlapping_metrics_share_a_read() -> None:
    metrics = [Register("a", Table.INPUT, 5, 2), Register("b", Table.INPUT, 6, 1)]
    (read,) = plan_reads(metrics)
    assert (read.address, read.count, read.metrics) == (5, 2, ("a", "b"))


def answer(metrics: list[Register], gap: int, absent: set[int]) -> tuple[Learned, int]:
    """Learn as the poller does, from a device without the registers ``absent``; and the requests."""
    learned, asked = Learned(), 0
    for _ in range(200):
        wanted = [m for m in metrics if m.name not in learned.absent]
        reads = plan_reads(wanted, 60, gap, learned.holes, learned.apart, learned.alone)
        refused = [r for r in reads if absent & set(range(r.address, r.address + r.count))]
        if not refused:
            return learned, asked
        read = refused[0]
        stretches = unwanted_stretches(read, metrics)
        holes = [s for s in stretches if absent & set(range(s.address, s.address + s.count))]
        asked += 1 + len(stretches)
        learned = with_holes(learned, holes) if holes else cut_read(read, metrics, learned)
    raise AssertionError("never learned")


def test_a_hole_in_a_gap_is_found_exactly_and_other_gaps_stay_bridged() -> None:
    metrics = registers((0, 1), (3, 1), (6, 1))
    learned, asked = answer(metrics, 5, {4})
    assert shapes(plan_reads(metrics, 60, 5, learned.holes, learned.apart)) == [(0, 4), (6, 1)]
    assert asked == 3
    assert not learned.absent


def test_a_metric_that_the_device_lacks_is_found_and_the_rest_stays_merged() -> None:
    metrics = registers(*((i, 1) for i in range(8)))
    learned, _ = answer(metrics, 0, {5})
    assert learned.absent == {"m5"}
    assert not learned.apart
    rest = [m for m in metrics if m.name != "m5"]
    assert shapes(plan_reads(rest, 60, 0, learned.holes)) == [(0, 5), (6, 2)]


places = st.lists(
    st.tuples(st.integers(0, 120), st.sampled_from([1, 2, 4])), min_size=1, max_size=25, unique=True
)


@given(places, st.integers(4, 60), st.integers(0, 20), st.sets(st.integers(0, 130), max_size=10))
def test_a_plan_fetches_everything_and_keeps_every_limit(
    where: list[tuple[int, int]], most: int, gap: int, missing: set[int]
) -> None:
    metrics = [Register(f"m{i}", Table.HOLDING, a, c) for i, (a, c) in enumerate(where)]
    wanted = {a for m in metrics for a in range(m.address, m.address + m.register_count)}
    holes = frozenset((Table.HOLDING, a) for a in missing)
    reads = plan_reads(metrics, most, gap, holes)
    by_name = {m.name: m for m in metrics}
    assert sorted(n for r in reads for n in r.metrics) == sorted(by_name)
    for read in reads:
        covered = set(range(read.address, read.address + read.count))
        for name in read.metrics:
            m = by_name[name]
            assert set(range(m.address, m.address + m.register_count)) <= covered
        assert not (covered - wanted) & missing
        inner = [by_name[n] for n in read.metrics]
        assert read.count <= most or len(inner) == 1


@given(places, st.integers(0, 20), st.sets(st.integers(0, 130), max_size=4))
def test_learning_ends_and_loses_no_metric_that_the_device_has(
    where: list[tuple[int, int]], gap: int, absent: set[int]
) -> None:
    metrics = [Register(f"m{i}", Table.HOLDING, a, c) for i, (a, c) in enumerate(where)]
    learned, _ = answer(metrics, gap, absent)
    lacking = {
        m.name for m in metrics if absent & set(range(m.address, m.address + m.register_count))
    }
    assert learned.absent == lacking
