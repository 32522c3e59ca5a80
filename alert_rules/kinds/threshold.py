"""A value above, below, between or outside limits, sample by sample."""

from typing import Literal

from alert_rules.evaluator import Evaluator, RuleKind, SortedSamples, State, Verdicts
from alert_rules.hysteresis import Hysteresis
from alert_rules.rule import Selector, Threshold
from alert_rules.thresholds import RuleWithThresholds
from telemetry.series import Series


class ThresholdRule(RuleWithThresholds):
    """Each sample is compared with the limits."""

    kind: Literal["threshold"]


class ThresholdEvaluator(Evaluator):
    """Remembers which rows are past their limit and not yet back at ``clear``."""

    def __init__(self, select: Selector, thresholds: tuple[Threshold, ...]) -> None:
        super().__init__()
        self._select = select
        self._hysteresis = Hysteresis(thresholds)

    def selection_key(self) -> str | None:
        """The selector."""
        return self._select.model_dump_json()

    def watches(self, series: Series) -> bool:
        """Every selected series."""
        return self._select.matches(series)

    def grow(self, size: int) -> None:
        """Make room for ``size`` rows."""
        self._hysteresis.grow(size)

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """One verdict a sample."""
        row, chosen = self.index.select(samples)
        if not len(row):
            return Verdicts.empty()
        value = samples.value if chosen is None else samples.value[chosen]
        time_ms = samples.time_ms if chosen is None else samples.time_ms[chosen]
        return Verdicts(row, time_ms, self._hysteresis.levels(row, value), value)

    def state(self) -> State:
        """Which latches are closed."""
        return self._hysteresis.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._hysteresis.restore(state)


KIND = RuleKind(ThresholdRule, lambda rule: ThresholdEvaluator(rule.select, rule.thresholds))
