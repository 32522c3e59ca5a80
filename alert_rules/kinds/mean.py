"""A mean over a window of time against limits: rolling, or by the clock."""

from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluator import RuleKind, Runs, State, Verdicts
from alert_rules.hysteresis import Latches
from alert_rules.shared_windows import Asked, StepEvaluator
from alert_rules.thresholds import LimitedRule
from alert_rules.windows import Steps
from telemetry.batches import Bool, Float64, Int64
from telemetry.durations import DurationMs, format_duration
from telemetry.quantities import QUANTITIES

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


class MeanEvaluator(StepEvaluator):
    """Reads windows of steps; keeps the latches."""

    def __init__(self, rule: MeanRule) -> None:
        self._rule = rule
        self._length = rule.window // rule.step_ms
        self._latches = Latches(rule.bounds)
        asked = Asked(
            length=self._length, completeness=rule.completeness, by_the_clock=rule.aligned
        )
        super().__init__(rule.select, rule.step_ms, asked, energy=rule.energy)

    def grow(self, size: int) -> None:
        """Make room for ``size`` slots."""
        self._latches.grow(size)

    def gap_ms(self, given_ms: int | None) -> Int64:
        """Verdicts come once a step, or once a window."""
        cadence = self._rule.window if self._rule.aligned else self._rule.step_ms
        return self.members.gap_ms(given_ms, cadence)

    def evaluate(self, runs: Runs) -> Verdicts:
        """One verdict for each window that has become complete."""
        steps = self.steps.advance(runs)
        return Verdicts.none() if steps is None else self._judge(steps)

    def _judge(self, steps: Steps) -> Verdicts:
        if self._rule.aligned:
            ended = self.steps.ended(self.asked)
            number = (steps.number[ended.place] // self._length + 1) * self._length - 1
            steps, mean = steps.select(ended.place), ended.mean
            told = _enough(ended.count, self._rule.completeness, self._length)
        else:
            number = steps.number
            mean, told = mean_of(self.steps.look_back(self.asked), self._rule.completeness)
        slot, mine = self.steps.slots_in(self.members, steps)
        if mine is not None:
            number, mean, told = number[mine], mean[mine], told[mine]
        slot, mean = slot[told], mean[told]
        if self._rule.energy:
            mean = 10.0 * np.log10(mean)
        return Verdicts(
            slot, self.steps.end_ms(number[told]), self._latches.levels(slot, mean), mean
        )

    def state(self) -> State:
        """The steps and the latches."""
        return super().state() | self._latches.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        super().restore(state)
        self._latches.restore(state)


KIND = RuleKind(MeanRule, MeanEvaluator)


def mean_of(window: Float64, completeness: float) -> tuple[Float64, Bool]:
    """The mean of each row's numbers, and whether enough of them are there."""
    there = ~np.isnan(window)
    count = there.sum(axis=1)
    total = np.where(there, window, 0.0).sum(axis=1)
    return total / np.maximum(count, 1), _enough(count, completeness, window.shape[1])


def _enough(count: Int64, completeness: float, length: int) -> Bool:
    return (count > 0) & (count >= completeness * length)
