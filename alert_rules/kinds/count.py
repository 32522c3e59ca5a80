"""How often a limit was exceeded within a window: "more than three hours above 200 a day"."""

from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluation import Evaluator, Runs, State, Verdicts
from alert_rules.kinds.mean import MAX_STEPS, samples_needed
from alert_rules.limits import LimitedRule
from alert_rules.steps import Stepper, Windows
from telemetry.batches import Int64
from telemetry.durations import DurationMs, format_duration
from telemetry.series import Series


class CountRule(LimitedRule):
    """True when at least ``count`` steps of the window have a mean past the first limit.

    The alert's value is that number of steps.
    """

    kind: Literal["count"]
    window: Annotated[DurationMs, Field(gt=0)] = 86_400_000
    step: Annotated[DurationMs, Field(gt=0)] = 3_600_000
    count: Annotated[int, Field(ge=1)]
    completeness: Annotated[float, Field(ge=0, le=1)] = 0.75

    @property
    def averaging_ms(self) -> int | None:
        """The step whose mean is compared."""
        return self.step

    def complaints(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Contradictions between the fields."""
        yield from super().complaints()
        if self.window % self.step or self.window // self.step > MAX_STEPS:
            yield (
                ("step",),
                (
                    f"must divide the window of {format_duration(self.window)} into at most {MAX_STEPS}"
                ),
            )
        elif self.count > self.window // self.step:
            yield ("count",), f"a window has only {self.window // self.step} steps"
        if self.levels:
            yield ("levels",), "this kind has one limit"

    def evaluator(self) -> Evaluator:
        """A fresh evaluator."""
        return CountEvaluator(self)


class CountEvaluator(Evaluator):
    """Remembers which steps of the window were past the limit."""

    def __init__(self, rule: CountRule) -> None:
        super().__init__()
        self._rule = rule
        self._bound = rule.bounds[0]
        self._stepper = Stepper(rule.step)
        self._windows = Windows(rule.window // rule.step, truths=True)
        self._need = np.empty(0, np.float64)

    def wants(self, series: Series) -> bool:
        """Every selected series."""
        return self._rule.select.matches(series)

    def grow(self, size: int) -> None:
        """Make room for ``size`` slots."""
        self._stepper.grow(size)
        self._windows.grow(size)
        self._need = samples_needed(
            self.members.interval_ms, self._rule.step, self._rule.completeness
        )

    def gap_ms(self, given_ms: int | None) -> Int64:
        """Verdicts come once a step."""
        return self.members.gap_ms(given_ms, self._rule.step)

    def evaluate(self, runs: Runs) -> Verdicts:
        """One verdict for each step that is complete."""
        slot, meant = self.members.pick(runs)
        value = runs.value if meant is None else runs.value[meant]
        time_ms = runs.time_ms if meant is None else runs.time_ms[meant]
        steps = self._stepper.advance(slot, time_ms, value)
        if steps is None:
            return Verdicts.none()
        past = self._bound.breached(steps.mean).astype(np.float64)
        past[steps.count < self._need[steps.slot]] = np.nan
        window = self._windows.look_back(steps.slot, steps.number, past)
        number = np.nansum(window, axis=1)
        level = (number >= self._rule.count).astype(np.int8)
        return Verdicts(steps.slot, self._stepper.end_ms(steps.number), level, number)

    def state(self) -> State:
        """The step under way and the window."""
        return self._stepper.state() | self._windows.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._stepper.restore(state)
        self._windows.restore(state)
