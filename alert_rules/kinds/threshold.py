"""A value above, below, between or outside limits, sample by sample."""

from typing import Literal

from alert_rules.evaluator import Evaluator, RuleKind, Runs, State, Verdicts
from alert_rules.hysteresis import Latches
from alert_rules.rule import Selector
from alert_rules.thresholds import Bound, LimitedRule
from telemetry.series import Series


class ThresholdRule(LimitedRule):
    """Each sample is compared with the limits."""

    kind: Literal["threshold"]


class ThresholdEvaluator(Evaluator):
    """Remembers which slots are past their limit and not yet back at ``clear``."""

    def __init__(self, select: Selector, bounds: tuple[Bound, ...]) -> None:
        super().__init__()
        self._select = select
        self._latches = Latches(bounds)

    def selection(self) -> str | None:
        """The selector."""
        return self._select.model_dump_json()

    def wants(self, series: Series) -> bool:
        """Every selected series."""
        return self._select.matches(series)

    def grow(self, size: int) -> None:
        """Make room for ``size`` slots."""
        self._latches.grow(size)

    def evaluate(self, runs: Runs) -> Verdicts:
        """One verdict a sample."""
        slot, meant = self.members.pick(runs)
        if not len(slot):
            return Verdicts.none()
        value = runs.value if meant is None else runs.value[meant]
        time_ms = runs.time_ms if meant is None else runs.time_ms[meant]
        return Verdicts(slot, time_ms, self._latches.levels(slot, value), value)

    def state(self) -> State:
        """Which latches are closed."""
        return self._latches.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._latches.restore(state)


KIND = RuleKind(ThresholdRule, lambda rule: ThresholdEvaluator(rule.select, rule.bounds))
