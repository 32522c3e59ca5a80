"""How fast a value changes: between samples, or between the means of buckets."""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from alert_rules.buckets import BucketAggregator
from alert_rules.evaluator import (
    Evaluator,
    RuleKind,
    SortedSamples,
    State,
    Verdicts,
    as_index,
    copy_state,
    group_starts,
    grown,
    one_per_row,
)
from alert_rules.hysteresis import Hysteresis
from alert_rules.rule import LocalText
from alert_rules.thresholds import RuleWithThresholds
from telemetry.batches import Float64, Int32, Int64
from telemetry.quantities import QUANTITIES
from telemetry.time.durations import DurationMs


class RateRule(RuleWithThresholds):
    """The change in the time ``per`` is compared with the thresholds.

    ``over`` 0 compares successive samples; otherwise successive buckets of that length, by their
    means (counters: by their highest readings; a counter that fell back gives no verdict).
    ``direction`` any compares the absolute value of the change.
    """

    value_name: ClassVar[LocalText | None] = LocalText(vi="mức thay đổi", en="change of")

    kind: Literal["rate"]
    per: Annotated[DurationMs, Field(gt=0)] = 3_600_000
    over: DurationMs = 0
    direction: Literal["any", "rise", "fall"] = "any"

    @property
    def averaging_ms(self) -> int | None:
        """The length of a bucket."""
        return self.over or None

    def validation_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Contradictions between the fields."""
        yield from super().validation_errors()
        for name in self.select.quantity:
            if name in QUANTITIES and QUANTITIES[name].circular:
                yield ("select", "quantity"), f"{name} is an angle and has no rate"


class RateEvaluator(Evaluator):
    """Keeps the last sample, or the last bucket, of each row."""

    def __init__(self, rule: RateRule) -> None:
        super().__init__(rule.select)
        self._rule = rule
        self._aggregator = BucketAggregator(rule.over) if rule.over else None
        self._hysteresis = Hysteresis(rule.thresholds)
        self._last_ms = np.empty(0, np.int64)
        self._last_value = np.empty(0, np.float64)
        self._is_counter = np.empty(0, np.bool_)

    def grow(self, size: int) -> None:
        """Extend the state to ``size`` rows."""
        self._hysteresis.grow(size)
        self._last_ms = grown(self._last_ms, size, -1)
        self._last_value = grown(self._last_value, size, np.nan)
        self._is_counter = np.array(
            [s.quantity in QUANTITIES and QUANTITIES[s.quantity].cumulative for s in self.index.series],
            np.bool_,
        )  # fmt: skip
        if self._aggregator is not None:
            if self._is_counter.any():
                self._aggregator.keep_extremes()
            self._aggregator.grow(size)

    def gap_ms(self, given_ms: int | None) -> Int64:
        """There is one verdict for each sample, or for each bucket."""
        return self.index.gap_ms(given_ms, self._rule.over)

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """One verdict for each known change."""
        own = self.index.select(samples)
        if self._aggregator is None:
            if not len(own):
                return Verdicts.empty()
            return self._judge(own.row, own.time_ms, own.value)
        buckets = self._aggregator.advance(own.row, own.time_ms, own.value)
        if buckets is None:
            return Verdicts.empty()
        value = np.where(self._is_counter[buckets.row], buckets.high, buckets.mean)
        return self._judge(buckets.row, self._aggregator.end_ms(buckets.number), value)

    def _judge(self, row: Int32, time_ms: Int64, value: Float64) -> Verdicts:
        before_ms, before = self._exchange(row, time_ms, value)
        span_ms = time_ms - before_ms
        known = (before_ms >= 0) & np.isfinite(before) & (span_ms > 0)
        if self._rule.over:
            known &= span_ms == self._rule.over
        change = value - before
        known &= ~(self._is_counter[row] & (change < 0))
        rate = change[known] * (self._rule.per / span_ms[known])
        if self._rule.direction == "fall":
            rate = -rate
        elif self._rule.direction == "any":
            rate = np.abs(rate)
        row = row[known]
        return Verdicts(row, time_ms[known], self._hysteresis.levels(row, rate), rate)

    def _exchange(self, row: Int32, time_ms: Int64, value: Float64) -> tuple[Int64, Float64]:
        """The time and value before each of these; the last of each row are kept for the next call."""
        if one_per_row(row):
            at = as_index(row, len(self._last_ms))
            before_ms, before = self._last_ms[at].copy(), self._last_value[at].copy()
            self._last_ms[at], self._last_value[at] = time_ms, value
            return before_ms, before
        first = group_starts(row)
        before_ms, before = np.empty_like(time_ms), np.empty_like(value)
        before_ms[1:], before[1:] = time_ms[:-1], value[:-1]
        before_ms[first], before[first] = self._last_ms[row[first]], self._last_value[row[first]]
        last = np.append(first[1:], True)
        self._last_ms[row[last]], self._last_value[row[last]] = time_ms[last], value[last]
        return before_ms, before

    def _last(self) -> State:
        return {"last_at": self._last_ms, "last_value": self._last_value}

    def state(self) -> State:
        """The last sample or bucket, the current bucket, and the state of the hysteresis."""
        buckets = self._aggregator.state() if self._aggregator is not None else {}
        return self._last() | buckets | self._hysteresis.state()

    def restore(self, state: State) -> None:
        """Continue from a saved state."""
        copy_state(state, self._last())
        if self._aggregator is not None:
            self._aggregator.restore(state)
        self._hysteresis.restore(state)


KIND = RuleKind(RateRule, RateEvaluator)
