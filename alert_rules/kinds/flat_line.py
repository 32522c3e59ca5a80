"""A value that does not move: a stuck sensor, or a frozen reading sent again and again."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluation import Evaluator, Runs, State, Verdicts
from alert_rules.schema import Limit, Rule, Severity
from alert_rules.steps import Stepper, Windows
from telemetry.batches import Bool, Int64
from telemetry.durations import DurationMs
from telemetry.series import Series

_STEPS = 6


class FlatLineRule(Rule):
    """True when the value moved by no more than ``tolerance`` during ``window``.

    Judged each sixth of a window. Values at ``ignore`` (a quiet gauge at zero) are no flat line.
    """

    kind: Literal["flat_line"]
    window: Annotated[DurationMs, Field(ge=6)]
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    ignore: tuple[float, ...] = ()
    severity: Severity = Severity.INFO

    @property
    def limits(self) -> tuple[Limit, ...]:
        """None that a chart could draw."""
        return ()

    @property
    def averaging_ms(self) -> int | None:
        """The window."""
        return self.window

    def evaluator(self) -> Evaluator:
        """A fresh evaluator."""
        return FlatLineEvaluator(self)


class FlatLineEvaluator(Evaluator):
    """Remembers the lowest and highest value of each step of the window."""

    def __init__(self, rule: FlatLineRule) -> None:
        super().__init__()
        self._rule = rule
        self._stepper = Stepper(rule.window // _STEPS, extremes=True)
        self._low = Windows(_STEPS)
        self._high = Windows(_STEPS)

    def wants(self, series: Series) -> bool:
        """Every selected series."""
        return self._rule.select.matches(series)

    def grow(self, size: int) -> None:
        """Make room for ``size`` slots."""
        for part in (self._stepper, self._low, self._high):
            part.grow(size)

    def gap_ms(self, given_ms: int | None) -> Int64:
        """Verdicts come once a step."""
        return self.members.gap_ms(given_ms, self._stepper.step_ms)

    def evaluate(self, runs: Runs) -> Verdicts:
        """One verdict for each step whose window is complete; its value is the reading."""
        slot, meant = self.members.pick(runs)
        value = runs.value if meant is None else runs.value[meant]
        time_ms = runs.time_ms if meant is None else runs.time_ms[meant]
        steps = self._stepper.advance(slot, time_ms, value)
        if steps is None:
            return Verdicts.none()
        low = self._low.look_back(steps.slot, steps.number, steps.low)
        high = self._high.look_back(steps.slot, steps.number, steps.high)
        whole: Bool = np.asarray(~np.isnan(low).any(axis=1))
        still = high.max(axis=1) - low.min(axis=1)  # NaN where the window is not whole
        flat = still <= self._rule.tolerance
        for value_at_rest in self._rule.ignore:
            flat &= np.abs(steps.mean - value_at_rest) > self._rule.tolerance
        at = steps.slot[whole]
        end_ms = self._stepper.end_ms(steps.number[whole])
        return Verdicts(at, end_ms, flat[whole].astype(np.int8), steps.mean[whole])

    def state(self) -> State:
        """The step under way and the steps of the window."""
        lows = {f"low.{k}": v for k, v in self._low.state().items()}
        highs = {f"high.{k}": v for k, v in self._high.state().items()}
        return self._stepper.state() | lows | highs

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._stepper.restore(state)
        for prefix, part in (("low.", self._low), ("high.", self._high)):
            n = len(prefix)
            part.restore({k[n:]: v for k, v in state.items() if k.startswith(prefix)})
