"""Hold times: from verdicts to the few moments at which something begins or ends.

A condition that becomes true starts a run; the run fires once it has been true for ``hold``, and
a firing run ends once the condition has been false for ``clear_after``. Both clocks are the
samples' own, and stand still while data is missing.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from alert_rules.evaluator import State, Verdicts, group_starts, last_true
from alert_rules.rule import LONGEST_HOLD_MS
from telemetry.batches import Bool, Float64, Int32, Int64

KeyT = TypeVar("KeyT", bound=Hashable)

Change = Literal["pending", "fire", "rise", "cancel", "clear"]


@dataclass(frozen=True, slots=True)
class Transition:
    """A run of one row begins, fires, rises to ``level``, ends without firing, or clears.

    ``start_ms`` is when the condition became true, ``time_ms`` when this change is to be dated.
    """

    change: Change
    row: int
    level: int
    start_ms: int
    time_ms: int
    value: float
    peak: float


@dataclass(frozen=True, slots=True)
class ConditionSpan:
    """A time during which a condition held and fired.

    ``fired`` is the transition that fired, with the highest level that the span reached. Its
    ``peak`` is the worst value of the whole span once the span has ended, before that the worst
    value until it fired. ``end_ms`` is None while the span has not ended.
    """

    fired: Transition
    end_ms: int | None

    @property
    def start_ms(self) -> int:
        """When the condition became true."""
        return self.fired.start_ms

    @property
    def fired_ms(self) -> int:
        """When the condition had been true for its hold time."""
        return self.fired.time_ms

    @property
    def peak(self) -> float:
        """The worst value (see the class)."""
        return self.fired.peak

    @property
    def level(self) -> int:
        """The highest level, 1 for the first threshold."""
        return self.fired.level


class OpenSpans(Generic[KeyT]):
    """Folds transitions into condition spans, one transition after another.

    Contract: the transitions of one key come in the order of time, as ``advance`` gives them. Keys
    are independent of each other. Only conditions that fire have a span: ``pending`` and ``cancel``
    are ignored, and so are ``rise`` and ``clear`` of a span whose ``fire`` was not applied (it came
    before the fold began). A second ``fire`` of an open span raises ValueError.
    """

    def __init__(self) -> None:
        self._fired: dict[KeyT, Transition] = {}

    def apply(self, key: KeyT, transition: Transition) -> ConditionSpan | None:
        """Take one transition; returns the span that it ends, if it ends one."""
        fired = self._fired.get(key)
        if transition.change == "fire":
            if fired is not None:
                raise ValueError(f"{key} fires at {transition.time_ms} and has not been cleared")
            self._fired[key] = transition
        elif transition.change == "rise" and fired is not None:
            self._fired[key] = replace(fired, level=transition.level)
        elif transition.change == "clear" and fired is not None:
            del self._fired[key]
            return ConditionSpan(replace(fired, peak=transition.peak), transition.time_ms)
        return None

    def finish(self, end_ms: int | None = None) -> dict[KeyT, ConditionSpan]:
        """The spans that are still open, with ``end_ms`` as their end; forgets them."""
        spans = {key: ConditionSpan(fired, end_ms) for key, fired in self._fired.items()}
        self._fired.clear()
        return spans


def fold_transitions(
    transitions: Iterable[Transition], end_ms: int | None = None
) -> list[ConditionSpan]:
    """The condition spans of a whole sequence, by row as OpenSpans folds them.

    In the order in which they end; those that do not end come last, with ``end_ms`` as their end.
    """
    spans: OpenSpans[int] = OpenSpans()
    ended = [spans.apply(transition.row, transition) for transition in transitions]
    return [span for span in ended if span is not None] + list(spans.finish(end_ms).values())


class _Clocks:
    """The samples under way: whether they are on and firing, since when, and their worst values.

    Few rows have a run at any moment, so only those take room: by row, in order.
    """

    _FRESH = (0.0, 0.0, 0.0, -np.inf, 0.0, 0.0)
    TIME_MS, HELD_MS, START_MS, PEAK, ON, FIRING = range(6)

    def __init__(self) -> None:
        self._row = np.empty(0, np.int32)
        self._line = np.empty((6, 0))  # milliseconds are exact in float64 until the year 287,000

    def __len__(self) -> int:
        return len(self._row)

    @property
    def rows(self) -> Int32:
        """The rows that have a run."""
        return self._row

    @property
    def firing(self) -> Int32:
        """The rows whose run is firing."""
        firing: Int32 = self._row[self._line[self.FIRING] > 0]
        return firing

    def meet(self, row: Int32) -> bool:
        """Whether any of these rows (in order) has a run."""
        if not len(self._row) or not len(row):
            return False
        at = np.minimum(np.searchsorted(row, self._row), len(row) - 1)
        return bool((row[at] == self._row).any())

    def of(self, row: Int32) -> Float64:
        """The lines of rows (each once, in order)."""
        found = np.repeat(np.array(self._FRESH)[:, None], len(row), axis=1)
        if len(self._row):
            at = np.minimum(np.searchsorted(self._row, row), len(self._row) - 1)
            known = self._row[at] == row
            found[:, known] = self._line[:, at[known]]
        return found

    def keep(self, row: Int32, line: Float64, busy: Bool) -> None:
        """Remember the lines of busy rows, forget those of the others given."""
        known = np.sort(row)
        at = np.minimum(np.searchsorted(known, self._row), len(known) - 1)
        others = known[at] != self._row
        rows = np.concatenate([self._row[others], row[busy]])
        order = np.argsort(rows)
        self._row = rows[order]
        self._line = np.concatenate([self._line[:, others], line[:, busy]], axis=1)[:, order]


class _LevelHold:
    """One level (limit) of a rule, for all rows."""

    def __init__(self) -> None:
        self.size = 0
        self.clocks = _Clocks()

    def idle(self, row: Int32, on: Bool) -> bool:
        """Whether these verdicts cannot change anything."""
        return not on.any() and not self.clocks.meet(row)

    def touched_by(self, row: Int32) -> Bool:
        """For all rows, whether it is one of these or has a run."""
        touched = np.zeros(self.size, np.bool_)
        touched[self.clocks.rows] = True
        touched[row] = True
        return touched

    def state(self) -> State:
        """Everything remembered, an entry for each row."""
        line = self.clocks.of(np.arange(self.size, dtype=np.int32))
        time_ms, held_ms, start_ms, peak, on, firing = line
        return {
            "on": on > 0, "firing": firing > 0, "peak": peak, "time_ms": time_ms.astype(np.int64),
            "held_ms": held_ms.astype(np.int32), "start_ms": start_ms.astype(np.int64),
        }  # fmt: skip

    def restore(self, state: State) -> None:
        """Go on from a state, which may be shorter."""
        own = self.state()
        for name, array in own.items():
            source = state.get(name)
            if source is not None:
                array[: len(source)] = source[: len(array)]
        names = ("time_ms", "held_ms", "start_ms", "peak", "on", "firing")
        line = np.array([own[n] for n in names], np.float64)
        rows = np.arange(self.size, dtype=np.int32)
        self.clocks.keep(rows, line, own["on"].astype(np.bool_) | own["firing"].astype(np.bool_))


class HoldTime:
    """Hold and clear times of one rule, with severity levels. ``extremes`` is -1 for ``below``."""

    def __init__(self, levels: int, hold_ms: int, clear_after_ms: int, extremes: int = 1) -> None:
        self.levels = [_LevelHold() for _ in range(levels)]
        self._hold_ms = hold_ms
        self._clear_after_ms = clear_after_ms
        self._extremes = extremes
        self._gap_ms = np.empty(0, np.int64)

    def grow(self, gap_ms: Int64) -> None:
        """Make room; ``gap_ms`` holds each row's longest pause that is no missing data."""
        self._gap_ms = gap_ms
        for level in self.levels:
            level.size = len(gap_ms)

    @property
    def firing(self) -> Int32:
        """The rows that are firing, in order."""
        return self.levels[0].clocks.firing

    @property
    def on(self) -> Bool:
        """Which rows have their condition true or are firing still."""
        return self.levels[0].touched_by(np.empty(0, np.int32))

    def is_firing(self, row: int) -> bool:
        """Whether a row is firing."""
        return bool((self.firing == row).any())

    def peak_of(self, row: int) -> float:
        """The worst value of the run of a row."""
        line = self.levels[0].clocks.of(np.array([row], np.int32))
        return float(line[_Clocks.PEAK, 0]) * self._extremes

    def adopt(self, row: int, start_ms: int, time_ms: int, levels: int, *, firing: bool) -> None:
        """Take over a run that an earlier process had begun."""
        at, busy = np.array([row], np.int32), np.ones(1, np.bool_)
        held_ms = self._hold_ms if firing else 0
        for level in self.levels[:levels]:
            peak = level.clocks.of(at)[_Clocks.PEAK, 0]
            line = np.array([time_ms, held_ms, start_ms, peak, True, firing], np.float64)
            level.clocks.keep(at, line[:, None], busy)

    def advance(self, verdicts: Verdicts) -> list[Transition]:
        """Take verdicts in; give what they change, in the order of time."""
        found: list[Transition] = []
        for number, level in enumerate(self.levels, start=1):
            on = verdicts.level >= number
            if level.idle(verdicts.row, on):
                continue
            chosen = level.touched_by(verdicts.row[on])[verdicts.row]
            found += self._advance_level(number, level, verdicts.select(chosen), on[chosen])
        found.sort(key=lambda c: (c.time_ms, c.row, c.level))
        return found

    def _advance_level(
        self, number: int, state: _LevelHold, verdicts: Verdicts, on: Bool
    ) -> list[Transition]:
        row, time_ms = verdicts.row, verdicts.time_ms
        first = group_starts(row)
        head = row[first]
        line = state.clocks.of(head)
        known_ms, held_ms, known_start_ms = line[: _Clocks.PEAK].astype(np.int64)
        was_on, was_firing_before = line[_Clocks.ON] > 0, line[_Clocks.FIRING] > 0
        before = _shifted(on, first, was_on)
        before_ms = _shifted(time_ms, first, known_ms)
        same = on == before
        step = time_ms - before_ms
        step[~same | (step > self._gap_ms[row])] = 0

        # time credited within the run of equal verdicts that each entry belongs to
        total = np.cumsum(step)
        begins = first | ~same
        carried = np.where(same[first], held_ms, 0)
        base = np.where(begins, total, 0)
        base[first] -= step[first] + carried
        held = total - base[last_true(begins)]
        started = np.where(begins, time_ms, 0)
        started[first] = np.where(same[first], known_start_ms, time_ms[first])
        start_ms = started[last_true(begins)]

        need = np.where(on, self._hold_ms, self._clear_after_ms)
        before_held = held - step
        crossing = (held >= need) & (~same | (before_held < need))
        crossing[first] |= same[first] & (held[first] >= need[first])
        decided = crossing | first
        firing = np.where(crossing, on, False)
        firing[first] = np.where(crossing[first], on[first], was_firing_before)
        firing = firing[last_true(decided)]
        was_firing = _shifted(firing, first, was_firing_before)

        last = np.append(first[1:], True)
        fresh = ~same & on & ~was_firing
        named = _named(number, on, same, firing, was_firing)
        told = last.copy()
        for _, where in named:
            told |= where
        at = np.flatnonzero(told)
        peak = np.full(len(row), -np.inf)
        peak[at] = self._peaks(line[_Clocks.PEAK], verdicts, on, first, fresh, at)
        changes = self._transitions(number, verdicts, named, start_ms, peak)
        line[:] = (
            time_ms[last], np.minimum(held[last], LONGEST_HOLD_MS), start_ms[last], peak[last],
            on[last], firing[last],
        )  # fmt: skip
        state.clocks.keep(head, line, on[last] | firing[last])
        return changes

    def _peaks(
        self, before: Float64, verdicts: Verdicts, on: Bool, first: Bool, fresh: Bool, at: Int64
    ) -> Float64:
        """The worst value, since its run began, at each of some places.

        ``before`` is the worst value of each row's run before these verdicts.
        """
        begin = last_true(first | fresh)[at]
        value = np.where(on & np.isfinite(verdicts.value), verdicts.value * self._extremes, -np.inf)
        edges = np.stack([begin, at + 1], axis=1).ravel()
        worst: Float64 = np.maximum.reduceat(np.append(value, -np.inf), edges)[::2]
        own = (np.cumsum(first) - 1)[at]
        return np.where(fresh[begin], worst, np.maximum(worst, before[own]))

    def _transitions(
        self,
        number: int,
        verdicts: Verdicts,
        named: Sequence[tuple[Change, Bool]],
        start_ms: Int64,
        peak: Float64,
    ) -> list[Transition]:
        return [
            Transition(
                change, int(verdicts.row[i]), number, int(start_ms[i]),
                int(verdicts.time_ms[i]), float(verdicts.value[i]),
                float(peak[i]) * self._extremes,
            )
            for change, where in named
            for i in np.flatnonzero(where)
        ]  # fmt: skip

    def state(self) -> State:
        """Everything remembered."""
        return {
            f"{name}{i}": array
            for i, level in enumerate(self.levels)
            for name, array in level.state().items()
        }

    def restore(self, state: State) -> None:
        """Go on from a state."""
        for i, level in enumerate(self.levels):
            names = {n: state[f"{n}{i}"] for n in level.state() if f"{n}{i}" in state}
            level.restore(names)


def _named(
    number: int, on: Bool, same: Bool, firing: Bool, was_firing: Bool
) -> Sequence[tuple[Change, Bool]]:
    """Where each kind of change happens."""
    fire, clear = firing & ~was_firing, was_firing & ~firing
    if number > 1:
        return (("rise", fire),)
    return (
        ("pending", ~same & on & ~was_firing & ~firing),
        ("cancel", ~same & ~on & ~was_firing),
        ("fire", fire),
        ("clear", clear),
    )


def _shifted(array: NDArray[Any], first: Bool, heads: NDArray[Any]) -> NDArray[Any]:
    """``array`` one place later within each row, with ``heads`` at the rows' first places."""
    moved = np.empty_like(array)
    moved[1:] = array[:-1]
    moved[first] = heads
    return moved
