"""A value that is unusual for its series, as the anomaly detector scores it."""

import math
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluator import AnomalyScores, Evaluator, RuleKind, SortedSamples, State, Verdicts
from alert_rules.rule import Rule
from telemetry.batches import Bool, Int32, Int64

HOURS_PER_MONTH = 730.5
FIRST_FAULT = 32
"""The detector's reason codes from this one on mean a sensor fault, those below an unusual value."""

Budgets = Callable[[str], tuple[float, float]]
"""For a quantity: alerts per month about unusual values, and about sensor faults; 0: none."""


def default_budgets(quantity: str) -> tuple[float, float]:
    """One alert of each per month, whatever the quantity."""
    del quantity
    return 1.0, 1.0


def score_threshold(alerts_per_month: float) -> float:
    """The score that a series reaches with this frequency; infinite for a budget of 0."""
    return math.log10(HOURS_PER_MONTH / alerts_per_month) if alerts_per_month > 0 else math.inf


class AnomalyRule(Rule):
    """True where the detector's score is so high that a series reaches it only ``alerts_per_month``.

    A score is the decimal logarithm of a return period in hours. Without ``alerts_per_month`` the
    budget is that of the quantity. ``about`` chooses unusual values, sensor faults, or both;
    ``direction`` chooses the side of the expected value.
    """

    needs_scores: ClassVar[bool] = True

    kind: Literal["anomaly"]
    alerts_per_month: Annotated[float | None, Field(gt=0)] = None
    about: Literal["any", "value", "sensor"] = "any"
    direction: Literal["any", "above", "below"] = "any"


class AnomalyEvaluator(Evaluator):
    """Compares scores with the budget; has no state, which is the detector's.

    ``budgets`` gives the budget of a quantity; set it before series are bound.
    """

    def __init__(self, rule: AnomalyRule) -> None:
        super().__init__(rule.select)
        self._rule = rule
        self.budgets: Budgets = default_budgets
        self._budget_number: dict[tuple[float, float], int] = {}
        self._budget_of = np.empty(0, np.uint8)  # by row: the number of its budget
        self._threshold = np.empty((0, 2), np.float64)  # by budget: for values, for sensor faults
        self._lowest = math.inf

    def grow(self, size: int) -> None:
        """Look up the budgets of all series."""
        del size
        own = self._rule.alerts_per_month
        budgets = [
            (own, own) if own is not None else self.budgets(s.quantity) for s in self.index.series
        ]
        for budget in budgets:
            self._budget_number.setdefault(budget, len(self._budget_number))
        self._budget_of = np.array([self._budget_number[b] for b in budgets], np.uint8)
        thresholds = [[score_threshold(n) for n in b] for b in self._budget_number]
        self._threshold = np.array(thresholds).reshape(-1, 2)
        self._lowest = float(self._threshold.min(initial=math.inf))

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """One verdict for each sample that the detector scored."""
        scores = samples.scores
        if scores is None:
            return Verdicts.empty()
        own = self.index.select(samples)
        score = scores.score if own.mask is None else scores.score[own.mask]
        level = np.zeros(len(own), np.int8)
        high = np.flatnonzero(score >= self._lowest)
        if len(high):
            at = high if own.mask is None else np.flatnonzero(own.mask)[high]
            level[high] = self._is_unusual(samples, scores, at, own.row[high])
        return Verdicts(own.row, own.time_ms, level, own.value)

    def _is_unusual(
        self, samples: SortedSamples, scores: AnomalyScores, at: Int64, row: Int32
    ) -> Bool:
        fault = scores.reason[at] >= FIRST_FAULT
        budget = self._budget_of[row]
        on: Bool = scores.score[at] >= self._threshold[budget, fault.astype(np.uint8)]
        if self._rule.about != "any":
            on &= fault == (self._rule.about == "sensor")
        if self._rule.direction == "above":
            on &= samples.value[at] > scores.expected[at]
        elif self._rule.direction == "below":
            on &= samples.value[at] < scores.expected[at]
        return on

    def state(self) -> State:
        """No state."""
        return {}

    def restore(self, state: State) -> None:
        """No state."""


KIND = RuleKind(AnomalyRule, AnomalyEvaluator)
