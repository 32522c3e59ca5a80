"""How fast a value changes: between samples, or between the means of buckets of time."""

from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluator import (
    Evaluator,
    RuleKind,
    SortedSamples,
    State,
    Verdicts,
    as_index,
    group_starts,
    grown,
    one_per_row,
)
from alert_rules.hysteresis import Hysteresis
from alert_rules.thresholds import RuleWithThresholds
from alert_rules.windows import BucketAggregator
from telemetry.batches import Float64, Int32, Int64
from telemetry.durations import DurationMs
from telemetry.quantities import QUANTITIES
from telemetry.series import Series


class RateRule(RuleWithThresholds):
    """The change ``per`` a time is compared with the limits.

    ``over`` 0 compares neighbouring samples; otherwise neighbouring buckets of that length, by
    their means (counters: by their highest readings; a counter that fell back tells nothing).
    ``direction`` any takes the size of the change.
    """

    kind: Literal["rate"]
    per: Annotated[DurationMs, Field(gt=0)] = 3_600_000
    over: DurationMs = 0
    direction: Literal["any", "rise", "fall"] = "any"

    @property
    def averaging_ms(self) -> int | None:
        """The step."""
        return self.over or None

    def validation_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Contradictions between the fields."""
        yield from super().validation_errors()
        for name in self.select.quantity:
            if name in QUANTITIES and QUANTITIES[name].circular:
                yield ("select", "quantity"), f"{name} is an angle and has no rate"


class RateEvaluator(Evaluator):
    """Remembers the last sample, or the last step, of each row."""

    def __init__(self, rule: RateRule) -> None:
        super().__init__()
        self._rule = rule
        self._aggregator = BucketAggregator(rule.over) if rule.over else None
        self._hysteresis = Hysteresis(rule.thresholds)
        self._last_at = np.empty(0, np.int64)
        self._last_value = np.empty(0, np.float64)
        self._counter = np.empty(0, np.bool_)

    def selection_key(self) -> str | None:
        """The selector."""
        return self._rule.select.model_dump_json()

    def watches(self, series: Series) -> bool:
        """Every selected series."""
        return self._rule.select.matches(series)

    def grow(self, size: int) -> None:
        """Make room for ``size`` rows."""
        self._hysteresis.grow(size)
        self._last_at = grown(self._last_at, size, -1)
        self._last_value = grown(self._last_value, size, np.nan)
        self._counter = np.array(
            [s.quantity in QUANTITIES and QUANTITIES[s.quantity].cumulative for s in self.index.series],
            np.bool_,
        )  # fmt: skip
        if self._aggregator is not None:
            if self._counter.any():
                self._aggregator.keep_extremes()
            self._aggregator.grow(size)

    def gap_ms(self, given_ms: int | None) -> Int64:
        """Verdicts come once a sample, or once a step."""
        return self.index.gap_ms(given_ms, self._rule.over)

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """One verdict for each change that can be told."""
        row, chosen = self.index.select(samples)
        value = samples.value if chosen is None else samples.value[chosen]
        time_ms = samples.time_ms if chosen is None else samples.time_ms[chosen]
        if self._aggregator is None:
            if not len(row):
                return Verdicts.empty()
            return self._judge(row, time_ms, value, time_ms, None)
        buckets = self._aggregator.advance(row, time_ms, value)
        if buckets is None:
            return Verdicts.empty()
        value = np.where(self._counter[buckets.row], buckets.high, buckets.mean)
        end_ms = self._aggregator.end_ms(buckets.number)
        return self._judge(buckets.row, end_ms, value, end_ms, self._rule.over)

    def _judge(
        self, row: Int32, at: Int64, value: Float64, told_ms: Int64, only_after: int | None
    ) -> Verdicts:
        before_at, before = self._exchange(row, at, value)
        span = at - before_at
        known = (before_at >= 0) & np.isfinite(before) & (span > 0)
        if only_after is not None:
            known &= span == only_after
        change = value - before
        known &= ~(self._counter[row] & (change < 0))
        rate = change[known] * (self._rule.per / span[known])
        if self._rule.direction == "fall":
            rate = -rate
        elif self._rule.direction == "any":
            rate = np.abs(rate)
        chosen = row[known]
        return Verdicts(chosen, told_ms[known], self._hysteresis.levels(chosen, rate), rate)

    def _exchange(self, row: Int32, at: Int64, value: Float64) -> tuple[Int64, Float64]:
        """The time and value before each of these, which are remembered from now on."""
        if one_per_row(row):
            place = as_index(row, len(self._last_at))
            before_at, before = self._last_at[place].copy(), self._last_value[place].copy()
            self._last_at[place], self._last_value[place] = at, value
            return before_at, before
        first = group_starts(row)
        before_at, before = np.empty_like(at), np.empty_like(value)
        before_at[1:], before[1:] = at[:-1], value[:-1]
        before_at[first], before[first] = self._last_at[row[first]], self._last_value[row[first]]
        last = np.append(first[1:], True)
        self._last_at[row[last]], self._last_value[row[last]] = at[last], value[last]
        return before_at, before

    def state(self) -> State:
        """The last sample or step, and the latches."""
        buckets = self._aggregator.state() if self._aggregator is not None else {}
        return (
            {"last_at": self._last_at, "last_value": self._last_value}
            | buckets
            | self._hysteresis.state()
        )

    def restore(self, state: State) -> None:
        """Go on from a state."""
        for name, array in (("last_at", self._last_at), ("last_value", self._last_value)):
            if name in state:
                array[: len(state[name])] = state[name][: len(array)]
        if self._aggregator is not None:
            self._aggregator.restore(state)
        self._hysteresis.restore(state)


KIND = RuleKind(RateRule, RateEvaluator)
