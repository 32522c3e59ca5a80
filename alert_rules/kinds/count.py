"""How often a threshold was passed within a window: "more than three hours a day above 200"."""

from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluator import RuleKind, SortedSamples, Verdicts
from alert_rules.kinds.mean import MAX_BUCKETS
from alert_rules.shared_windows import BucketEvaluator, WindowSpec
from alert_rules.thresholds import RuleWithThresholds
from telemetry.time.durations import DurationMs, format_duration


class CountRule(RuleWithThresholds):
    """True when at least ``count`` buckets of the window have a mean past the threshold.

    A bucket is ``step`` long. The alert's value is that number of buckets.
    """

    kind: Literal["count"]
    window: Annotated[DurationMs, Field(gt=0)] = 86_400_000
    step: Annotated[DurationMs, Field(gt=0)] = 3_600_000
    count: Annotated[int, Field(ge=1)]
    completeness: Annotated[float, Field(ge=0, le=1)] = 0.75

    @property
    def averaging_ms(self) -> int | None:
        """The length of a bucket, whose mean is compared."""
        return self.step

    @property
    def reach_ms(self) -> int:
        """The window, whose buckets are counted."""
        return self.window

    def validation_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Contradictions between the fields."""
        yield from super().validation_errors()
        if self.window % self.step or self.window // self.step > MAX_BUCKETS:
            yield (
                ("step",),
                (
                    f"must divide the window of {format_duration(self.window)} into at most {MAX_BUCKETS}"
                ),
            )
        elif self.count > self.window // self.step:
            yield ("count",), f"a window has only {self.window // self.step} steps"
        if self.levels:
            yield ("levels",), "this kind has one limit"


class CountEvaluator(BucketEvaluator):
    """Counts the buckets of the window that are past the threshold; has no state of its own."""

    def __init__(self, rule: CountRule) -> None:
        self._rule = rule
        spec = WindowSpec(
            length=rule.window // rule.step,
            completeness=rule.completeness,
            exceeding=rule.thresholds[0],
        )
        super().__init__(rule.select, rule.step, spec)

    def grow(self, size: int) -> None:
        """There are no arrays besides the shared ones."""

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """One verdict for each bucket that is complete."""
        buckets = self.resampler.advance(samples)
        if buckets is None:
            return Verdicts.empty()
        past = self.resampler.exceedances(self.spec)
        row, own = self.resampler.rows_in(self.index, buckets)
        number = buckets.number
        if own is not None:
            past, number = past[own], number[own]
        count = np.count_nonzero(past, axis=1)
        level = (count >= self._rule.count).astype(np.int8)
        return Verdicts(row, self.resampler.end_ms(number), level, count.astype(np.float64))


KIND = RuleKind(CountRule, CountEvaluator)
