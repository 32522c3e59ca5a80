"""Clocks that jump: what samples carry meanwhile, and what they carry in the end."""

import sqlite3
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.clock import FIRST_TRUSTED_MS, Clock, ClockEvent, ClockWatch, distinct
from edge_agent.outbox import Outbox, Report
from edge_agent.outbox.sqlite.aliases import MAX_SHAPES
from edge_agent.outbox.sqlite.row_format import unpack
from telemetry.quality import Flag
from telemetry.samples import Sample
from telemetry.time.clock import utc_now_ms
from tests.servers import wait_until

NOW = 1_790_000_000_000


def test_a_clock_that_is_set_is_believed_at_once() -> None:
    watch = ClockWatch(NOW, 1000)
    assert watch.trusted
    assert watch.stamp(1500) == NOW + 500


def test_a_gateway_that_boots_in_1970_stamps_with_its_own_time_until_the_clock_is_set() -> None:
    watch = ClockWatch(5_000, 1_000)
    assert not watch.trusted
    assert watch.stamp(2_000) == 2_000
    assert watch.observe(6_000, 2_000) is None
    assert watch.observe(NOW, 3_000) is None  # NTP sets the clock: not trusted before it is steady
    assert watch.observe(NOW + 4_000, 7_000) is None
    event = watch.observe(NOW + 5_000, 8_000)
    assert event == ClockEvent("trusted", 8_000, NOW - 3_000)
    assert watch.stamp(9_000) == NOW + 6_000


def test_an_hour_s_step_is_reported_and_trusted_once_it_is_steady() -> None:
    watch = ClockWatch(NOW, 0)
    assert watch.observe(NOW + 1_000, 1_000) is None
    assert watch.observe(NOW + 2_000 - 3_600_000, 2_000) == ClockEvent("jumped", 2_000, -3_600_000)
    assert watch.stamp(3_000) == 3_000
    assert watch.observe(NOW + 8_000 - 3_600_000, 8_000) == ClockEvent(
        "trusted", 8_000, NOW - 3_600_000
    )


def test_slow_corrections_are_followed_without_an_event() -> None:
    watch = ClockWatch(NOW, 0)
    for second in range(1, 100):
        assert watch.observe(NOW + second * 1050, second * 1000) is None
    assert abs(watch.stamp(99_000) - (NOW + 99 * 1050)) <= 20


@given(st.lists(st.integers(-4980, 4980), max_size=30))  # 20 ms of noise are not followed
def test_small_differences_never_take_the_trust_away(shifts: list[int]) -> None:
    watch, offset = ClockWatch(NOW, 0), 0
    for i, shift in enumerate(shifts, 1):
        offset += shift
        assert watch.observe(NOW + offset + i * 1000, i * 1000) is None
        assert watch.trusted


def test_two_samples_of_a_series_get_distinct_times_but_a_set_back_clock_is_followed() -> None:
    assert distinct(1000, 900) == 1000
    assert distinct(1000, 1000) == 1001
    assert distinct(1000, 1004) == 1005
    assert distinct(NOW - 3_600_000, NOW) == NOW - 3_600_000


class FakeTime:
    """A wall clock and a monotonic clock to turn by hand."""

    def __init__(self, wall_ms: int) -> None:
        self.wall_ms, self.monotonic_ms = wall_ms, 1_000

    def clock(self) -> Clock:
        return Clock(lambda: self.wall_ms * 10**6, lambda: self.monotonic_ms * 10**6)

    def pass_(self, ms: int) -> None:
        self.wall_ms += ms
        self.monotonic_ms += ms


def times_of(outbox: Outbox) -> list[int]:
    return [t for r in outbox.read(0, 10_000) for _, t, _, _ in unpack(r)]


def test_samples_of_an_untrusted_clock_wait_and_get_their_real_times(tmp_path: Path) -> None:
    fake = FakeTime(10_000)
    clock = fake.clock()
    outbox = Outbox(tmp_path / "outbox.db", clock=clock)
    outbox.put([Report("d", (Sample("m", clock.now_ms(), 1.0),))])
    fake.pass_(2_000)
    outbox.put([Report("d", (Sample("m", clock.now_ms(), 2.0),))])
    assert outbox.read(0, 100) == []  # nothing leaves with a time that is not known
    assert outbox.status().depth_samples == 2
    fake.wall_ms = NOW
    clock.poll()
    fake.pass_(6_000)
    wait_until(lambda: len(times_of(outbox)) == 2, "the clock is trusted")
    assert times_of(outbox) == [NOW - 2_000, NOW]
    late = Sample("m", 2_500, 3.0)  # was stamped just before the clock was trusted
    outbox.put([Report("d", (late,))])
    assert times_of(outbox)[-1] == NOW - 500
    outbox.close()


