"""Hysteresis: a comparison becomes true at its threshold and false again only at another value."""

import numpy as np
from numpy.typing import NDArray

from alert_rules.evaluator import State, as_index, group_starts, grown, last_true, one_per_row
from alert_rules.rule import Threshold
from telemetry.batches import Bool, Float64, Int32


class _ThresholdHysteresis:
    """For one threshold, which rows are past it and not yet cleared."""

    def __init__(self, threshold: Threshold) -> None:
        self._threshold = threshold
        self.on = np.empty(0, np.bool_)
        self._count = 0

    def grow(self, size: int) -> None:
        """Extend to ``size`` rows; a threshold without a margin has no state."""
        if self._threshold.margin != 0.0:
            self.on = grown(self.on, size, False)

    def is_on(self, row: Int32, value: Float64) -> Bool:
        """Whether the condition is true at each value; sorted by row, then time."""
        breached = self._threshold.breached(value)
        if self._threshold.margin == 0.0 or not len(row):
            return breached
        if not self._count and not breached.any():
            return breached
        cleared = self._threshold.cleared(value)
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
        """Continue from a saved state."""
        self.on[: len(on)] = on[: len(self.on)]
        self._count = int(np.count_nonzero(self.on))


class Hysteresis:
    """The hysteresis of all thresholds of a rule: from values to levels."""

    def __init__(self, thresholds: tuple[Threshold, ...]) -> None:
        self._thresholds = [_ThresholdHysteresis(t) for t in thresholds]

    def grow(self, size: int) -> None:
        """Extend the state to ``size`` rows."""
        for threshold in self._thresholds:
            threshold.grow(size)

    def levels(self, row: Int32, value: Float64) -> NDArray[np.int8]:
        """How many thresholds, from the mildest on, are passed at each value.

        Entries are sorted by row, then time.
        """
        first, *further = self._thresholds
        on = first.is_on(row, value)
        level = on.astype(np.int8)
        for threshold in further:
            on = on & threshold.is_on(row, value)
            level += on
        return level

    def state(self) -> State:
        """Which rows are past each threshold."""
        return {f"threshold{i}": t.on for i, t in enumerate(self._thresholds) if len(t.on)}

    def restore(self, state: State) -> None:
        """Continue from a saved state."""
        for i, threshold in enumerate(self._thresholds):
            if f"threshold{i}" in state:
                threshold.restore(state[f"threshold{i}"].astype(np.bool_))
