"""Hold times: from verdicts to the few moments at which something begins or ends.

A condition that becomes true starts a run; the run fires once it has been true for ``hold``, and
a firing run ends once the condition has been false for ``clear_after``. Both clocks are the
samples' own, and stand still while data is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from alert_rules.evaluation import State, Verdicts, grown, last_true, run_starts
from telemetry.batches import Bool, Int32, Int64

LONGEST_MS = 2_000_000_000
"""The longest hold or clear time, 23 days: what is held longer is not told apart."""

Change = Literal["pending", "fire", "rise", "cancel", "clear"]


@dataclass(frozen=True, slots=True)
class Transition:
    """A run of one slot begins, fires, rises to ``level``, ends without firing, or clears.

    ``start_ms`` is when the condition became true, ``time_ms`` when this change is to be dated.
    """

    change: Change
    slot: int
    level: int
    start_ms: int
    time_ms: int
    value: float
    peak: float


class _LevelHold:
    """The clocks of one level (limit) of a rule, for all slots."""

    def __init__(self) -> None:
        self.on = np.empty(0, np.bool_)
        self.firing = np.empty(0, np.bool_)
        self.time_ms = np.empty(0, np.int64)
        self.held_ms = np.empty(0, np.int32)
        self.start_ms = np.empty(0, np.int64)
        self.busy = 0

    def grow(self, size: int) -> None:
        for name in ("on", "firing"):
            setattr(self, name, grown(getattr(self, name), size, False))
        for name in ("time_ms", "held_ms", "start_ms"):
            setattr(self, name, grown(getattr(self, name), size, 0))

    def idle(self, slot: Int32, on: Bool) -> bool:
        """Whether these verdicts cannot change anything."""
        if on.any():
            return False
        return not self.busy or not (self.on[slot] | self.firing[slot]).any()


class Holding:
    """Hold and clear times of one rule, with severity levels. ``extremes`` is -1 for ``below``."""

    def __init__(self, levels: int, hold_ms: int, clear_after_ms: int, extremes: int = 1) -> None:
        self._levels = [_LevelHold() for _ in range(levels)]
        self._hold_ms = hold_ms
        self._clear_after_ms = clear_after_ms
        self._extremes = extremes
        self.peak = np.empty(0, np.float64)
        self._gap_ms = np.empty(0, np.int64)

    def grow(self, gap_ms: Int64) -> None:
        """Make room; ``gap_ms`` holds each slot's longest pause that is no missing data."""
        self._gap_ms = gap_ms
        for level in self._levels:
            level.grow(len(gap_ms))
        self.peak = grown(self.peak, len(gap_ms), -np.inf)

    @property
    def firing(self) -> Bool:
        """Which slots are firing."""
        return self._levels[0].firing

    @property
    def on(self) -> Bool:
        """Which slots have their condition true or are firing still."""
        return self._levels[0].on | self._levels[0].firing

    def peak_of(self, slot: int) -> float:
        """The worst value of the run of a slot."""
        return float(self.peak[slot]) * self._extremes

    def start_of(self, slot: int) -> int:
        """When the run of a slot became true."""
        return int(self._levels[0].start_ms[slot])

    def adopt(self, slot: int, start_ms: int, time_ms: int, levels: int, *, firing: bool) -> None:
        """Take over a run that an earlier process had begun."""
        for level in self._levels[:levels]:
            level.on[slot], level.firing[slot] = True, firing
            level.start_ms[slot], level.time_ms[slot] = start_ms, time_ms
            level.held_ms[slot] = self._hold_ms if firing else 0
            level.busy = max(level.busy, 1)

    def advance(self, verdicts: Verdicts) -> list[Transition]:
        """Take verdicts in; give what they change, in the order of time."""
        found: list[Transition] = []
        for number, level in enumerate(self._levels, start=1):
            on = verdicts.level >= number
            if level.idle(verdicts.slot, on):
                continue
            touched = level.on | level.firing
            touched[verdicts.slot[on]] = True
            chosen = touched[verdicts.slot]
            found += self._advance_level(number, level, verdicts.select(chosen), on[chosen])
        found.sort(key=lambda c: (c.time_ms, c.slot, c.level))
        return found

    def _advance_level(
        self, number: int, state: _LevelHold, verdicts: Verdicts, on: Bool
    ) -> list[Transition]:
        slot, time_ms = verdicts.slot, verdicts.time_ms
        first = run_starts(slot)
        head = slot[first]
        before = _shifted(on, first, state.on[head])
        before_ms = _shifted(time_ms, first, state.time_ms[head])
        same = on == before
        step = time_ms - before_ms
        step[~same | (step > self._gap_ms[slot])] = 0

        # time credited within the run of equal verdicts that each entry belongs to
        total = np.cumsum(step)
        begins = first | ~same
        carried = np.where(same[first], state.held_ms[head], 0)
        base = np.where(begins, total, 0)
        base[first] -= step[first] + carried
        held = total - base[last_true(begins)]
        started = np.where(begins, time_ms, 0)
        started[first] = np.where(same[first], state.start_ms[head], time_ms[first])
        start_ms = started[last_true(begins)]

        need = np.where(on, self._hold_ms, self._clear_after_ms)
        before_held = held - step
        crossing = (held >= need) & (~same | (before_held < need))
        crossing[first] |= same[first] & (held[first] >= need[first])
        decided = crossing | first
        firing = np.where(crossing, on, False)
        firing[first] = np.where(crossing[first], on[first], state.firing[head])
        firing = firing[last_true(decided)]
        was_firing = _shifted(firing, first, state.firing[head])

        if number == 1:
            self._follow_peaks(verdicts, on, first, ~same & on & ~was_firing)
        changes = self._name_changes(number, verdicts, on, same, start_ms, firing, was_firing)
        last = np.append(first[1:], True)
        tail = slot[last]
        state.on[tail], state.firing[tail] = on[last], firing[last]
        state.time_ms[tail], state.held_ms[tail] = time_ms[last], np.minimum(held[last], LONGEST_MS)
        state.start_ms[tail] = start_ms[last]
        state.busy = int(np.count_nonzero(state.on | state.firing))
        return changes

    def _follow_peaks(self, verdicts: Verdicts, on: Bool, first: Bool, fresh: Bool) -> None:
        """Keep the worst value since each run began."""
        self.peak[verdicts.slot[fresh]] = -np.inf
        group = last_true(first | fresh)
        after_fresh = fresh[group] | ~_any_later(fresh, first)
        chosen = on & after_fresh & np.isfinite(verdicts.value)
        np.maximum.at(self.peak, verdicts.slot[chosen], verdicts.value[chosen] * self._extremes)

    def _name_changes(
        self,
        number: int,
        verdicts: Verdicts,
        on: Bool,
        same: Bool,
        start_ms: Int64,
        firing: Bool,
        was_firing: Bool,
    ) -> list[Transition]:
        fire, clear = firing & ~was_firing, was_firing & ~firing
        named: Sequence[tuple[Change, Bool]]
        if number == 1:
            named = (
                ("pending", ~same & on & ~was_firing & ~firing),
                ("cancel", ~same & ~on & ~was_firing),
                ("fire", fire),
                ("clear", clear),
            )
        else:
            named = (("rise", fire),)
        return [
            Transition(
                change, int(verdicts.slot[i]), number, int(start_ms[i]),
                int(verdicts.time_ms[i]), float(verdicts.value[i]),
                self.peak_of(int(verdicts.slot[i])),
            )
            for change, where in named
            for i in np.flatnonzero(where)
        ]  # fmt: skip

    def state(self) -> State:
        """Everything remembered."""
        found: State = {"peak": self.peak}
        for i, level in enumerate(self._levels):
            for name in ("on", "firing", "time_ms", "held_ms", "start_ms"):
                found[f"{name}{i}"] = getattr(level, name)
        return found

    def restore(self, state: State) -> None:
        """Go on from a state."""
        _put(self.peak, state.get("peak"))
        for i, level in enumerate(self._levels):
            for name in ("on", "firing", "time_ms", "held_ms", "start_ms"):
                _put(getattr(level, name), state.get(f"{name}{i}"))
            level.busy = int(np.count_nonzero(level.on | level.firing))


def _put(target: NDArray[Any], source: NDArray[Any] | None) -> None:
    if source is not None:
        target[: len(source)] = source[: len(target)]


def _shifted(array: NDArray[Any], first: Bool, heads: NDArray[Any]) -> NDArray[Any]:
    """``array`` one place later within each slot, with ``heads`` at the slots' first places."""
    moved = np.empty_like(array)
    moved[1:] = array[:-1]
    moved[first] = heads
    return moved


def _any_later(mark: Bool, first: Bool) -> Bool:
    """Whether a marked place follows within the same slot."""
    group = np.cumsum(first) - 1
    last_mark = np.full(int(group[-1]) + 1 if len(group) else 0, -1, np.int64)
    where = np.flatnonzero(mark)
    last_mark[group[where]] = where
    later: Bool = last_mark[group] > np.arange(len(mark))
    return later
