"""The difference between two series: upstream and downstream, or two sensors side by side."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluator import (
    Evaluator,
    RuleKind,
    SeriesIndex,
    SortedSamples,
    State,
    Verdicts,
    grown,
)
from alert_rules.hysteresis import Hysteresis
from alert_rules.rule import Selector
from alert_rules.thresholds import RuleWithThresholds
from alert_rules.windows import BucketAggregator, Buckets
from telemetry.batches import Bool, Float64, Int32, Int64
from telemetry.durations import DurationMs
from telemetry.series import Series

_PATIENCE = 64
"""Steps that one side may run ahead of the other."""


class DifferenceRule(RuleWithThresholds):
    """Means over the same ``step`` of a selected series less those of its partner.

    The partner is the first series that ``minus`` selects at the same ``match`` (any: anywhere).
    ``relative`` compares the difference in percent of the partner's mean.
    """

    kind: Literal["difference"]
    minus: Selector
    match: Literal["station", "gateway", "device", "group", "any"] = "station"
    step: Annotated[DurationMs, Field(gt=0)] = 60_000
    relative: bool = False

    @property
    def averaging_ms(self) -> int | None:
        """The step."""
        return self.step

    def validation_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Contradictions between the fields."""
        yield from super().validation_errors()
        if self.select == self.minus and self.match == "device":
            yield ("minus",), "selects the very series that it is to be compared with"


class DifferenceEvaluator(Evaluator):
    """Gathers buckets of both sides and judges those that both have."""

    def __init__(self, rule: DifferenceRule) -> None:
        super().__init__()
        self._rule = rule
        self._partners = SeriesIndex()
        self._own_buckets = BucketAggregator(rule.step)
        self._partner_buckets = BucketAggregator(rule.step)
        self._hysteresis = Hysteresis(rule.thresholds)
        self._partner_of = np.empty(0, np.int64)
        self._own = _Waiting()
        self._other = _Waiting()

    def watches(self, series: Series) -> bool:
        """Every selected series."""
        return self._rule.select.matches(series)

    def bind(self, series: Sequence[Series]) -> None:
        """Make series known, and find partners for those that have none."""
        self._partners.bind(series, self._rule.minus.matches)
        self._partner_buckets.grow(len(self._partners))
        super().bind(series)

    def grow(self, size: int) -> None:
        """Make room for ``size`` rows."""
        self._own_buckets.grow(size)
        self._hysteresis.grow(size)
        self._partner_of = grown(self._partner_of, size, -1)
        for row, one in enumerate(self.index.series):
            if self._partner_of[row] < 0:
                self._partner_of[row] = self._find_partner(one)

    def _find_partner(self, one: Series) -> int:
        place = _place(one, self._rule.match)
        candidates = [
            (str(s.key), i)
            for i, s in enumerate(self._partners.series)
            if s.index != one.index and _place(s, self._rule.match) == place
        ]
        return min(candidates)[1] if candidates else -1

    def pairs(self) -> list[tuple[Series, Series]]:
        """Each selected series that has a partner, with it."""
        return [
            (one, self._partners.series[partner])
            for one, partner in zip(self.index.series, self._partner_of.tolist(), strict=True)
            if partner >= 0
        ]

    def gap_ms(self, given_ms: int | None) -> Int64:
        """Verdicts come once a step."""
        return self.index.gap_ms(given_ms, self._rule.step)

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """One verdict for each step that both sides have completed."""
        own = self._step(self.index, self._own_buckets, samples)
        other = self._step(self._partners, self._partner_buckets, samples)
        if own is None and other is None:
            return Verdicts.empty()
        if own is not None:
            paired = self._partner_of[own.row] >= 0
            self._own.add(own.row[paired], own.number[paired], own.mean[paired])
        if other is not None:
            self._other.add(other.row, other.number, other.mean)
        row, number, value, partner = self._own.take_matches(self._other, self._partner_of)
        if not len(row):
            return Verdicts.empty()
        difference = value - partner
        if self._rule.relative:
            known = partner != 0
            row, number, partner = row[known], number[known], partner[known]
            difference = difference[known] / np.abs(partner) * 100.0
        order = np.lexsort((number, row))
        subject = row[order].astype(np.int32)
        number, difference = number[order], difference[order]
        level = self._hysteresis.levels(subject, difference)
        return Verdicts(subject, self._own_buckets.end_ms(number), level, difference)

    def _step(
        self, index: SeriesIndex, aggregator: BucketAggregator, samples: SortedSamples
    ) -> Buckets | None:
        row, chosen = index.select(samples)
        if chosen is None:
            return aggregator.advance(row, samples.time_ms, samples.value)
        return aggregator.advance(row, samples.time_ms[chosen], samples.value[chosen])

    def state(self) -> State:
        """The buckets under way of the selected side, and the latches.

        Partners begin a new step after a restart: one step at most is not judged.
        """
        return self._own_buckets.state() | self._hysteresis.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._own_buckets.restore(state)
        self._hysteresis.restore(state)


KIND = RuleKind(DifferenceRule, DifferenceEvaluator)


class _Waiting:
    """Completed buckets that have not met their partner yet."""

    def __init__(self) -> None:
        self.row = np.empty(0, np.int64)
        self.number = np.empty(0, np.int64)
        self.value = np.empty(0, np.float64)

    def add(self, row: Int32, number: Int64, value: Float64) -> None:
        self.row = np.concatenate([self.row, row.astype(np.int64)])
        self.number = np.concatenate([self.number, number])
        self.value = np.concatenate([self.value, value])

    def keep(self, which: Bool) -> None:
        self.row, self.number, self.value = self.row[which], self.number[which], self.value[which]

    def take_matches(
        self, other: "_Waiting", partner_of: Int64
    ) -> tuple[Int64, Int64, Float64, Float64]:
        """Those whose partner has the same step, with the partner's value; old ones are dropped."""
        there = _key(other.row, other.number)
        order = np.argsort(there, kind="stable")
        wanted = _key(partner_of[self.row], self.number)
        at = np.searchsorted(there, wanted, sorter=order)
        at = np.minimum(at, max(len(there) - 1, 0))
        met = there[order[at]] == wanted if len(there) else np.zeros(len(wanted), np.bool_)
        partner = other.value[order[at[met]]] if len(there) else np.empty(0)
        matched = self.row[met], self.number[met], self.value[met], partner
        newest = max(int(self.number.max(initial=0)), int(other.number.max(initial=0)))
        self.keep(~met & (self.number > newest - _PATIENCE))
        other.keep(other.number > newest - _PATIENCE)
        return matched


def _key(row: Int64, number: Int64) -> Int64:
    return (row << 33) + number


def _place(series: Series, match: str) -> str:
    if match == "any":
        return ""
    if match == "device":
        return f"{series.key.gateway}/{series.key.device}"
    if match == "gateway":
        return series.key.gateway
    return series.station if match == "station" else series.group
