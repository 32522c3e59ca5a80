"""Hold times: from verdicts to transitions, and from transitions to condition spans.

A condition that becomes true begins a span. The span fires once the condition has been true for
``hold``; a span that fires ends once the condition has been false for ``clear_after``. Both times
are measured by the samples' own time and stand still while data is missing.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from alert_rules.evaluator import State, Verdicts, copy_state, group_starts, last_true
from alert_rules.rule import LONGEST_HOLD_MS
from telemetry.batches import Bool, Float64, Int32, Int64

KeyT = TypeVar("KeyT", bound=Hashable)

Change = Literal["pending", "fire", "rise", "cancel", "clear"]


@dataclass(frozen=True, slots=True)
class Transition:
    """The span of one row begins (pending), fires, rises to ``level``, is cancelled, or clears.

    A span that ends before it fires is cancelled. ``start_ms`` is when the condition became true,
    ``time_ms`` the time of this change, ``peak`` the worst value of the span so far.
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
    """A span that fired: a time during which a condition was true.

    ``fired`` is the transition that fired, with the highest level that the span reached and the
    value at which it reached it. Until the span has ended, ``peak`` is the worst value up to the
    moment it fired. Once it has ended, ``peak`` is the worst value of the whole span. ``end_ms`` is
    None while the span has not ended.
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
            self._fired[key] = replace(fired, level=transition.level, value=transition.value)
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


class _ActiveRows:
    """The open spans: whether the condition is true and whether it fires, since when, and the peaks.

    Few rows have a span at any moment, so only those are stored: one column each, sorted by row.
    """

    _NEW = (0.0, 0.0, 0.0, -np.inf, 0.0, 0.0)
    TIME_MS, HELD_MS, START_MS, PEAK, ON, FIRING = range(6)

    def __init__(self) -> None:
        self.row = np.empty(0, np.int32)
        self._column = np.empty((6, 0))  # milliseconds are exact in float64 until the year 287,000

    def __len__(self) -> int:
        return len(self.row)

    @property
    def firing(self) -> Int32:
        """The rows whose span is firing."""
        firing: Int32 = self.row[self._column[self.FIRING] > 0]
        return firing

    def includes_any(self, row: Int32) -> bool:
        """True if any of these rows (sorted) has a span."""
        if not len(self.row) or not len(row):
            return False
        at = np.minimum(np.searchsorted(row, self.row), len(row) - 1)
        return bool((row[at] == self.row).any())

    def get(self, row: Int32) -> Float64:
        """The columns of rows (distinct, sorted); a row without a span gets a new column."""
        found = np.repeat(np.array(self._NEW)[:, None], len(row), axis=1)
        if len(self.row):
            at = np.minimum(np.searchsorted(self.row, row), len(self.row) - 1)
            known = self.row[at] == row
            found[:, known] = self._column[:, at[known]]
        return found

    def put(self, row: Int32, column: Float64, active: Bool) -> None:
        """Store the columns of the active ones among these rows; remove the others."""
        known = np.sort(row)
        at = np.minimum(np.searchsorted(known, self.row), len(known) - 1)
        others = known[at] != self.row
        rows = np.concatenate([self.row[others], row[active]])
        order = np.argsort(rows)
        self.row = rows[order]
        self._column = np.concatenate([self._column[:, others], column[:, active]], axis=1)[
            :, order
        ]


class _LevelState:
    """The spans of one level (threshold) of a rule."""

    def __init__(self) -> None:
        self.size = 0
        self.active = _ActiveRows()

    def is_unaffected(self, row: Int32, on: Bool) -> bool:
        """True if these verdicts cannot change anything."""
        return not on.any() and not self.active.includes_any(row)

    def active_or_in(self, row: Int32) -> Bool:
        """For all rows, whether the row is one of these or has a span."""
        mask = np.zeros(self.size, np.bool_)
        mask[self.active.row] = True
        mask[row] = True
        return mask

    def state(self) -> State:
        """The whole state, an entry for each row."""
        column = self.active.get(np.arange(self.size, dtype=np.int32))
        time_ms, held_ms, start_ms, peak, on, firing = column
        return {
            "on": on > 0, "firing": firing > 0, "peak": peak, "time_ms": time_ms.astype(np.int64),
            "held_ms": held_ms.astype(np.int32), "start_ms": start_ms.astype(np.int64),
        }  # fmt: skip

    def restore(self, state: State) -> None:
        """Continue from a saved state, which may have fewer rows."""
        own = self.state()
        copy_state(state, own)
        names = ("time_ms", "held_ms", "start_ms", "peak", "on", "firing")
        column = np.array([own[n] for n in names], np.float64)
        rows = np.arange(self.size, dtype=np.int32)
        self.active.put(rows, column, own["on"].astype(np.bool_) | own["firing"].astype(np.bool_))


class HoldTime:
    """Hold time and clear time of one rule, for each of its levels.

    ``worst_sign`` is 1 if higher values are worse, -1 if lower ones are.
    """

    def __init__(
        self, level_count: int, hold_ms: int, clear_after_ms: int, worst_sign: int = 1
    ) -> None:
        self.levels = [_LevelState() for _ in range(level_count)]
        self._hold_ms = hold_ms
        self._clear_after_ms = clear_after_ms
        self._worst_sign = worst_sign
        self._gap_ms = np.empty(0, np.int64)

    def grow(self, gap_ms: Int64) -> None:
        """Extend the state; ``gap_ms`` is each row's longest pause that is not missing data."""
        self._gap_ms = gap_ms
        for level in self.levels:
            level.size = len(gap_ms)

    @property
    def firing(self) -> Int32:
        """The rows that are firing, sorted."""
        return self.levels[0].active.firing

    @property
    def on(self) -> Bool:
        """For all rows, whether the condition is true or the row is still firing."""
        return self.levels[0].active_or_in(np.empty(0, np.int32))

    def is_firing(self, row: int) -> bool:
        """True if the row is firing."""
        return bool((self.firing == row).any())

    def peak_of(self, row: int) -> float:
        """The worst value of the span of a row."""
        column = self.levels[0].active.get(np.array([row], np.int32))
        return float(column[_ActiveRows.PEAK, 0]) * self._worst_sign

    def adopt(
        self, row: int, start_ms: int, time_ms: int, level_count: int, *, firing: bool
    ) -> None:
        """Take over a span that began in an earlier process, at the first ``level_count`` levels."""
        at, active = np.array([row], np.int32), np.ones(1, np.bool_)
        held_ms = self._hold_ms if firing else 0
        for level in self.levels[:level_count]:
            peak = level.active.get(at)[_ActiveRows.PEAK, 0]
            column = np.array([time_ms, held_ms, start_ms, peak, True, firing], np.float64)
            level.active.put(at, column[:, None], active)

    def advance(self, verdicts: Verdicts) -> list[Transition]:
        """The transitions that these verdicts cause, in the order of time."""
        found: list[Transition] = []
        for number, level in enumerate(self.levels, start=1):
            on = verdicts.level >= number
            if level.is_unaffected(verdicts.row, on):
                continue
            affected = level.active_or_in(verdicts.row[on])[verdicts.row]
            found += self._advance_level(number, level, verdicts.select(affected), on[affected])
        found.sort(key=lambda t: (t.time_ms, t.row, t.level))
        return found

    def _advance_level(
        self, number: int, state: _LevelState, verdicts: Verdicts, on: Bool
    ) -> list[Transition]:
        row, time_ms = verdicts.row, verdicts.time_ms
        first = group_starts(row)
        head = row[first]
        column = state.active.get(head)
        known_ms, held_ms, known_start_ms = column[: _ActiveRows.PEAK].astype(np.int64)
        was_on, was_firing_before = column[_ActiveRows.ON] > 0, column[_ActiveRows.FIRING] > 0
        before = _shifted(on, first, was_on)
        before_ms = _shifted(time_ms, first, known_ms)
        same = on == before
        elapsed = time_ms - before_ms
        elapsed[~same | (elapsed > self._gap_ms[row])] = 0

        # held: the time credited to the sequence of equal verdicts that each entry belongs to
        total = np.cumsum(elapsed)
        begins = first | ~same
        carried = np.where(same[first], held_ms, 0)
        base = np.where(begins, total, 0)
        base[first] -= elapsed[first] + carried
        held = total - base[last_true(begins)]
        started = np.where(begins, time_ms, 0)
        started[first] = np.where(same[first], known_start_ms, time_ms[first])
        start_ms = started[last_true(begins)]

        required = np.where(on, self._hold_ms, self._clear_after_ms)
        crossing = (held >= required) & (~same | (held - elapsed < required))
        crossing[first] |= same[first] & (held[first] >= required[first])
        decided = crossing | first
        firing = np.where(crossing, on, False)
        firing[first] = np.where(crossing[first], on[first], was_firing_before)
        firing = firing[last_true(decided)]
        was_firing = _shifted(firing, first, was_firing_before)

        last = np.append(first[1:], True)
        new_span = ~same & on & ~was_firing
        changes = _changes(number, on, same, firing, was_firing)
        needs_peak = last.copy()
        for _, where in changes:
            needs_peak |= where
        at = np.flatnonzero(needs_peak)
        peak = np.full(len(row), -np.inf)
        peak[at] = self._peaks(column[_ActiveRows.PEAK], verdicts, on, first, new_span, at)
        transitions = self._transitions(number, verdicts, changes, start_ms, peak)
        column[:] = (
            time_ms[last], np.minimum(held[last], LONGEST_HOLD_MS), start_ms[last], peak[last],
            on[last], firing[last],
        )  # fmt: skip
        state.active.put(head, column, on[last] | firing[last])
        return transitions

    def _peaks(
        self, before: Float64, verdicts: Verdicts, on: Bool, first: Bool, new_span: Bool, at: Int64
    ) -> Float64:
        """The worst value of the span, up to each of the entries ``at``.

        ``before`` is the worst value of each row's span before these verdicts.
        """
        begin = last_true(first | new_span)[at]
        known = on & np.isfinite(verdicts.value)
        value = np.where(known, verdicts.value * self._worst_sign, -np.inf)
        edges = np.stack([begin, at + 1], axis=1).ravel()
        worst: Float64 = np.maximum.reduceat(np.append(value, -np.inf), edges)[::2]
        own = (np.cumsum(first) - 1)[at]
        return np.where(new_span[begin], worst, np.maximum(worst, before[own]))

    def _transitions(
        self,
        number: int,
        verdicts: Verdicts,
        changes: Sequence[tuple[Change, Bool]],
        start_ms: Int64,
        peak: Float64,
    ) -> list[Transition]:
        return [
            Transition(
                change, int(verdicts.row[i]), number, int(start_ms[i]),
                int(verdicts.time_ms[i]), float(verdicts.value[i]),
                float(peak[i]) * self._worst_sign,
            )
            for change, where in changes
            for i in np.flatnonzero(where)
        ]  # fmt: skip

    def state(self) -> State:
        """The whole state, an entry for each row."""
        return {
            f"{name}{i}": array
            for i, level in enumerate(self.levels)
            for name, array in level.state().items()
        }

    def restore(self, state: State) -> None:
        """Continue from a saved state."""
        for i, level in enumerate(self.levels):
            level.restore({n: state[f"{n}{i}"] for n in level.state() if f"{n}{i}" in state})


def _changes(
    number: int, on: Bool, same: Bool, firing: Bool, was_firing: Bool
) -> Sequence[tuple[Change, Bool]]:
    """At which entries each kind of change happens."""
    fire = firing & ~was_firing
    if number > 1:
        return (("rise", fire),)
    return (
        ("pending", ~same & on & ~was_firing & ~firing),
        ("cancel", ~same & ~on & ~was_firing),
        ("fire", fire),
        ("clear", was_firing & ~firing),
    )


def _shifted(array: NDArray[Any], first: Bool, heads: NDArray[Any]) -> NDArray[Any]:
    """``array`` moved by one entry within each row; ``heads`` fills the first entries."""
    moved = np.empty_like(array)
    moved[1:] = array[:-1]
    moved[first] = heads
    return moved
