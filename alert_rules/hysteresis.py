"""Hysteresis over time: a comparison that becomes true at its limit and false at another value."""

import numpy as np

from alert_rules.evaluator import State, as_index, group_starts, grown, last_true, one_per_row
from alert_rules.rule import Threshold
from telemetry.batches import Bool, Float64, Int32


class ThresholdHysteresis:
    """Remembers for each row whether a threshold is breached and not yet cleared."""

    def __init__(self, threshold: Threshold) -> None:
        self._bound = threshold
        self.on = np.empty(0, np.bool_)
        self._count = 0

    def grow(self, size: int) -> None:
        """Make room for ``size`` rows; a threshold without a margin has nothing to remember."""
        if self._bound.margin != 0.0:
            self.on = grown(self.on, size, False)

    def follow(self, row: Int32, value: Float64) -> Bool:
        """Whether the condition holds at each value; entries by row, then time."""
        breached = self._bound.breached(value)
        if self._bound.margin == 0.0 or not len(row):
            return breached
        if not self._count and not breached.any():
            return breached
        cleared = self._bound.cleared(value)
        if one_per_row(row):
            at = as_index(row, len(self.on))
            now: Bool = breached | (self.on[at] & ~cleared)
            self.on[at] = now
            self._count = int(np.count_nonzero(self.on))
            return now
        first = group_starts(row)
        decided = breached | cleared | first
        on = breached.copy()
        undecided = first & ~breached & ~cleared
        on[undecided] = self.on[row[undecided]]
        on = on[last_true(decided)]
        last = np.append(first[1:], True)
        self.on[row[last]] = on[last]
        self._count = int(np.count_nonzero(self.on))
        return on

    def restore(self, on: Bool) -> None:
        """Go on from a state."""
        self.on[: len(on)] = on[: len(self.on)]
        self._count = int(np.count_nonzero(self.on))


class Hysteresis:
    """The latches of all thresholds of a rule: from values to levels."""

    def __init__(self, thresholds: tuple[Threshold, ...]) -> None:
        self._hysteresis = [ThresholdHysteresis(b) for b in thresholds]

    def grow(self, size: int) -> None:
        """Make room for ``size`` rows."""
        for latch in self._hysteresis:
            latch.grow(size)

    def levels(self, row: Int32, value: Float64) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
        """How many thresholds, from the mildest on, hold at each value; entries by row, then time."""
        first, *further = self._hysteresis
        on = first.follow(row, value)
        level = on.astype(np.int8)
        for latch in further:
            on = on & latch.follow(row, value)
            level += on
        return level

    def state(self) -> State:
        """Everything remembered."""
        return {f"latch{i}": latch.on for i, latch in enumerate(self._hysteresis) if len(latch.on)}

    def restore(self, state: State) -> None:
        """Go on from a state."""
        for i, latch in enumerate(self._hysteresis):
            if f"latch{i}" in state:
                latch.restore(state[f"latch{i}"].astype(np.bool_))