def test_a_jump_is_counted_and_what_was_stamped_before_keeps_its_time(tmp_path: Path) -> None:
    fake = FakeTime(NOW)
    clock = fake.clock()
    outbox = Outbox(tmp_path / "outbox.db", clock=clock)
    outbox.put([Report("d", (Sample("m", clock.now_ms(), 1.0),))])
    fake.wall_ms += 3_600_000
    wait_until(lambda: outbox.status().clock_jumps == 1, "the jump is seen")
    outbox.put([Report("d", (Sample("m", clock.now_ms(), 2.0),))])
    assert times_of(outbox) == [NOW]
    fake.pass_(5_500)
    wait_until(lambda: len(times_of(outbox)) == 2, "the clock is trusted")
    assert times_of(outbox) == [NOW, NOW + 3_600_000]
    outbox.close()


@pytest.mark.parametrize("most_shapes", [MAX_SHAPES, 0])
def test_samples_of_an_earlier_boot_are_placed_before_this_one_and_marked(
    most_shapes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.outbox.sqlite.aliases.MAX_SHAPES", most_shapes)
    path = tmp_path / "outbox.db"
    fake = FakeTime(10_000)
    clock = fake.clock()
    outbox = Outbox(path, clock=clock)
    for _ in range(3):
        fake.pass_(1_000)
        outbox.put([Report("d", (Sample("m", clock.now_ms(), 1.0),))])
    storage = outbox._storage
    outbox.close()
    assert storage.state.depth == 3

    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE state SET boot = 'an earlier boot', checksum = NULL")
    connection.close()
    fresh = FakeTime(NOW)
    fresh.monotonic_ms = 60_000
    again = Outbox(path, clock=fresh.clock())
    reports = again.read(0, 100)
    assert all(bool(r.shape.aliases) == bool(most_shapes) for r in reports)
    alias = again.aliases("d", ["m"])["m"]
    assert [(a, v) for r in reports for a, _, v, _ in unpack(r)] == [(alias, 1.0)] * 3
    found = [(t, f) for r in reports for _, t, _, f in unpack(r)]
    boot = NOW - 60_000
    assert found == [(boot - 2000, Flag.SUSPECT), (boot - 1000, Flag.SUSPECT), (boot, Flag.SUSPECT)]
    again.close()


MINUTES_MS = st.integers(60_000, 600_000)


@given(MINUTES_MS, st.sampled_from([1, -1]), st.integers(1, 600))
def test_a_wall_clock_that_jumps_some_minutes_is_reported_and_left_until_it_is_steady(
    size_ms: int, sign: int, second: int
) -> None:
    jump_ms, at_ms = sign * size_ms, second * 1000
    watch = ClockWatch(NOW, 0)
    for ms in range(1000, at_ms, 1000):
        assert watch.observe(NOW + ms, ms) is None
    assert watch.stamp(at_ms - 1) == NOW + at_ms - 1, "before the jump: the old time"
    assert watch.observe(NOW + at_ms + jump_ms, at_ms) == ClockEvent("jumped", at_ms, jump_ms)
    assert watch.shift_ms is None
    for ms in range(at_ms + 1000, at_ms + 5000, 1000):
        assert watch.stamp(ms) == ms, "monotonic time until the new one is steady"
        assert watch.observe(NOW + ms + jump_ms, ms) is None
    steady_ms = at_ms + 5000
    event = watch.observe(NOW + steady_ms + jump_ms, steady_ms)
    assert event == ClockEvent("trusted", steady_ms, NOW + jump_ms)
    assert watch.stamp(steady_ms) == NOW + steady_ms + jump_ms


@pytest.mark.parametrize("jump_ms", [60_000, 600_000, -60_000, -600_000])
def test_samples_during_a_jump_of_some_minutes_get_the_time_of_the_new_clock(
    tmp_path: Path, jump_ms: int
) -> None:
    fake = FakeTime(NOW)
    clock = fake.clock()
    outbox = Outbox(tmp_path / "outbox.db", clock=clock)
    outbox.put([Report("d", (Sample("m", clock.now_ms(), 1.0),))])
    fake.wall_ms += jump_ms
    wait_until(lambda: outbox.status().clock_jumps == 1, "the jump is seen")
    fake.pass_(2_000)
    outbox.put([Report("d", (Sample("m", clock.now_ms(), 2.0),))])
    assert times_of(outbox) == [NOW], "what was stamped before keeps its time, the rest waits"
    fake.pass_(4_000)
    wait_until(lambda: len(times_of(outbox)) == 2, "the clock is trusted")
    assert times_of(outbox) == [NOW, NOW + jump_ms + 2_000]
    outbox.close()


def test_the_real_clocks_agree() -> None:
    clock = Clock()
    assert clock.trusted == (utc_now_ms() >= FIRST_TRUSTED_MS)
    assert abs(clock.now_ms() - utc_now_ms()) < 1000
    assert abs(clock.at(time.monotonic() - 1.5) - (clock.now_ms() - 1500)) < 1000
    assert clock.poll() is None
