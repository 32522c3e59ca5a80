"""A mean over a window of time against thresholds: rolling, or by local clock."""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from alert_rules.buckets import Buckets
from alert_rules.evaluator import RuleKind, SortedSamples, State, Verdicts
from alert_rules.hysteresis import Hysteresis
from alert_rules.shared_windows import BucketEvaluator, WindowSpec
from alert_rules.thresholds import RuleWithThresholds
from telemetry.batches import Bool, Float64, Int64
from telemetry.quantities import QUANTITIES
from telemetry.time.durations import DurationMs, format_duration

MAX_BUCKETS = 400
_ROLLING_BUCKETS = 12


class MeanRule(RuleWithThresholds):
    """The mean of the buckets of a window is compared with the thresholds.

    A bucket is ``step`` long. Rolling: each time a bucket ends, over the ``window`` before.
    ``aligned``: once for each window, by local clock and calendar (windows of 24 h are days). A
    bucket counts if it holds at least the share ``completeness`` of its samples, a window if at
    least that share of its buckets counts. ``energy`` averages sound levels as energies; sound
    levels have no other mean.
    """

    compares_means: ClassVar[bool] = True

    kind: Literal["mean"]
    window: Annotated[DurationMs, Field(gt=0)]
    step: DurationMs = 0
    aligned: bool = False
    completeness: Annotated[float, Field(ge=0, le=1)] = 0.75
    energy: bool = False

    @property
    def bucket_ms(self) -> int:
        """``step``; if it is not given, a twelfth of the window (aligned: the whole window)."""
        return self.step or (
            self.window if self.aligned else max(self.window // _ROLLING_BUCKETS, 1)
        )

    @property
    def averaging_ms(self) -> int | None:
        """The window."""
        return self.window

    @property
    def aligned_ms(self) -> int:
        """The window, if it is aligned."""
        return self.window if self.aligned else 0

    def validation_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Contradictions between the fields."""
        yield from super().validation_errors()
        if self.bucket_ms > self.window:
            long, short = format_duration(self.bucket_ms), format_duration(self.window)
            yield (
                ("step",),
                f"{long} is longer than the window of {short}; a window holds whole steps",
            )
        elif self.window % self.bucket_ms:
            yield ("step",), f"must divide the window of {format_duration(self.window)} exactly"
        elif self.window // self.bucket_ms > MAX_BUCKETS:
            yield ("step",), f"is too short: a window has at most {MAX_BUCKETS} steps"
        for name in self.select.quantity:
            if name in QUANTITIES and (QUANTITIES[name].circular or QUANTITIES[name].cumulative):
                yield ("select", "quantity"), f"{name} has no mean (an angle or a counter)"
            elif name in QUANTITIES and (QUANTITIES[name].unit == "dB[A]") != self.energy:
                yield (
                    ("energy",),
                    f"must be {not self.energy} for {name}: levels are energies".lower(),
                )


class MeanEvaluator(BucketEvaluator):
    """Compares the means of windows; the state of its own is that of the hysteresis."""

    def __init__(self, rule: MeanRule) -> None:
        self._rule = rule
        self._length = rule.window // rule.bucket_ms
        self._hysteresis = Hysteresis(rule.thresholds)
        spec = WindowSpec(
            length=self._length, completeness=rule.completeness, tumbling=rule.aligned
        )
        super().__init__(rule.select, rule.bucket_ms, spec, energy=rule.energy)

    def grow(self, size: int) -> None:
        """Extend the state to ``size`` rows."""
        self._hysteresis.grow(size)

    def gap_ms(self, given_ms: int | None) -> Int64:
        """There is one verdict for each bucket, or for each aligned window."""
        cadence_ms = self._rule.window if self._rule.aligned else self._rule.bucket_ms
        return self.index.gap_ms(given_ms, cadence_ms)

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """One verdict for each window that has ended."""
        buckets = self.resampler.advance(samples)
        return Verdicts.empty() if buckets is None else self._judge(buckets)

    def _judge(self, buckets: Buckets) -> Verdicts:
        if self._rule.aligned:
            closed = self.resampler.closed_windows(self.spec)
            number = (buckets.number[closed.position] // self._length + 1) * self._length - 1
            buckets, mean = buckets.select(closed.position), closed.mean
            valid = _is_complete(closed.count, self._rule.completeness, self._length)
        else:
            number = buckets.number
            mean, valid = mean_of(self.resampler.means(self.spec), self._rule.completeness)
        row, own = self.resampler.rows_in(self.index, buckets)
        if own is not None:
            number, mean, valid = number[own], mean[own], valid[own]
        row, mean, end_ms = row[valid], mean[valid], self.resampler.end_ms(number[valid])
        if self._rule.energy:
            mean = 10.0 * np.log10(mean)
        return Verdicts(row, end_ms, self._hysteresis.levels(row, mean), mean)

    def state(self) -> State:
        """The buckets, and the state of the hysteresis."""
        return super().state() | self._hysteresis.state()

    def restore(self, state: State) -> None:
        """Continue from a saved state."""
        super().restore(state)
        self._hysteresis.restore(state)


KIND = RuleKind(MeanRule, MeanEvaluator)


def mean_of(window: Float64, completeness: float) -> tuple[Float64, Bool]:
    """The mean of each window (one row of the array), and whether enough of its buckets count."""
    known = ~np.isnan(window)
    count = known.sum(axis=1)
    total = np.where(known, window, 0.0).sum(axis=1)
    return total / np.maximum(count, 1), _is_complete(count, completeness, window.shape[1])


def _is_complete(count: Int64, completeness: float, length: int) -> Bool:
    return (count > 0) & (count >= completeness * length)
