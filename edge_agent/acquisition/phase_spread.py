"""Phases that keep the readings of the devices of a bus apart (no I/O).

Two periodic tasks never overlap if, modulo the greatest common divisor of their intervals, each
begins after the end of the other (Korst et al., non-preemptive periodic scheduling).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import gcd

_PLANS = (
    *((1.0, slower) for slower in (4.0, 3.0, 2.0, 1.6, 1.3)),
    *((share, slower) for share in (0.5, 0.25) for slower in (2.0, 1.6)),
)
"""Variants, best first: the gap as a share of the longest time-out, and the factor on the wire time
of each reading. The factor leaves time for the reaction of devices and for a busy computer; a
reading that takes longer delays the next one."""
_MOST_WITH_GAP = 64
_STEPS = 64
_EXACT = 1e-6


@dataclass(frozen=True, slots=True)
class Task:
    """A device to read every ``interval_ms``, which takes about ``cost_ms`` of the bus."""

    name: str
    interval_ms: int
    cost_ms: float
    timeout_ms: float = 500.0


_Placed = list[tuple[Task, float]]


def spread_phases(tasks: Sequence[Task]) -> dict[str, float]:
    """A phase in ms for each task, so that as few tasks as possible overlap.

    Tasks with short intervals are placed first; each takes the phase with the most room around it.
    """
    return {task.name: phase for task, phase in _place(tasks, [], _roomiest)}


def phases_of(tasks: Sequence[Task]) -> dict[str, float]:
    """The same with a gap for the time-out of a dead device, or a part of it, if that fits."""
    longest_ms = max((t.timeout_ms + t.cost_ms for t in tasks), default=0.0)
    for share, slower in _PLANS if 1 < len(tasks) <= _MOST_WITH_GAP else ():
        slow = [replace(t, cost_ms=slower * t.cost_ms) for t in tasks]
        phases = phases_around(share * longest_ms, slow)
        if phases is not None:
            return phases
    return spread_phases(tasks)


def phases_around(gap_ms: float, tasks: Sequence[Task]) -> dict[str, float] | None:
    """Phases that leave the bus free for ``gap_ms`` once in the longest interval.

    None if that is impossible without overlapping tasks.
    """
    gap = Task("", max(t.interval_ms for t in tasks), gap_ms)
    if any(gap_ms + t.cost_ms > gcd(gap.interval_ms, t.interval_ms) for t in tasks):
        return None
    if sum(t.cost_ms / t.interval_ms for t in [gap, *tasks]) > 1:
        return None
    placed = _place(tasks, [(gap, 0.0)], _first)
    if any(_room(t, p, [o for o in placed if o[0] is not t]) < -_EXACT for t, p in placed):
        return None
    return {task.name: phase for task, phase in placed[1:]}


def _place(
    tasks: Sequence[Task], placed: _Placed, choose: Callable[[Task, _Placed], float]
) -> _Placed:
    for task in sorted(tasks, key=lambda t: (t.interval_ms, t.name)):
        placed.append((task, choose(task, placed)))
    return placed


def _roomiest(task: Task, placed: _Placed) -> float:
    return max(_candidates(task, placed), key=lambda phase: (_room(task, phase, placed), -phase))


def _first(task: Task, placed: _Placed) -> float:
    candidates = _candidates(task, placed)
    return next((p for p in candidates if _room(task, p, placed) >= -_EXACT), candidates[0])


def _candidates(task: Task, placed: _Placed) -> list[float]:
    even = [task.interval_ms * i / _STEPS for i in range(_STEPS)]
    behind = [(phase + other.cost_ms) % task.interval_ms for other, phase in placed]
    return sorted({*even, *behind})


def _room(task: Task, phase: float, placed: _Placed) -> float:
    room = float(task.interval_ms)
    for other, other_phase in placed:
        common = gcd(task.interval_ms, other.interval_ms)
        behind = (phase - other_phase) % common
        room = min(room, behind - other.cost_ms, common - behind - task.cost_ms)
    return room
