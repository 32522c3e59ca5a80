"""One rule with its evaluator, its hold time and everything that both remember."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from alert_rules.evaluator import SeriesIndex, SortedSamples, State, Verdicts
from alert_rules.hold_time import HoldTime, Transition
from alert_rules.kinds.anomaly import AnomalyEvaluator
from alert_rules.rule import Rule, parse_hours
from alert_rules.rule_kinds import new_evaluator
from cloud_ingest.detection import budget_for_quantity
from cloud_ingest.detection.explain import Finding
from telemetry.batches import Bool, Int64
from telemetry.series import Series
from telemetry.time.local_time import midnight_ms, ms_of_day


@dataclass(frozen=True, slots=True)
class RuleTransition:
    """A transition of a rule at a series; ``finding`` is what an anomaly detector saw there."""

    rule: Rule
    series: Series
    transition: Transition
    finding: Finding | None = None


class RuleState:
    """Evaluates one rule. Its arrays have a row for each series that the rule selects."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.evaluator = new_evaluator(rule)
        if isinstance(self.evaluator, AnomalyEvaluator):
            self.evaluator.budgets = _default_budgets
        levels = max(len(rule.thresholds), 1)
        self.hold_time = HoldTime(
            levels, rule.hold, rule.clear_after, -1 if rule.lower_is_worse else 1
        )
        self._from_ms, self._to_ms = in_force_ms(rule)
        self._hours = parse_hours(rule.hours) if rule.hours is not None else None

    def bind(self, series: Sequence[Series]) -> None:
        """Add series, or update known ones."""
        self.evaluator.bind(series)
        gap_ms = self.evaluator.gap_ms(self.rule.gap)
        if len(gap_ms) and (gap_ms == gap_ms[0]).all():
            gap_ms = np.broadcast_to(gap_ms[:1].copy(), gap_ms.shape)  # one number for all rows
        self.hold_time.grow(gap_ms)

    def verdicts(self, samples: SortedSamples) -> Verdicts:
        """Whether the rule holds, for the samples at whose time it is in force."""
        verdicts = self.evaluator.evaluate(samples)
        if len(verdicts) and (self._from_ms is not None or self._to_ms is not None):
            verdicts = verdicts.select(self._in_force(verdicts.time_ms))
        if self._hours is not None and len(verdicts):
            outside = ~within_hours(verdicts.time_ms, self._hours)
            level = np.where(outside, 0, verdicts.level).astype(np.int8)
            verdicts = replace(verdicts, level=level)
        return verdicts

    def advance(self, samples: SortedSamples) -> list[Transition]:
        """Evaluate samples, newer than those before; returns the transitions."""
        verdicts = self.verdicts(samples)
        return _merge_levels(self.hold_time.advance(verdicts)) if len(verdicts) else []

    def _in_force(self, time_ms: Int64) -> Bool:
        on = np.ones(len(time_ms), np.bool_)
        if self._from_ms is not None:
            on &= time_ms >= self._from_ms
        if self._to_ms is not None:
            on &= time_ms < self._to_ms
        return on

    def state(self) -> State:
        """Everything remembered, with the rule itself and the series of the rows."""
        parts: State = {"rule": np.array(self.rule.model_dump_json())}
        parts |= {f"e.{k}": v for k, v in self.evaluator.state().items()}
        parts |= {f"h.{k}": v for k, v in self.hold_time.state().items()}
        return with_series(self.evaluator.index, parts)

    def restore(self, state: State) -> None:
        """Continue from a state; if the rule has changed since, the state is not used."""
        if "rule" not in state or str(state["rule"]) != self.rule.model_dump_json():
            return
        for prefix, part in (("e.", self.evaluator), ("h.", self.hold_time)):
            part.restore(by_present_rows(self.evaluator.index, part.state(), state, prefix))


def with_series(index: SeriesIndex, state: State) -> State:
    """``state`` with the numbers of the series in the order of rows."""
    return {"series": np.array([s.index for s in index.series], np.int64)} | state


def by_present_rows(index: SeriesIndex, own: State, saved: State, prefix: str) -> State:
    """``own`` with the saved values, each series' row where that series is now."""
    rows = np.array([index.row_of(int(i)) for i in saved["series"]], np.int64)
    known = np.flatnonzero(rows >= 0)
    moved: State = {}
    for name, array in own.items():
        moved[name] = array.copy()
        source = saved.get(prefix + name)
        if source is not None and source.ndim == array.ndim and len(source) == len(rows):
            # The window may have another length now; its newest buckets come first.
            width = min(source.shape[-1], array.shape[-1])
            if array.ndim == 1:
                moved[name][rows[known]] = source[known]
            else:
                moved[name][rows[known], :width] = source[known, :width]
    return moved


def _default_budgets(quantity: str) -> tuple[float, float]:
    budget = budget_for_quantity(quantity)
    return budget.statistical, budget.fault


def _merge_levels(transitions: list[Transition]) -> list[Transition]:
    """A condition that reaches several levels at the same time fires or rises once, to the highest."""
    merged: list[Transition] = []
    for transition in transitions:
        last = merged[-1] if merged else None
        if (
            transition.change == "rise" and last is not None and last.change in ("fire", "rise")
            and (last.row, last.time_ms) == (transition.row, transition.time_ms)
        ):  # fmt: skip
            merged[-1] = replace(last, level=transition.level)
        else:
            merged.append(transition)
    return merged


def in_force_ms(rule: Rule) -> tuple[int | None, int | None]:
    """From when and until when a rule's limit is in force: local midnights in UTC milliseconds."""
    legal = rule.legal
    if legal is None:
        return None, None
    return _midnight_ms(legal.effective_from), _midnight_ms(legal.effective_to)


def _midnight_ms(day: date | None) -> int | None:
    return None if day is None else midnight_ms(day)


def within_hours(time_ms: Int64, hours: tuple[int, int]) -> Bool:
    """Whether each time (the end of the period it stands for) lies in these hours of the local day."""
    of_day = ms_of_day(time_ms - 1)
    begin, end = hours
    if begin <= end:
        return (of_day >= begin) & (of_day < end)
    return (of_day >= begin) | (of_day < end)
