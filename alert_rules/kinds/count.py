"""How often a limit was exceeded within a window: "more than three hours above 200 a day"."""

from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluator import RuleKind, SortedSamples, Verdicts
from alert_rules.kinds.mean import MAX_STEPS
from alert_rules.shared_windows import BucketEvaluator, WindowSpec
from alert_rules.thresholds import RuleWithThresholds
from telemetry.durations import DurationMs, format_duration


class CountRule(RuleWithThresholds):
    """True when at least ``count`` buckets of the window have a mean past the first limit.

    The alert's value is that number of buckets.
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

    def validation_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Contradictions between the fields."""
        yield from super().validation_errors()
        if self.window % self.step or self.window // self.step > MAX_STEPS:
            yield (
                ("step",),
                (
                    f"must divide the window of {format_duration(self.window)} into at most {MAX_STEPS}"
                ),
            )
        elif self.count > self.window // self.step:
            yield ("count",), f"a window has only {self.window // self.step} buckets"
        if self.levels:
            yield ("levels",), "this kind has one limit"


class CountEvaluator(BucketEvaluator):
    """Counts the buckets of the window that were past the limit; the window is all it needs."""

    def __init__(self, rule: CountRule) -> None:
        self._rule = rule
        self._bound = rule.thresholds[0]
        self._length = rule.window // rule.step
        spec = WindowSpec(length=self._length, completeness=rule.completeness, past=self._bound)
        super().__init__(rule.select, rule.step, spec)

    def grow(self, size: int) -> None:
        """There is no state but the buckets."""

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """One verdict for each step that is complete."""
        buckets = self.buckets.advance(samples)
        if buckets is None:
            return Verdicts.empty()
        past = self.buckets.marks(self.spec)
        row, mine = self.buckets.rows_in(self.index, buckets)
        number = buckets.number
        if mine is not None:
            past, number = past[mine], number[mine]
        many = np.count_nonzero(past, axis=1)
        level = (many >= self._rule.count).astype(np.int8)
        return Verdicts(row, self.buckets.end_ms(number), level, many.astype(np.float64))


KIND = RuleKind(CountRule, CountEvaluator)
