"""A value that does not move: a stuck sensor, or a frozen reading sent again and again."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluator import RuleKind, SortedSamples, State, Verdicts
from alert_rules.rule import Rule, Severity, ThresholdLine
from alert_rules.shared_windows import BucketEvaluator, WindowSpec
from alert_rules.windows import SlidingWindow
from telemetry.batches import Bool
from telemetry.durations import DurationMs

_STEPS = 6


class FlatLineRule(Rule):
    """True when the value moved by no more than ``tolerance`` during ``window``.

    Judged each sixth of a window. Values at ``ignore`` (a quiet gauge at zero) are no flat line.
    """

    kind: Literal["flat_line"]
    window: Annotated[DurationMs, Field(ge=6)]
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    ignore: tuple[float, ...] = ()
    severity: Severity = Severity.INFO

    @property
    def threshold_lines(self) -> tuple[ThresholdLine, ...]:
        """None that a chart could draw."""
        return ()

    @property
    def averaging_ms(self) -> int | None:
        """The window."""
        return self.window


class FlatLineEvaluator(BucketEvaluator):
    """Remembers the lowest and highest value of each step of the window."""

    def __init__(self, rule: FlatLineRule) -> None:
        self._rule = rule
        bucket_ms = rule.window // _STEPS
        self._low = SlidingWindow(_STEPS, bucket_ms, coarse=True)
        self._high = SlidingWindow(_STEPS, bucket_ms, coarse=True)
        super().__init__(rule.select, bucket_ms, WindowSpec(extremes=True))

    def grow(self, size: int) -> None:
        """Make room for ``size`` rows."""
        self._low.grow(size)
        self._high.grow(size)

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """One verdict for each step whose window is complete; its value is the reading."""
        buckets = self.buckets.advance(samples)
        if buckets is None:
            return Verdicts.empty()
        row, mine = self.buckets.rows_in(self.index, buckets)
        if mine is not None:
            buckets = buckets.select(mine)
        # Seven digits are kept of the buckets before, so no more are compared.
        low = self._low.look_back(row, buckets.number, buckets.low.astype(np.float32))
        high = self._high.look_back(row, buckets.number, buckets.high.astype(np.float32))
        whole: Bool = np.asarray(~np.isnan(low).any(axis=1))
        still = (high.max(axis=1) - low.min(axis=1)).astype(np.float32)
        flat = still <= self._rule.tolerance
        for value_at_rest in self._rule.ignore:
            flat &= np.abs(buckets.mean - value_at_rest) > self._rule.tolerance
        end_ms = self.buckets.end_ms(buckets.number[whole])
        return Verdicts(row[whole], end_ms, flat[whole].astype(np.int8), buckets.mean[whole])

    def state(self) -> State:
        """The step under way and the buckets of the window."""
        lows = {f"low.{k}": v for k, v in self._low.state().items()}
        highs = {f"high.{k}": v for k, v in self._high.state().items()}
        return super().state() | lows | highs

    def restore(self, state: State) -> None:
        """Go on from a state."""
        super().restore(state)
        for prefix, part in (("low.", self._low), ("high.", self._high)):
            n = len(prefix)
            part.restore({k[n:]: v for k, v in state.items() if k.startswith(prefix)})


KIND = RuleKind(FlatLineRule, FlatLineEvaluator)
