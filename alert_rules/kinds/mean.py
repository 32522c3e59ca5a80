"""A mean over a window of time against limits: rolling, or by the clock."""

from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluation import Evaluator, Runs, State, Verdicts
from alert_rules.latches import Latches
from alert_rules.limits import LimitedRule
from alert_rules.steps import Stepper, Steps, Windows
from telemetry.batches import Bool, Float64, Int64
from telemetry.durations import DurationMs, format_duration
from telemetry.quantities import QUANTITIES
from telemetry.series import Series

MAX_STEPS = 400
_ROLLING_STEPS = 12


class MeanRule(LimitedRule):
    """The mean of the steps of a window is compared with the limits.

    Rolling: each time a step ends, over the ``window`` before. ``aligned``: once a window, by
    local clock and calendar (windows of 24 h are days). A step counts where at least
    ``completeness`` of its samples came, a window where at least that share of its steps counts.
    ``energy`` averages sound levels as energies, which is the only mean that they have.
    """

    kind: Literal["mean"]
    window: Annotated[DurationMs, Field(gt=0)]
    step: DurationMs = 0
    aligned: bool = False
    completeness: Annotated[float, Field(ge=0, le=1)] = 0.75
    energy: bool = False

    @property
    def step_ms(self) -> int:
        """The length of a step; where none is given, a twelfth of the window (aligned: all of it)."""
        return self.step or (self.window if self.aligned else max(self.window // _ROLLING_STEPS, 1))

    @property
    def averaging_ms(self) -> int | None:
        """The window."""
        return self.window

    def complaints(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Contradictions between the fields."""
        yield from super().complaints()
        if self.step_ms > self.window:
            long, short = format_duration(self.step_ms), format_duration(self.window)
            yield (
                ("step",),
                f"{long} is longer than the window of {short}; a window holds whole steps",
            )
        elif self.window % self.step_ms:
            yield ("step",), f"must divide the window of {format_duration(self.window)} exactly"
        elif self.window // self.step_ms > MAX_STEPS:
            yield ("step",), f"is too short: a window has at most {MAX_STEPS} steps"
        for name in self.select.quantity:
            if name in QUANTITIES and (QUANTITIES[name].circular or QUANTITIES[name].cumulative):
                yield ("select", "quantity"), f"{name} has no mean (an angle or a counter)"
            elif name in QUANTITIES and (QUANTITIES[name].unit == "dB[A]") != self.energy:
                yield (
                    ("energy",),
                    f"must be {not self.energy} for {name}: levels are energies".lower(),
                )

    def evaluator(self) -> Evaluator:
        """A fresh evaluator."""
        return MeanEvaluator(self)


class MeanEvaluator(Evaluator):
    """Remembers the step under way and the steps of the window."""

    def __init__(self, rule: MeanRule) -> None:
        super().__init__()
        self._rule = rule
        self._length = rule.window // rule.step_ms
        self._stepper = Stepper(rule.step_ms)
        self._windows = Windows(self._length)
        self._latches = Latches(rule.bounds)
        self._need = np.empty(0, np.float64)

    def wants(self, series: Series) -> bool:
        """Every selected series."""
        return self._rule.select.matches(series)

    def grow(self, size: int) -> None:
        """Make room for ``size`` slots."""
        self._stepper.grow(size)
        self._windows.grow(size)
        self._latches.grow(size)
        self._need = samples_needed(
            self.members.interval_ms, self._rule.step_ms, self._rule.completeness
        )

    def gap_ms(self, given_ms: int | None) -> Int64:
        """Verdicts come once a step, or once a window."""
        cadence = self._rule.window if self._rule.aligned else self._rule.step_ms
        return self.members.gap_ms(given_ms, cadence)

    def evaluate(self, runs: Runs) -> Verdicts:
        """One verdict for each window that has become complete."""
        slot, meant = self.members.pick(runs)
        value = runs.value if meant is None else runs.value[meant]
        time_ms = runs.time_ms if meant is None else runs.time_ms[meant]
        if self._rule.energy:
            value = 10.0 ** (value / 10.0)
        steps = self._stepper.advance(slot, time_ms, value)
        if steps is None:
            return Verdicts.none()
        return self._judge(steps)

    def _judge(self, steps: Steps) -> Verdicts:
        counts = steps.count >= self._need[steps.slot]
        value = np.where(counts, steps.mean, np.nan)
        window = self._windows.look_back(steps.slot, steps.number, value)
        number = steps.number
        if self._rule.aligned:
            ends = steps.following // self._length > number // self._length
            window[np.arange(self._length) > (number % self._length)[:, None]] = np.nan
            number = (number // self._length + 1) * self._length - 1
        else:
            ends = np.ones(len(steps), np.bool_)
        mean, enough = mean_of(window, self._rule.completeness)
        told: Bool = ends & enough
        slot, mean = steps.slot[told], mean[told]
        if self._rule.energy:
            mean = 10.0 * np.log10(mean)
        return Verdicts(
            slot, self._stepper.end_ms(number[told]), self._latches.levels(slot, mean), mean
        )

    def state(self) -> State:
        """The step under way, the window, the latches."""
        return self._stepper.state() | self._windows.state() | self._latches.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        for part in (self._stepper, self._windows, self._latches):
            part.restore(state)


def samples_needed(interval_ms: Int64, step_ms: int, completeness: float) -> Float64:
    """How many samples make a step count: a share of those expected, one where that is unknown."""
    expected = np.where(interval_ms > 0, step_ms / np.maximum(interval_ms, 1), 1.0)
    return np.maximum(np.floor(expected * completeness), 1.0)


def mean_of(window: Float64, completeness: float) -> tuple[Float64, Bool]:
    """The mean of each row's numbers, and whether enough of them are there."""
    there = ~np.isnan(window)
    count = there.sum(axis=1)
    total = np.where(there, window, 0.0).sum(axis=1)
    enough = (count > 0) & (count >= completeness * window.shape[1])
    return total / np.maximum(count, 1), enough
