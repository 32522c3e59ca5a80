"""A mean over a window of time against limits: rolling, or by the clock."""

from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluator import RuleKind, SortedSamples, State, Verdicts
from alert_rules.hysteresis import Hysteresis
from alert_rules.shared_windows import BucketEvaluator, WindowSpec
from alert_rules.thresholds import RuleWithThresholds
from alert_rules.windows import Buckets
from telemetry.batches import Bool, Float64, Int64
from telemetry.durations import DurationMs, format_duration
from telemetry.quantities import QUANTITIES

MAX_STEPS = 400
_ROLLING_STEPS = 12


class MeanRule(RuleWithThresholds):
    """The mean of the buckets of a window is compared with the limits.

    Rolling: each time a step ends, over the ``window`` before. ``aligned``: once a window, by
    local clock and calendar (windows of 24 h are days). A step counts where at least
    ``completeness`` of its samples came, a window where at least that share of its buckets counts.
    ``energy`` averages sound levels as energies, which is the only mean that they have.
    """

    kind: Literal["mean"]
    window: Annotated[DurationMs, Field(gt=0)]
    step: DurationMs = 0
    aligned: bool = False
    completeness: Annotated[float, Field(ge=0, le=1)] = 0.75
    energy: bool = False

    @property
    def bucket_ms(self) -> int:
        """The length of a step; where none is given, a twelfth of the window (aligned: all of it)."""
        return self.step or (self.window if self.aligned else max(self.window // _ROLLING_STEPS, 1))

    @property
    def averaging_ms(self) -> int | None:
        """The window."""
        return self.window

    def validation_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Contradictions between the fields."""
        yield from super().validation_errors()
        if self.bucket_ms > self.window:
            long, short = format_duration(self.bucket_ms), format_duration(self.window)
            yield (
                ("step",),
                f"{long} is longer than the window of {short}; a window holds whole buckets",
            )
        elif self.window % self.bucket_ms:
            yield ("step",), f"must divide the window of {format_duration(self.window)} exactly"
        elif self.window // self.bucket_ms > MAX_STEPS:
            yield ("step",), f"is too short: a window has at most {MAX_STEPS} buckets"
        for name in self.select.quantity:
            if name in QUANTITIES and (QUANTITIES[name].circular or QUANTITIES[name].cumulative):
                yield ("select", "quantity"), f"{name} has no mean (an angle or a counter)"
            elif name in QUANTITIES and (QUANTITIES[name].unit == "dB[A]") != self.energy:
                yield (
                    ("energy",),
                    f"must be {not self.energy} for {name}: levels are energies".lower(),
                )


class MeanEvaluator(BucketEvaluator):
    """Reads windows of buckets; keeps the latches."""

    def __init__(self, rule: MeanRule) -> None:
        self._rule = rule
        self._length = rule.window // rule.bucket_ms
        self._hysteresis = Hysteresis(rule.thresholds)
        spec = WindowSpec(
            length=self._length, completeness=rule.completeness, tumbling=rule.aligned
        )
        super().__init__(rule.select, rule.bucket_ms, spec, energy=rule.energy)

    def grow(self, size: int) -> None:
        """Make room for ``size`` rows."""
        self._hysteresis.grow(size)

    def gap_ms(self, given_ms: int | None) -> Int64:
        """Verdicts come once a step, or once a window."""
        cadence = self._rule.window if self._rule.aligned else self._rule.bucket_ms
        return self.index.gap_ms(given_ms, cadence)

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """One verdict for each window that has become complete."""
        buckets = self.buckets.advance(samples)
        return Verdicts.empty() if buckets is None else self._judge(buckets)

    def _judge(self, buckets: Buckets) -> Verdicts:
        if self._rule.aligned:
            ended = self.buckets.ended(self.spec)
            number = (buckets.number[ended.place] // self._length + 1) * self._length - 1
            buckets, mean = buckets.select(ended.place), ended.mean
            told = _enough(ended.count, self._rule.completeness, self._length)
        else:
            number = buckets.number
            mean, told = mean_of(self.buckets.look_back(self.spec), self._rule.completeness)
        row, mine = self.buckets.rows_in(self.index, buckets)
        if mine is not None:
            number, mean, told = number[mine], mean[mine], told[mine]
        row, mean = row[told], mean[told]
        if self._rule.energy:
            mean = 10.0 * np.log10(mean)
        return Verdicts(
            row, self.buckets.end_ms(number[told]), self._hysteresis.levels(row, mean), mean
        )

    def state(self) -> State:
        """The buckets and the latches."""
        return super().state() | self._hysteresis.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        super().restore(state)
        self._hysteresis.restore(state)


KIND = RuleKind(MeanRule, MeanEvaluator)


def mean_of(window: Float64, completeness: float) -> tuple[Float64, Bool]:
    """The mean of each row's numbers, and whether enough of them are there."""
    there = ~np.isnan(window)
    count = there.sum(axis=1)
    total = np.where(there, window, 0.0).sum(axis=1)
    return total / np.maximum(count, 1), _enough(count, completeness, window.shape[1])


def _enough(count: Int64, completeness: float, length: int) -> Bool:
    return (count > 0) & (count >= completeness * length)
