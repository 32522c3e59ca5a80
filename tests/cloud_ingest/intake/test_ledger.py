"""The ledger of report numbers: what is acknowledged is exactly what is there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.database import Database
from cloud_ingest.intake.ledger.account import Account
from cloud_ingest.intake.ledger.ledger import REPEAT_MS, SHORTEST_MS, AckThrough, Ledger
from cloud_ingest.intake.ledger.write_coalescer import (
    LARGE_FLEET,
    LONGEST_MS,
    REPORTS_A_ROW,
    WriteCoalescer,
)
from cloud_ingest.intake.work import Entry, OutboxBounds, Receipts, UnnumberedSamples


@given(st.lists(st.integers(1, 60), max_size=80), st.integers(1, 5))
def test_through_is_the_highest_number_with_no_hole_below(numbers: list[int], oldest: int) -> None:
    account, have = Account("g"), set(range(oldest))
    account.take_bounds(oldest, oldest, 0)
    for number in numbers:
        assert account.receive(number, 1) == (number not in have)
        have.add(number)
        assert account.through == next(n for n in range(1000) if n + 1 not in have)


def test_a_batch_counts_once() -> None:
    account = Account("g")
    account.take_bounds(1, 1, 0)
    assert account.receive(1, 10)
    assert not account.receive(1, 10)
    assert account.samples_stored == 10


def test_a_new_account_begins_where_the_gateway_is() -> None:
    account = Account("g")
    assert account.take_bounds(1_795_000_000_000, 1_795_000_000_007, 0) == []
    assert account.through == 1_795_000_000_000 - 1


def test_what_was_given_up_becomes_gaps_around_what_is_there() -> None:
    account = Account("g")
    account.take_bounds(1, 1, 0)
    for n in (1, 2, 5, 6, 9):
        account.receive(n, 1)
    gaps = account.take_bounds(8, 12, 77)
    assert [(g.first, g.last) for g in gaps] == [(3, 4), (7, 7)]
    assert account.batches.ranges() == [(0, 7), (9, 9)]


def test_numbers_that_go_back_mean_a_new_outbox() -> None:
    account = Account("g")
    account.take_bounds(1, 1, 0)
    for n in range(1, 101):
        account.receive(n, 1)
    gaps = account.take_bounds(1, 3, 0)
    assert "new outbox" in gaps[0].reason
    assert account.batches.ranges() == [(0, 0)]
    assert account.receive(1, 1)


DAY_MS = 86_400_000
NOW_MS = 1_795_000_000_000


def receipts(fleet: list[str], rows: list[tuple[int, int, int, int]]) -> Receipts:
    """Rows of gateway, number, samples, and how long before now the first was measured."""
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    gateway, batch, samples, age_ms = columns
    time_ms = np.where(samples > 0, NOW_MS - age_ms, -1)
    return Receipts(fleet, gateway, batch, samples, time_ms, np.full(len(gateway), NOW_MS))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    made = Database(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/state.db")
    made.migrate()
    return made


row = st.tuples(
    st.integers(0, 2), st.integers(1, 12), st.integers(0, 50), st.integers(0, 3 * DAY_MS)
)


@given(st.lists(st.lists(row, max_size=12), max_size=4))
def test_receipts_in_columns_are_entered_as_one_by_one(
    database: Database, batches: list[list[tuple[int, int, int, int]]]
) -> None:
    fleet = ["a", "b", "c"]
    together, single = Ledger(database), Ledger(database)
    for ledger in (together, single):
        ledger.apply([OutboxBounds(name, 1, 1) for name in fleet], NOW_MS)
    together.apply([receipts(fleet, rows) for rows in batches if rows], NOW_MS)
    for rows in batches:
        single.apply(receipts(fleet, rows).one_by_one(), NOW_MS)
    for name in fleet:
        assert together.account(name) == single.account(name)
    assert together._days._days == single._days._days
    assert sorted(map(repr, together.due(NOW_MS))) == sorted(map(repr, single.due(NOW_MS)))


def test_receipts_of_few_gateways_are_not_held() -> None:
    held = WriteCoalescer()
    held.add([receipts(["a"], [(0, 1, 5, 0)])])
    assert len(held.take(NOW_MS)) == 1
    assert held.take(NOW_MS) == []


def test_receipts_of_a_large_fleet_are_held_for_others_or_for_a_second() -> None:
    fleet = [f"g{i}" for i in range(LARGE_FLEET + 1)]
    held = WriteCoalescer()
    one: list[Entry] = [receipts(fleet, [(0, 1, 5, 0)])]
    held.add(one)
    held.add([UnnumberedSamples("x", 1, NOW_MS, NOW_MS)])
    assert held.take(NOW_MS) == []
    assert len(held.take(NOW_MS + LONGEST_MS)) == 2
    held.add(one)
    assert held.take(NOW_MS) == []
    held.add([receipts(fleet, [(n, 1, 5, 0) for n in range(len(fleet))] * REPORTS_A_ROW)])
    [joined] = held.take(NOW_MS)
    assert isinstance(joined, Receipts)
    assert len(joined.batch) == 1 + REPORTS_A_ROW * len(fleet)
    held.add([*one, OutboxBounds("g1", 1, 1)])
    assert len(held.take(NOW_MS)) == 2


def test_a_gateway_is_told_once_and_not_too_often(database: Database) -> None:
    ledger = Ledger(database)
    ledger.apply([OutboxBounds("a", 1, 1), receipts(["a"], [(0, 1, 5, 0)])], NOW_MS)
    assert ledger.due(NOW_MS) == [AckThrough("a", 1)]
    assert ledger.due(NOW_MS + SHORTEST_MS) == []
    for number in (2, 3):
        ledger.apply([receipts(["a"], [(0, number, 5, 0)])], NOW_MS)
        assert ledger.due(NOW_MS + 1) == []
    assert ledger.due(NOW_MS + SHORTEST_MS) == [AckThrough("a", 3)]
    ledger.apply([receipts(["a"], [(0, 3, 5, 0)])], NOW_MS)  # it did not hear it
    assert ledger.due(NOW_MS + 2 * SHORTEST_MS) == []
    assert ledger.due(NOW_MS + SHORTEST_MS + REPEAT_MS) == [AckThrough("a", 3)]
    assert ledger.due(NOW_MS + 3 * REPEAT_MS) == []


def test_a_gateway_that_is_not_known_yet_is_told_nothing(database: Database) -> None:
    ledger = Ledger(database)
    ledger.apply([receipts(["a"], [(0, 1, 5, 0)])], NOW_MS)
    assert ledger.due(NOW_MS) == []
    ledger.apply([OutboxBounds("a", 2, 2)], NOW_MS)
    assert ledger.due(NOW_MS) == [AckThrough("a", 1)]
