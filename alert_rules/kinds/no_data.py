"""No data: nothing has come from a series for longer than its timeout.

Live, the no-data watch judges by the clock and finds the widest outage (``alert_rules.staleness``).
Over history, the evaluator here judges each series alone, by the pauses between its samples.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from alert_rules.evaluator import (
    Evaluator,
    RuleKind,
    SortedSamples,
    State,
    Verdicts,
    copy_state,
    group_starts,
    grown,
)
from alert_rules.rule import Rule
from telemetry.batches import Int64
from telemetry.time.durations import DurationMs

NO_TIMEOUT_MS = 10**14
"""The timeout of a series from which no samples are expected."""


class NoDataRule(Rule):
    """Nothing came for ``intervals`` of the series' own interval, and for ``at_least``.

    Series without a known interval (a radar that sends when a vehicle passes) are judged only if
    ``without_interval`` gives their timeout, or by their device's death.
    """

    kind: Literal["no_data"]
    intervals: Annotated[float, Field(gt=0)] = 5
    at_least: DurationMs = 60_000
    without_interval: DurationMs | None = None

    def timeout_ms(self, interval_ms: Int64) -> Int64:
        """How long series with these intervals (0: not known) may send nothing."""
        otherwise = NO_TIMEOUT_MS if self.without_interval is None else self.without_interval
        expected = (interval_ms * self.intervals).astype(np.int64)
        return np.maximum(np.where(interval_ms > 0, expected, otherwise), self.at_least)


class NoDataEvaluator(Evaluator):
    """Finds pauses between samples: true from the end of the timeout to the next sample."""

    def __init__(self, rule: NoDataRule) -> None:
        super().__init__(rule.select)
        self._rule = rule
        self._last_ms = np.empty(0, np.int64)

    def grow(self, size: int) -> None:
        """Extend the state to ``size`` rows."""
        self._last_ms = grown(self._last_ms, size, 0)

    def gap_ms(self, given_ms: int | None) -> Int64:
        """No limit: missing data is what this rule is about."""
        del given_ms
        return np.full(len(self.index), np.iinfo(np.int64).max // 2, np.int64)

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """True at the end of a timeout before the next sample came, false at each sample."""
        own = self.index.select(samples)
        row, time_ms = own.row, own.time_ms
        if not len(own):
            return Verdicts.empty()
        first = group_starts(row)
        before = np.empty_like(time_ms)
        before[1:] = time_ms[:-1]
        before[first] = self._last_ms[row[first]]
        timeout = self._rule.timeout_ms(self.index.interval_ms)[row]
        stale = (before > 0) & (time_ms - before > timeout)
        last = np.append(first[1:], True)
        self._last_ms[row[last]] = time_ms[last]
        at = np.flatnonzero(stale)
        entry = np.concatenate([at, np.arange(len(row))])
        when = np.concatenate([(before + timeout)[at], time_ms])
        level = np.zeros(len(entry), np.int8)
        level[: len(at)] = 1
        age_s = np.concatenate([timeout[at], np.zeros(len(row), np.int64)]) / 1000.0
        order = np.lexsort((when, row[entry]))
        return Verdicts(row[entry][order], when[order], level[order], age_s[order])

    def state(self) -> State:
        """The time of each row's newest sample."""
        return {"last_ms": self._last_ms}

    def restore(self, state: State) -> None:
        """Continue from a saved state."""
        copy_state(state, self.state())


KIND = RuleKind(NoDataRule, NoDataEvaluator)
