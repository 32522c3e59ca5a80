"""A value that does not move: a stuck sensor, or one reading that is sent again and again."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluator import RuleKind, SortedSamples, State, Verdicts
from alert_rules.rule import Rule, Severity
from alert_rules.shared_windows import BucketEvaluator, WindowSpec
from alert_rules.windows import SlidingWindow
from telemetry.batches import Bool
from telemetry.time.durations import DurationMs

_BUCKETS = 6


class FlatLineRule(Rule):
    """True when the value moved by no more than ``tolerance`` during ``window``.

    Judged six times in a window. Values at ``ignore`` (a rain gauge at zero) are no flat line.
    """

    kind: Literal["flat_line"]
    window: Annotated[DurationMs, Field(ge=6)]
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    ignore: tuple[float, ...] = ()
    severity: Severity = Severity.INFO

    @property
    def averaging_ms(self) -> int | None:
        """The window."""
        return self.window


class FlatLineEvaluator(BucketEvaluator):
    """Keeps the lowest and highest value of each bucket of the window."""

    def __init__(self, rule: FlatLineRule) -> None:
        self._rule = rule
        bucket_ms = rule.window // _BUCKETS
        self._low = SlidingWindow(_BUCKETS, bucket_ms, single_precision=True)
        self._high = SlidingWindow(_BUCKETS, bucket_ms, single_precision=True)
        super().__init__(rule.select, bucket_ms, WindowSpec(extremes=True))

    def grow(self, size: int) -> None:
        """Extend the state to ``size`` rows."""
        self._low.grow(size)
        self._high.grow(size)

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """One verdict for each bucket whose window is complete; its value is the bucket's mean."""
        buckets = self.resampler.advance(samples)
        if buckets is None:
            return Verdicts.empty()
        row, own = self.resampler.rows_in(self.index, buckets)
        if own is not None:
            buckets = buckets.select(own)
        # The windows are in single precision, so the newest bucket is compared in it too.
        low = self._low.advance(row, buckets.number, buckets.low.astype(np.float32))
        high = self._high.advance(row, buckets.number, buckets.high.astype(np.float32))
        complete: Bool = np.asarray(~np.isnan(low).any(axis=1))
        spread = (high.max(axis=1) - low.min(axis=1)).astype(np.float32)
        flat = spread <= self._rule.tolerance
        for value_at_rest in self._rule.ignore:
            flat &= np.abs(buckets.mean - value_at_rest) > self._rule.tolerance
        end_ms = self.resampler.end_ms(buckets.number[complete])
        level = flat[complete].astype(np.int8)
        return Verdicts(row[complete], end_ms, level, buckets.mean[complete])

    def state(self) -> State:
        """The buckets, and both windows."""
        lows = {f"low.{k}": v for k, v in self._low.state().items()}
        highs = {f"high.{k}": v for k, v in self._high.state().items()}
        return super().state() | lows | highs

    def restore(self, state: State) -> None:
        """Continue from a saved state."""
        super().restore(state)
        for prefix, part in (("low.", self._low), ("high.", self._high)):
            n = len(prefix)
            part.restore({k[n:]: v for k, v in state.items() if k.startswith(prefix)})


KIND = RuleKind(FlatLineRule, FlatLineEvaluator)
