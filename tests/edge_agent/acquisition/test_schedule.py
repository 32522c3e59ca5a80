"""Which device of a bus is read when, simulated without waiting."""

import itertools
import random
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.acquisition.phase_spread import Task, phases_of, spread_phases
from edge_agent.acquisition.schedule import BACK_OFF_CAP_S, Schedule, back_off_s


def run(
    tasks: list[Task],
    seconds: float,
    dead: set[str] = frozenset(),  # type: ignore[assignment]
    revive_at_s: float = 1e9,
) -> dict[str, list[float]]:
    """When each device is read, on a bus whose transactions take what they cost."""
    schedule, now = Schedule(tasks, 0.0), 0.0
    by_name = {t.name: t for t in tasks}
    times: dict[str, list[float]] = defaultdict(list)
    while now < seconds:
        turn = schedule.next(now)
        now = max(now, turn.due_s)
        times[turn.name].append(now)
        task = by_name[turn.name]
        if turn.name in dead and now < revive_at_s:
            now += task.timeout_ms / 1000
            schedule.failed(turn.name, now)
        else:
            now += task.cost_ms / 1000
            schedule.succeeded(turn.name, now)
    return times


def worst_jitter(times: list[float], interval_s: float, skip: int = 2) -> float:
    """The largest distance from an even grid, as a share of the interval."""
    settled = times[skip:]
    grid = [(t - settled[0]) - round((t - settled[0]) / interval_s) * interval_s for t in settled]
    middle = sorted(grid)[len(grid) // 2]
    return max(abs(g - middle) for g in grid) / interval_s


def test_every_device_keeps_its_own_interval() -> None:
    tasks = [Task("a", 1000, 40), Task("b", 5000, 40), Task("c", 700, 40), Task("d", 60000, 40)]
    times = run(tasks, 300)
    for task in tasks:
        interval = task.interval_ms / 1000
        assert abs(len(times[task.name]) - 300 / interval) <= 2
        if task.name != "d":
            assert worst_jitter(times[task.name], interval) < 0.06


def test_jitter_stays_below_a_twentieth_of_the_interval_on_a_full_bus() -> None:
    tasks = [Task(f"d{i}", 2000, 55) for i in range(32)]
    times = run(tasks, 100)
    assert max(worst_jitter(times[t.name], 2.0) for t in tasks) < 0.05


def test_each_device_is_read_at_once_after_the_start() -> None:
    tasks = [Task(f"d{i}", 60000, 40) for i in range(10)]
    times = run(tasks, 10)
    assert all(times[t.name][0] < 0.5 for t in tasks)


def test_of_32_units_one_silent_the_others_keep_their_period() -> None:
    tasks = [Task(f"d{i}", 3000, 45, 500) for i in range(32)]
    times = run(tasks, 600, dead={"d7"})
    for task in tasks:
        if task.name == "d7":
            continue
        assert len(times[task.name]) >= 199
        gaps = [b - a for a, b in zip(times[task.name][2:], times[task.name][3:], strict=False)]
        assert max(gaps) <= 3.0 + 0.55, "at most one time-out late"
    probes = times["d7"]
    assert len(probes) <= 20
    assert max(b - a for a, b in itertools.pairwise(probes)) <= BACK_OFF_CAP_S + 11


@pytest.mark.parametrize("interval_ms", [2000, 2600, 5000])
def test_on_a_line_with_room_for_it_a_time_out_delays_nobody(interval_ms: int) -> None:
    tasks = [Task(f"d{i}", interval_ms, 31, 500) for i in range(32)]
    times = run(tasks, 600, dead={"d7"})
    live = [t.name for t in tasks if t.name != "d7"]
    assert max(worst_jitter(times[n], interval_ms / 1000, skip=4) for n in live) < 0.01
    assert len(times["d7"]) >= 12


def test_a_line_without_room_for_a_time_out_is_spread_evenly() -> None:
    tasks = [Task(f"d{i}", 2000, 55, 500) for i in range(32)]
    assert phases_of(tasks) == spread_phases(tasks)


def test_a_dead_device_disturbs_nobody_where_the_bus_has_room() -> None:
    tasks = [Task("live", 2000, 40), Task("dead", 2000, 40, 500)]
    times = run(tasks, 600, dead={"dead"})
    assert worst_jitter(times["live"], 2.0, skip=4) < 0.01


def test_a_device_that_comes_back_is_at_its_interval_again() -> None:
    tasks = [Task("a", 1000, 40), Task("b", 1000, 40, 500)]
    times = run(tasks, 300, dead={"b"}, revive_at_s=100)
    late = [t for t in times["b"] if t > 200]
    assert len(late) >= 99


def test_the_rest_of_a_dead_device_doubles_up_to_a_minute() -> None:
    assert [back_off_s(1.0, n) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert back_off_s(300.0, 5) == 300.0


def test_a_busy_device_is_asked_again_soon_and_others_go_first() -> None:
    schedule = Schedule([Task("a", 10000, 10), Task("b", 10000, 10)], 0.0)
    assert schedule.next(0.0).name == "a"
    schedule.busy("a", 0.0)
    assert schedule.next(0.02).name == "b"
    schedule.succeeded("b", 0.03)
    turn = schedule.next(0.1)
    assert turn.name == "a"
    assert turn.due_s == 0.25


def test_when_the_bus_is_back_the_silent_ones_are_asked_at_once() -> None:
    schedule = Schedule([Task("a", 1000, 10)], 0.0)
    for i in range(8):
        schedule.failed("a", float(i))
    schedule.reset_back_off()
    assert schedule.next(100.0).due_s <= 100.0


def test_a_bus_that_is_blocked_leaves_readings_out_instead_of_hurrying() -> None:
    schedule = Schedule([Task("a", 1000, 10)], 0.0)
    schedule.succeeded("a", 0.0)
    schedule.succeeded("a", 30.0)
    schedule.succeeded("a", 30.1)
    assert schedule.next(30.1).due_s > 30.1
    assert schedule.missed >= 25


task_lists = st.lists(
    st.tuples(st.sampled_from([500, 1000, 2000, 5000, 60000]), st.integers(5, 60)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(task_lists, st.sets(st.integers(0, 11)))
def test_nobody_starves_whatever_the_load(specs: list[tuple[int, int]], dead: set[int]) -> None:
    tasks = [Task(f"d{i}", interval, cost) for i, (interval, cost) in enumerate(specs)]
    times = run(tasks, 200, dead={f"d{i}" for i in dead})
    for task in tasks:
        assert len(times[task.name]) >= 2


@given(task_lists)
def test_phases_lie_within_their_intervals(specs: list[tuple[int, int]]) -> None:
    tasks = [Task(f"d{i}", interval, cost) for i, (interval, cost) in enumerate(specs)]
    phases = phases_of(tasks)
    assert all(0 <= phases[t.name] < t.interval_ms for t in tasks)


def test_equal_devices_are_spread_evenly() -> None:
    phases = sorted(spread_phases([Task(f"d{i}", 1000, 10) for i in range(4)]).values())
    gaps = [b - a for a, b in zip(phases, [*phases[1:], 1000 + phases[0]], strict=True)]
    assert min(gaps) > 150, random.random()


def test_a_device_that_used_to_answer_quickly_is_probed_in_small_gaps() -> None:
    schedule = Schedule([Task("live", 200, 20), Task("dead", 1000, 20, 500)], 0.0)
    now = 0.0
    for _ in range(2):
        schedule.failed("dead", now, 0.06)
    due = 2.0
    now = due
    schedule.succeeded("live", 1.9)
    assert schedule.failures("dead") == 2
    assert schedule.next(now).name in ("dead", "live")
    turns = []
    for _ in range(40):
        turn = schedule.next(now)
        now = max(now, turn.due_s)
        turns.append(turn.name)
        if turn.name == "dead":
            schedule.failed("dead", now + 0.06, 0.06)
            now += 0.06
        else:
            schedule.succeeded("live", now + 0.02)
            now += 0.02
    assert "dead" in turns[:14]
