"""Which device of a bus is read next (no I/O; the time is passed in).

Every device has its own interval and a phase that keeps it apart from the others. A device that
does not answer is asked again after twice the time, up to a minute, and then only where its
time-out delays nobody, as long as that can be waited for; where the line has the time, the phases
leave a gap for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.acquisition.phase_spread import Task, phases_of

BACK_OFF_CAP_S = 60.0
PATIENCE_S = 10.0
"""So long, and no longer than its rest was, a device that failed waits for a moment at which its
time-out delays nobody."""
BUSY_PAUSE_S = 0.25
BUSY_TRIES = 3
TOLERANCE = 0.05
"""Readings may come late by this share of their interval, once a device has waited for half its
patience."""


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
        phases = phases_of(tasks)
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
            if entry.failures:
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
            if first is None or self._may_probe(entry, now_s):
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

    def _may_probe(self, dead: _Entry, now_s: float) -> bool:
        """Whether a probe delays nobody too much, or has waited long enough for that."""
        at_s = max(dead.due_s, now_s)
        waited = (now_s - dead.due_s) / min(PATIENCE_S, back_off_s(dead.interval_s, dead.failures))
        if waited >= 1:
            return True
        tolerance = TOLERANCE if waited > 0.5 else 0.0
        free_s = at_s + dead.probe_s + dead.task.cost_ms / 1000
        for entry in sorted(self._entries.values(), key=_due):
            if entry.failures:
                continue
            if entry.due_s >= free_s:
                break
            if free_s - entry.due_s > tolerance * entry.interval_s:
                return False
            free_s += entry.task.cost_ms / 1000
        return True

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


def _due(entry: _Entry) -> float:
    return entry.due_s


def back_off_s(interval_s: float, failures: int) -> float:
    """How long a device rests after so many silent turns in a row."""
    if failures <= 1:
        return interval_s
    rest: float = interval_s * 2.0 ** min(failures - 1, 16)
    return max(interval_s, min(rest, BACK_OFF_CAP_S))
