"""A value above, below, between or outside thresholds, sample by sample."""

from typing import Literal

from alert_rules.evaluator import Evaluator, RuleKind, SortedSamples, State, Verdicts
from alert_rules.hysteresis import Hysteresis
from alert_rules.rule import Rule
from alert_rules.thresholds import RuleWithThresholds


class ThresholdRule(RuleWithThresholds):
    """Each sample is compared with the thresholds."""

    kind: Literal["threshold"]


class ThresholdEvaluator(Evaluator):
    """Compares each sample; the state is which rows are past their threshold and not yet cleared."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.select)
        self._hysteresis = Hysteresis(rule.thresholds)

    def grow(self, size: int) -> None:
        """Extend the state to ``size`` rows."""
        self._hysteresis.grow(size)

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """One verdict for each sample."""
        own = self.index.select(samples)
        if not len(own):
            return Verdicts.empty()
        level = self._hysteresis.levels(own.row, own.value)
        return Verdicts(own.row, own.time_ms, level, own.value)

    def state(self) -> State:
        """The state of the hysteresis."""
        return self._hysteresis.state()

    def restore(self, state: State) -> None:
        """Continue from a saved state."""
        self._hysteresis.restore(state)


KIND = RuleKind(ThresholdRule, ThresholdEvaluator)
