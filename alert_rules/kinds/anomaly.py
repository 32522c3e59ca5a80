"""A value that is unusual for its series, as the anomaly detector scores it."""

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluation import Evaluator, Runs, State, Verdicts
from alert_rules.schema import Rule
from telemetry.batches import Bool
from telemetry.series import Series

HOURS_A_MONTH = 730.5
FIRST_FAULT = 32
"""Reason codes of the detector from this one on doubt the sensor, those below it the world."""


class AnomalyRule(Rule):
    """True where the detector's score is so high that a series reaches it only ``alerts_per_month``.

    A score is the decimal logarithm of a return period in hours. ``about`` picks unusual values,
    sensors in doubt, or any; ``direction`` which side of the expected value counts.
    """

    kind: Literal["anomaly"]
    alerts_per_month: Annotated[float, Field(gt=0)] = 1.0
    about: Literal["any", "value", "sensor"] = "any"
    direction: Literal["any", "above", "below"] = "any"

    @property
    def threshold(self) -> float:
        """The score from which the condition holds."""
        return math.log10(HOURS_A_MONTH / self.alerts_per_month)

    def evaluator(self) -> Evaluator:
        """A fresh evaluator."""
        return AnomalyEvaluator(self)


class AnomalyEvaluator(Evaluator):
    """Compares scores; the memory is the detector's."""

    def __init__(self, rule: AnomalyRule) -> None:
        super().__init__()
        self._rule = rule

    def wants(self, series: Series) -> bool:
        """Every selected series."""
        return self._rule.select.matches(series)

    def grow(self, size: int) -> None:
        """There is no state."""

    def evaluate(self, runs: Runs) -> Verdicts:
        """One verdict for each sample that the detector saw."""
        if runs.scores is None:
            return Verdicts.none()
        slot, meant = self.members.pick(runs)
        on = self._unusual(runs)
        if meant is None:
            return Verdicts(slot, runs.time_ms, on.astype(np.int8), runs.value)
        return Verdicts(slot, runs.time_ms[meant], on[meant].astype(np.int8), runs.value[meant])

    def _unusual(self, runs: Runs) -> Bool:
        scores = runs.scores
        assert scores is not None
        on: Bool = scores.score >= self._rule.threshold
        if self._rule.about != "any":
            on = on & ((scores.reason >= FIRST_FAULT) == (self._rule.about == "sensor"))
        if self._rule.direction == "above":
            on = on & (runs.value > scores.expected)
        elif self._rule.direction == "below":
            on = on & (runs.value < scores.expected)
        return on

    def state(self) -> State:
        """Nothing is remembered."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing is remembered."""
