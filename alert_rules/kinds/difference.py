"""The difference between two series: upstream and downstream, or two sensors side by side."""

from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from alert_rules.buckets import BucketAggregator, Buckets
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
from alert_rules.rule import LocalText, Selector, location_of
from alert_rules.thresholds import RuleWithThresholds
from telemetry.batches import Bool, Float64, Int32, Int64
from telemetry.series import Series
from telemetry.time.durations import DurationMs

_MAX_LEAD = 64
"""How many buckets one side may be ahead of the other."""


class DifferenceRule(RuleWithThresholds):
    """The mean of a bucket of a selected series, less that of its partner.

    Buckets are ``step`` long. The partner is the first series that ``minus`` selects at the same
    ``match`` (any: anywhere). ``relative`` compares the difference in percent of the partner's mean.
    """

    reads_several_series: ClassVar[bool] = True
    value_name: ClassVar[LocalText | None] = LocalText(vi="hiệu số", en="difference of")

    kind: Literal["difference"]
    minus: Selector
    match: Literal["station", "gateway", "device", "group", "any"] = "station"
    step: Annotated[DurationMs, Field(gt=0)] = 60_000
    relative: bool = False

    @property
    def averaging_ms(self) -> int | None:
        """The length of a bucket."""
        return self.step

    def reads(self, series: Series) -> bool:
        """The selected series, and those that can be their partners."""
        return super().reads(series) or self.minus.matches(series)

    def value_unit(self, unit: str) -> str:
        """Percent, or the unit of the series."""
        return "%" if self.relative else unit

    def validation_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Contradictions between the fields."""
        yield from super().validation_errors()
        if self.select == self.minus and self.match == "device":
            yield ("minus",), "selects the very series that it is to be compared with"


class DifferenceEvaluator(Evaluator):
    """Aggregates buckets of both sides and compares those that both have completed."""

    def __init__(self, rule: DifferenceRule) -> None:
        super().__init__(rule.select)
        self._rule = rule
        self._partners = SeriesIndex()
        self._own_buckets = BucketAggregator(rule.step)
        self._partner_buckets = BucketAggregator(rule.step)
        self._hysteresis = Hysteresis(rule.thresholds)
        self._partner_of = np.empty(0, np.int64)
        self._own = _Unmatched()
        self._other = _Unmatched()

    def bind(self, series: Sequence[Series]) -> None:
        """Register series, and find partners for those that have none."""
        self._partners.bind(series, self._rule.minus.matches)
        self._partner_buckets.grow(len(self._partners))
        super().bind(series)

    def grow(self, size: int) -> None:
        """Extend the state to ``size`` rows."""
        self._own_buckets.grow(size)
        self._hysteresis.grow(size)
        self._partner_of = grown(self._partner_of, size, -1)
        for row, one in enumerate(self.index.series):
            if self._partner_of[row] < 0:
                self._partner_of[row] = self._find_partner(one)

    def _find_partner(self, one: Series) -> int:
        location = location_of(one, self._rule.match)
        candidates = [
            (str(s.key), i)
            for i, s in enumerate(self._partners.series)
            if s.index != one.index and location_of(s, self._rule.match) == location
        ]
        return min(candidates)[1] if candidates else -1

    def inputs(self) -> Iterable[tuple[Series, tuple[Series, ...]]]:
        """Each selected series that has a partner, with its partner."""
        return [
            (one, (one, self._partners.series[partner]))
            for one, partner in zip(self.index.series, self._partner_of.tolist(), strict=True)
            if partner >= 0
        ]

    def gap_ms(self, given_ms: int | None) -> Int64:
        """There is one verdict for each bucket."""
        return self.index.gap_ms(given_ms, self._rule.step)

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """One verdict for each bucket that both sides have completed."""
        own = _advance(self.index, self._own_buckets, samples)
        other = _advance(self._partners, self._partner_buckets, samples)
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

    def state(self) -> State:
        """The current buckets of the selected side, and the state of the hysteresis.

        Partners begin a new bucket after a restart: at most one bucket is not judged.
        """
        return self._own_buckets.state() | self._hysteresis.state()

    def restore(self, state: State) -> None:
        """Continue from a saved state."""
        self._own_buckets.restore(state)
        self._hysteresis.restore(state)


KIND = RuleKind(DifferenceRule, DifferenceEvaluator)


def _advance(
    index: SeriesIndex, aggregator: BucketAggregator, samples: SortedSamples
) -> Buckets | None:
    own = index.select(samples)
    return aggregator.advance(own.row, own.time_ms, own.value)


class _Unmatched:
    """Completed buckets whose partner has not completed the same bucket yet."""

    def __init__(self) -> None:
        self.row = np.empty(0, np.int64)
        self.number = np.empty(0, np.int64)
        self.value = np.empty(0, np.float64)

    def add(self, row: Int32, number: Int64, value: Float64) -> None:
        self.row = np.concatenate([self.row, row.astype(np.int64)])
        self.number = np.concatenate([self.number, number])
        self.value = np.concatenate([self.value, value])

    def keep(self, mask: Bool) -> None:
        self.row, self.number, self.value = self.row[mask], self.number[mask], self.value[mask]

    def take_matches(
        self, other: "_Unmatched", partner_of: Int64
    ) -> tuple[Int64, Int64, Float64, Float64]:
        """Row, number and value of matched buckets, and the partner's value; drops old buckets."""
        available = _key(other.row, other.number)
        order = np.argsort(available, kind="stable")
        wanted = _key(partner_of[self.row], self.number)
        at = np.searchsorted(available, wanted, sorter=order)
        at = np.minimum(at, max(len(available) - 1, 0))
        if len(available):
            met = available[order[at]] == wanted
            partner = other.value[order[at[met]]]
        else:
            met, partner = np.zeros(len(wanted), np.bool_), np.empty(0)
        matched = self.row[met], self.number[met], self.value[met], partner
        newest = max(int(self.number.max(initial=0)), int(other.number.max(initial=0)))
        self.keep(~met & (self.number > newest - _MAX_LEAD))
        other.keep(other.number > newest - _MAX_LEAD)
        return matched


def _key(row: Int64, number: Int64) -> Int64:
    """One integer for row and bucket number, to search for."""
    return (row << 33) + number
