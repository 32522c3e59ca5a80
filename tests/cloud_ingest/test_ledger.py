"""The ledger of batch numbers: what is acknowledged is exactly what is there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.intake.ledger import Account, Ranges


@given(st.lists(st.integers(1, 60), max_size=80), st.integers(0, 5))
def test_through_is_the_highest_number_with_no_hole_below(numbers: list[int], start: int) -> None:
    ranges, have = Ranges(start), set(range(start + 1))
    for number in numbers:
        ranges.add(number)
        have.add(number)
        expected = next(n for n in range(1000) if n + 1 not in have)
        assert ranges.through == expected
    for number in range(70):
        assert (number in ranges) == (number in have)
    missing = {n for a, b in ranges.missing() for n in range(a, b + 1)}
    assert missing == {n for n in range(max(have)) if n not in have}
    assert all(b + 1 < c for (_, b), (c, _) in zip(ranges.above, ranges.above[1:], strict=False))


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 6)), max_size=40))
def test_adding_whole_ranges_is_adding_each_number(spans: list[tuple[int, int]]) -> None:
    whole, single = Ranges(), Ranges()
    for first, more in spans:
        whole.add(first, first + more)
        for n in range(first, first + more + 1):
            single.add(n)
    assert whole == single


def test_a_batch_counts_once() -> None:
    account = Account("g")
    account.introduce(1, 1, 0)
    assert account.receive(1, 10)
    assert not account.receive(1, 10)
    assert account.samples_stored == 10


def test_a_new_account_begins_where_the_gateway_is() -> None:
    account = Account("g")
    assert account.introduce(1_795_000_000_000, 1_795_000_000_007, 0) == []
    assert account.ranges.through == 1_795_000_000_000 - 1


def test_what_was_given_up_becomes_gaps_around_what_is_there() -> None:
    account = Account("g")
    account.introduce(1, 1, 0)
    for n in (1, 2, 5, 6, 9):
        account.receive(n, 1)
    gaps = account.introduce(8, 12, 77)
    assert [(g.first, g.last) for g in gaps] == [(3, 4), (7, 7)]
    assert account.ranges == Ranges(7, [(9, 9)])


def test_numbers_that_go_back_mean_a_new_outbox() -> None:
    account = Account("g")
    account.introduce(1, 1, 0)
    for n in range(1, 101):
        account.receive(n, 1)
    gaps = account.introduce(1, 3, 0)
    assert "new outbox" in gaps[0].reason
    assert account.ranges == Ranges(0)
    assert account.receive(1, 1)
