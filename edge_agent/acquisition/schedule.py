"""Which device of a bus is read next (no I/O; the time is passed in).

Every device has its own interval and a phase that keeps it apart from the others. A silent device
is probed after twice its interval, then four times, up to a minute. A probe waits for a moment when
its time-out delays no other device, up to PATIENCE_S. If the line has time for it, the phases leave
a gap for such probes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.acquisition.phase_spread import Task, phases_of

BACK_OFF_CAP_S = 60.0
PATIENCE_S = 10.0
"""The longest that a probe waits for a moment when it delays nobody; never longer than the pause
before it."""
BUSY_PAUSE_S = 0.25
BUSY_TRIES = 3
TOLERANCE = 0.05
"""Readings may be late by this share of their interval once a probe has waited half its time."""


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
        """Readings that were skipped because the bus was busy for longer than their interval."""
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
        """The next turn; its time may lie in the future."""
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
        """How many times in a row the device was silent."""
        return self._entries[name].failures

    def failed(self, name: str, now_s: float, probe_s: float | None = None) -> float:
        """The device was silent. Returns the seconds until its next probe at the earliest.

        ``probe_s`` is how long that probe may take; None: the time-out of the device.
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
        """The device is busy and is asked again soon; others may go first."""
        entry = self._entries[name]
        entry.failures = 0
        entry.busy += 1
        if entry.busy > BUSY_TRIES:
            entry.busy = 0
            self._onwards(entry, now_s)
        else:
            entry.due_s = now_s + BUSY_PAUSE_S * 2 ** (entry.busy - 1)

    def reset_back_off(self) -> None:
        """The bus is open again: every device may be read at once, whatever happened before."""
        for entry in self._entries.values():
            if entry.failures:
                entry.failures = 1
                entry.due_s = self._start_s

    def _may_probe(self, dead: _Entry, now_s: float) -> bool:
        """Whether a probe now delays nobody too much, or has waited long enough."""
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
        """Set the next time on the grid of the device, at least half an interval ahead."""
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
    """The pause before the next probe after ``failures`` silent turns in a row."""
    if failures <= 1:
        return interval_s
    rest: float = interval_s * 2.0 ** min(failures - 1, 16)
    return max(interval_s, min(rest, BACK_OFF_CAP_S))
