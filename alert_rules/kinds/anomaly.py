"""A value that is unusual for its series, as the anomaly detector scores it."""

import math
from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluator import AnomalyScores, Evaluator, RuleKind, SortedSamples, State, Verdicts
from alert_rules.rule import Rule
from telemetry.batches import Bool, Int32, Int64
from telemetry.series import Series

HOURS_A_MONTH = 730.5
FIRST_FAULT = 32
"""Reason codes of the detector from this one on doubt the sensor, those below it the world."""


Budgets = Callable[[str], tuple[float, float]]
"""For a quantity: alerts a month about unusual values, and about sensors in doubt; 0: none."""


def usual_budgets(quantity: str) -> tuple[float, float]:
    """One of each, where nothing better is known of a quantity."""
    del quantity
    return 1.0, 1.0


def threshold(alerts_per_month: float) -> float:
    """The score that a series reaches so often; infinite for a budget of nothing."""
    return math.log10(HOURS_A_MONTH / alerts_per_month) if alerts_per_month > 0 else math.inf


class AnomalyRule(Rule):
    """True where the detector's score is so high that a series reaches it only ``alerts_per_month``.

    A score is the decimal logarithm of a return period in hours. Without ``alerts_per_month`` the
    budget is that of the quantity. ``about`` picks unusual values, sensors in doubt, or any;
    ``direction`` which side of the expected value counts.
    """

    kind: Literal["anomaly"]
    alerts_per_month: Annotated[float | None, Field(gt=0)] = None
    about: Literal["any", "value", "sensor"] = "any"
    direction: Literal["any", "above", "below"] = "any"


class AnomalyEvaluator(Evaluator):
    """Compares scores; the memory is the detector's.

    ``budgets`` says what is usual for a quantity; it is set before series are made known.
    """

    def __init__(self, rule: AnomalyRule) -> None:
        super().__init__()
        self._rule = rule
        self.budgets: Budgets = usual_budgets
        self._kinds: dict[tuple[float, float], int] = {}
        self._kind = np.empty(0, np.uint8)
        self._threshold = np.empty((0, 2), np.float64)  # by kind of budget: values, sensors
        self._lowest = math.inf

    def selection_key(self) -> str | None:
        """The selector."""
        return self._rule.select.model_dump_json()

    def watches(self, series: Series) -> bool:
        """Every selected series."""
        return self._rule.select.matches(series)

    def grow(self, size: int) -> None:
        """Look up the budgets of the series."""
        own = self._rule.alerts_per_month
        wanted = [
            (own, own) if own is not None else self.budgets(s.quantity) for s in self.index.series
        ]
        for budget in wanted:
            self._kinds.setdefault(budget, len(self._kinds))
        self._kind = np.array([self._kinds[b] for b in wanted], np.uint8)
        self._threshold = np.array([[threshold(n) for n in b] for b in self._kinds]).reshape(-1, 2)
        self._lowest = float(self._threshold.min(initial=math.inf))
        del size

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """One verdict for each sample that the detector saw."""
        scores = samples.scores
        if scores is None:
            return Verdicts.empty()
        row, chosen = self.index.select(samples)
        score, value, time_ms = scores.score, samples.value, samples.time_ms
        if chosen is not None:
            score, value, time_ms = score[chosen], value[chosen], time_ms[chosen]
        level = np.zeros(len(row), np.int8)
        high = np.flatnonzero(score >= self._lowest)
        if len(high):
            place = high if chosen is None else np.flatnonzero(chosen)[high]
            level[high] = self._unusual(samples, scores, place, row[high])
        return Verdicts(row, time_ms, level, value)

    def _unusual(
        self, samples: SortedSamples, scores: AnomalyScores, place: Int64, row: Int32
    ) -> Bool:
        sensor = scores.reason[place] >= FIRST_FAULT
        on: Bool = scores.score[place] >= self._threshold[self._kind[row], sensor.astype(np.uint8)]
        if self._rule.about != "any":
            on &= sensor == (self._rule.about == "sensor")
        if self._rule.direction == "above":
            on &= samples.value[place] > scores.expected[place]
        elif self._rule.direction == "below":
            on &= samples.value[place] < scores.expected[place]
        return on

    def state(self) -> State:
        """Nothing is remembered."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing is remembered."""


KIND = RuleKind(AnomalyRule, AnomalyEvaluator)
