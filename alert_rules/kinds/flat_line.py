"""A value that does not move: a stuck sensor, or a frozen reading sent again and again."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluator import RuleKind, Runs, State, Verdicts
from alert_rules.rule import Limit, Rule, Severity
from alert_rules.shared_windows import Asked, StepEvaluator
from alert_rules.windows import Windows
from telemetry.batches import Bool
from telemetry.durations import DurationMs

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


class FlatLineEvaluator(StepEvaluator):
    """Remembers the lowest and highest value of each step of the window."""

    def __init__(self, rule: FlatLineRule) -> None:
        self._rule = rule
        step_ms = rule.window // _STEPS
        self._low = Windows(_STEPS, step_ms, coarse=True)
        self._high = Windows(_STEPS, step_ms, coarse=True)
        super().__init__(rule.select, step_ms, Asked(extremes=True))

    def grow(self, size: int) -> None:
        """Make room for ``size`` slots."""
        self._low.grow(size)
        self._high.grow(size)

    def evaluate(self, runs: Runs) -> Verdicts:
        """One verdict for each step whose window is complete; its value is the reading."""
        steps = self.steps.advance(runs)
        if steps is None:
            return Verdicts.none()
        slot, mine = self.steps.slots_in(self.members, steps)
        if mine is not None:
            steps = steps.select(mine)
        # Seven digits are kept of the steps before, so no more are compared.
        low = self._low.look_back(slot, steps.number, steps.low.astype(np.float32))
        high = self._high.look_back(slot, steps.number, steps.high.astype(np.float32))
        whole: Bool = np.asarray(~np.isnan(low).any(axis=1))
        still = (high.max(axis=1) - low.min(axis=1)).astype(np.float32)
        flat = still <= self._rule.tolerance
        for value_at_rest in self._rule.ignore:
            flat &= np.abs(steps.mean - value_at_rest) > self._rule.tolerance
        end_ms = self.steps.end_ms(steps.number[whole])
        return Verdicts(slot[whole], end_ms, flat[whole].astype(np.int8), steps.mean[whole])

    def state(self) -> State:
        """The step under way and the steps of the window."""
        lows = {f"low.{k}": v for k, v in self._low.state().items()}
        highs = {f"high.{k}": v for k, v in self._high.state().items()}
        return super().state() | lows | highs

    def restore(self, state: State) -> None:
        """Go on from a state."""
        super().restore(state)
        for prefix, part in (("low.", self._low), ("high.", self._high)):
            n = len(prefix)
            part.restore({k[n:]: v for k, v in state.items() if k.startswith(prefix)})


KIND = RuleKind(FlatLineRule, FlatLineEvaluator)
