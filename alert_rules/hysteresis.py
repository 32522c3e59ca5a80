"""Hysteresis over time: a comparison that becomes true at its limit and false at another value."""

import numpy as np

from alert_rules.evaluator import State, grown, is_single, last_true, places, run_starts
from alert_rules.thresholds import Bound
from telemetry.batches import Bool, Float64, Int32


class Latch:
    """Remembers for each slot whether a bound is breached and not yet cleared."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound
        self.on = np.empty(0, np.bool_)
        self._count = 0

    def grow(self, size: int) -> None:
        """Make room for ``size`` slots; a bound without a margin has nothing to remember."""
        if self._bound.margin != 0.0:
            self.on = grown(self.on, size, False)

    def follow(self, slot: Int32, value: Float64) -> Bool:
        """Whether the condition holds at each value; entries by slot, then time."""
        breached = self._bound.breached(value)
        if self._bound.margin == 0.0 or not len(slot):
            return breached
        if not self._count and not breached.any():
            return breached
        cleared = self._bound.cleared(value)
        if is_single(slot):
            at = places(slot, len(self.on))
            now: Bool = breached | (self.on[at] & ~cleared)
            self.on[at] = now
            self._count = int(np.count_nonzero(self.on))
            return now
        first = run_starts(slot)
        decided = breached | cleared | first
        on = breached.copy()
        undecided = first & ~breached & ~cleared
        on[undecided] = self.on[slot[undecided]]
        on = on[last_true(decided)]
        last = np.append(first[1:], True)
        self.on[slot[last]] = on[last]
        self._count = int(np.count_nonzero(self.on))
        return on

    def restore(self, on: Bool) -> None:
        """Go on from a state."""
        self.on[: len(on)] = on[: len(self.on)]
        self._count = int(np.count_nonzero(self.on))


class Latches:
    """The latches of all bounds of a rule: from values to levels."""

    def __init__(self, bounds: tuple[Bound, ...]) -> None:
        self._latches = [Latch(b) for b in bounds]

    def grow(self, size: int) -> None:
        """Make room for ``size`` slots."""
        for latch in self._latches:
            latch.grow(size)

    def levels(self, slot: Int32, value: Float64) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
        """How many bounds, from the mildest on, hold at each value; entries by slot, then time."""
        first, *further = self._latches
        on = first.follow(slot, value)
        level = on.astype(np.int8)
        for latch in further:
            on = on & latch.follow(slot, value)
            level += on
        return level

    def state(self) -> State:
        """Everything remembered."""
        return {f"latch{i}": latch.on for i, latch in enumerate(self._latches) if len(latch.on)}

    def restore(self, state: State) -> None:
        """Go on from a state."""
        for i, latch in enumerate(self._latches):
            if f"latch{i}" in state:
                latch.restore(state[f"latch{i}"].astype(np.bool_))
