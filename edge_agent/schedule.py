"""Which device of a bus is read next (no I/O; the time is passed in).

Every device has its own interval and a phase that keeps it apart from the others. A device that
does not answer is asked again after twice the time, up to a minute, and then only where its
time-out delays nobody, as long as that can be waited for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

BACK_OFF_CAP_S = 60.0
PATIENCE_S = 10.0
"""So long, and no longer than its rest was, a device that failed waits for a moment at which its
time-out delays nobody."""
BUSY_PAUSE_S = 0.25
BUSY_TRIES = 3
_PHASE_STEPS = 64


@dataclass(frozen=True, slots=True)
class Task:
    """A device to read every ``interval_ms``, which takes about ``cost_ms`` of the bus."""

    name: str
    interval_ms: int
    cost_ms: float
    timeout_ms: float = 500.0


@dataclass(slots=True)
class _Entry:
    task: Task
    interval_s: float
    phase_s: float
    due_s: float
    probe_s: float
    failures: int = 0
    busy: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """The device to read, and when; ``due_s`` may lie in the past."""

    name: str
    due_s: float


class Schedule:
    """The order in which the devices of one bus are read."""

    def __init__(self, tasks: Sequence[Task], start_s: float) -> None:
        self.missed = 0
        """Readings that were left out because the bus was busy beyond a whole interval."""
        self._start_s = start_s
        phases = spread_phases(tasks)
        self._entries: dict[str, _Entry] = {}
        first_s = start_s
        for task in tasks:
            self._entries[task.name] = _Entry(
                task,
                task.interval_ms / 1000,
                phases[task.name] / 1000,
                first_s,
                task.timeout_ms / 1000,
            )
            first_s += task.cost_ms / 1000

    def next(self, now_s: float) -> Turn:
        """The device whose turn is next; it may have to be waited for."""
        first: _Entry | None = None
        waiting: _Entry | None = None
        silent: list[_Entry] = []
        for entry in self._entries.values():
            if entry.failures >= 2:
                silent.append(entry)
                continue
            if first is None or entry.due_s < first.due_s:
                first = entry
            if entry.due_s <= now_s and (
                waiting is None
                or entry.due_s + entry.interval_s < waiting.due_s + waiting.interval_s
            ):
                waiting = entry
        first = waiting or first
        for entry in sorted(silent, key=_due) if silent else ():
            if first is None or _may_probe(entry, first, now_s):
                first = entry
                break
        assert first is not None  # a bus has devices
        return Turn(first.task.name, first.due_s)

    def succeeded(self, name: str, now_s: float) -> None:
        """The device answered."""
        entry = self._entries[name]
        entry.failures = entry.busy = 0
        self._onwards(entry, now_s)

    def failures(self, name: str) -> int:
        """How often in a row the device was silent."""
        return self._entries[name].failures

    def failed(self, name: str, now_s: float, probe_s: float | None = None) -> float:
        """The device was silent; seconds until it is asked again, at the earliest.

        ``probe_s`` is how long it will be waited for then; None: its time-out.
        """
        entry = self._entries[name]
        entry.probe_s = entry.task.timeout_ms / 1000 if probe_s is None else probe_s
        entry.failures += 1
        entry.busy = 0
        if entry.failures == 1:
            self._onwards(entry, now_s)
        else:
            entry.due_s = now_s + back_off_s(entry.interval_s, entry.failures)
        return entry.due_s - now_s

    def busy(self, name: str, now_s: float) -> None:
        """The device asked to be left alone for a moment; others may go first."""
        entry = self._entries[name]
        entry.failures = 0
        entry.busy += 1
        if entry.busy > BUSY_TRIES:
            entry.busy = 0
            self._onwards(entry, now_s)
        else:
            entry.due_s = now_s + BUSY_PAUSE_S * 2 ** (entry.busy - 1)

    def forgive(self) -> None:
        """The bus is back: every device may be asked at once, whatever it did before."""
        for entry in self._entries.values():
            if entry.failures:
                entry.failures = 1
                entry.due_s = self._start_s

    def _onwards(self, entry: _Entry, now_s: float) -> None:
        """The next time on the device's grid that lies at least half an interval ahead."""
        origin = self._start_s + entry.phase_s
        interval = entry.interval_s
        expected = entry.due_s + 0.5 * interval
        number = int((expected - origin) // interval) + 1
        due_s = origin + number * interval
        if due_s <= now_s - interval:
            behind = int((now_s - due_s) // interval)
            self.missed += behind
            due_s += behind * interval
        entry.due_s = due_s


def _may_probe(dead: _Entry, live: _Entry, now_s: float) -> bool:
    """Whether the time-out of a dead device delays nobody, or has waited long enough for that."""
    at_s = max(dead.due_s, now_s)
    undisturbed = live.due_s - at_s >= dead.probe_s
    patience_s = min(PATIENCE_S, back_off_s(dead.interval_s, dead.failures))
    return undisturbed or now_s - dead.due_s >= patience_s


def _due(entry: _Entry) -> float:
    return entry.due_s


def back_off_s(interval_s: float, failures: int) -> float:
    """How long a device rests after so many silent turns in a row."""
    if failures <= 1:
        return interval_s
    rest: float = interval_s * 2.0 ** min(failures - 1, 16)
    return max(interval_s, min(rest, BACK_OFF_CAP_S))


def spread_phases(tasks: Sequence[Task]) -> dict[str, float]:
    """A phase in ms for each task, so that as few as possible want the bus at once.

    Two periodic tasks meet never if, modulo the greatest common divisor of their intervals, each
    begins after the other's end (Korst et al., non-preemptive periodic scheduling). Tasks with
    short intervals choose first; each takes the phase with the most room around it.
    """
    placed: list[tuple[Task, float]] = []
    for task in sorted(tasks, key=lambda t: (t.interval_ms, t.name)):
        candidates = _candidates(task, placed)
        best = max(candidates, key=lambda phase: (_room(task, phase, placed), -phase))
        placed.append((task, best))
    return {task.name: phase for task, phase in placed}


def _candidates(task: Task, placed: Sequence[tuple[Task, float]]) -> list[float]:
    even = [task.interval_ms * i / _PHASE_STEPS for i in range(_PHASE_STEPS)]
    behind = [(phase + other.cost_ms) % task.interval_ms for other, phase in placed]
    return sorted({*even, *behind})


def _room(task: Task, phase: float, placed: Sequence[tuple[Task, float]]) -> float:
    room = float(task.interval_ms)
    for other, other_phase in placed:
        common = gcd(task.interval_ms, other.interval_ms)
        behind = (phase - other_phase) % common
        room = min(room, behind - other.cost_ms, common - behind - task.cost_ms)
    return room
