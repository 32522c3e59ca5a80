"""How fast a value changes: between samples, or between the means of steps of time."""

from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluator import (
    Evaluator,
    RuleKind,
    Runs,
    State,
    Verdicts,
    grown,
    is_single,
    places,
    run_starts,
)
from alert_rules.hysteresis import Latches
from alert_rules.thresholds import LimitedRule
from alert_rules.windows import Stepper
from telemetry.batches import Float64, Int32, Int64
from telemetry.durations import DurationMs
from telemetry.quantities import QUANTITIES
from telemetry.series import Series


class RateRule(LimitedRule):
    """The change ``per`` a time is compared with the limits.

    ``over`` 0 compares neighbouring samples; otherwise neighbouring steps of that length, by
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

    def complaints(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Contradictions between the fields."""
        yield from super().complaints()
        for name in self.select.quantity:
            if name in QUANTITIES and QUANTITIES[name].circular:
                yield ("select", "quantity"), f"{name} is an angle and has no rate"


class RateEvaluator(Evaluator):
    """Remembers the last sample, or the last step, of each slot."""

    def __init__(self, rule: RateRule) -> None:
        super().__init__()
        self._rule = rule
        self._stepper = Stepper(rule.over) if rule.over else None
        self._latches = Latches(rule.bounds)
        self._last_at = np.empty(0, np.int64)
        self._last_value = np.empty(0, np.float64)
        self._counter = np.empty(0, np.bool_)

    def selection(self) -> str | None:
        """The selector."""
        return self._rule.select.model_dump_json()

    def wants(self, series: Series) -> bool:
        """Every selected series."""
        return self._rule.select.matches(series)

    def grow(self, size: int) -> None:
        """Make room for ``size`` slots."""
        self._latches.grow(size)
        self._last_at = grown(self._last_at, size, -1)
        self._last_value = grown(self._last_value, size, np.nan)
        self._counter = np.array(
            [s.quantity in QUANTITIES and QUANTITIES[s.quantity].cumulative for s in self.members.series],
            np.bool_,
        )  # fmt: skip
        if self._stepper is not None:
            if self._counter.any():
                self._stepper.keep_extremes()
            self._stepper.grow(size)

    def gap_ms(self, given_ms: int | None) -> Int64:
        """Verdicts come once a sample, or once a step."""
        return self.members.gap_ms(given_ms, self._rule.over)

    def evaluate(self, runs: Runs) -> Verdicts:
        """One verdict for each change that can be told."""
        slot, meant = self.members.pick(runs)
        value = runs.value if meant is None else runs.value[meant]
        time_ms = runs.time_ms if meant is None else runs.time_ms[meant]
        if self._stepper is None:
            if not len(slot):
                return Verdicts.none()
            return self._judge(slot, time_ms, value, time_ms, None)
        steps = self._stepper.advance(slot, time_ms, value)
        if steps is None:
            return Verdicts.none()
        value = np.where(self._counter[steps.slot], steps.high, steps.mean)
        end_ms = self._stepper.end_ms(steps.number)
        return self._judge(steps.slot, end_ms, value, end_ms, self._rule.over)

    def _judge(
        self, slot: Int32, at: Int64, value: Float64, told_ms: Int64, only_after: int | None
    ) -> Verdicts:
        before_at, before = self._exchange(slot, at, value)
        span = at - before_at
        known = (before_at >= 0) & np.isfinite(before) & (span > 0)
        if only_after is not None:
            known &= span == only_after
        change = value - before
        known &= ~(self._counter[slot] & (change < 0))
        rate = change[known] * (self._rule.per / span[known])
        if self._rule.direction == "fall":
            rate = -rate
        elif self._rule.direction == "any":
            rate = np.abs(rate)
        chosen = slot[known]
        return Verdicts(chosen, told_ms[known], self._latches.levels(chosen, rate), rate)

    def _exchange(self, slot: Int32, at: Int64, value: Float64) -> tuple[Int64, Float64]:
        """The time and value before each of these, which are remembered from now on."""
        if is_single(slot):
            place = places(slot, len(self._last_at))
            before_at, before = self._last_at[place].copy(), self._last_value[place].copy()
            self._last_at[place], self._last_value[place] = at, value
            return before_at, before
        first = run_starts(slot)
        before_at, before = np.empty_like(at), np.empty_like(value)
        before_at[1:], before[1:] = at[:-1], value[:-1]
        before_at[first], before[first] = self._last_at[slot[first]], self._last_value[slot[first]]
        last = np.append(first[1:], True)
        self._last_at[slot[last]], self._last_value[slot[last]] = at[last], value[last]
        return before_at, before

    def state(self) -> State:
        """The last sample or step, and the latches."""
        steps = self._stepper.state() if self._stepper is not None else {}
        return (
            {"last_at": self._last_at, "last_value": self._last_value}
            | steps
            | self._latches.state()
        )

    def restore(self, state: State) -> None:
        """Go on from a state."""
        for name, array in (("last_at", self._last_at), ("last_value", self._last_value)):
            if name in state:
                array[: len(state[name])] = state[name][: len(array)]
        if self._stepper is not None:
            self._stepper.restore(state)
        self._latches.restore(state)


KIND = RuleKind(RateRule, RateEvaluator)
