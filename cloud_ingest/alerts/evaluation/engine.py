"""Evaluates all rules over all series, batch by batch: from samples to transitions.

No I/O and no clock. Everything remembered is in arrays that ``state`` returns and ``restore`` takes;
which alerts are open is in the database only.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog

from alert_rules.evaluator import SortedSamples, State, group_starts
from alert_rules.hold_time import Transition
from alert_rules.kinds.composite import CompositeEvaluator, CompositeRule
from alert_rules.kinds.no_data import NoDataRule
from alert_rules.rule import Rule
from alert_rules.shared_windows import SharedState
from cloud_ingest.alerts.evaluation.rule_state import (
    RuleState,
    RuleTransition,
    by_present_rows,
    with_series,
)
from cloud_ingest.detection import AnyScores, Detector, Reason, StateMismatchError
from cloud_ingest.detection.explain import Finding
from telemetry.batches import SampleBatch, is_too_far_ahead, usable
from telemetry.series import Series

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LateSpan:
    """The span of samples that are older than what was evaluated of their series before."""

    series: Series
    from_ms: int
    to_ms: int


class RuleEngine:
    """Evaluates every rule except those about missing data, which the no-data watch evaluates."""

    def __init__(self, rules: Iterable[Rule], detector: Detector | None = None) -> None:
        states = [RuleState(r) for r in rules if not isinstance(r, NoDataRule)]
        self._composites = [s for s in states if isinstance(s.evaluator, CompositeEvaluator)]
        self.rule_states = [s for s in states if s not in self._composites] + self._composites
        self._shared = SharedState()
        for rule_state in self.rule_states:
            self._shared.attach(rule_state.evaluator)
        self._detector = detector
        self._series: list[Series | None] = []
        self.last_ms = np.empty(0, np.int64)

    def register(self, series: Sequence[Series]) -> None:
        """Add series, or update known ones."""
        if not series:
            return
        top = max(s.index for s in series) + 1
        self._series += [None] * (top - len(self._series))
        for one in series:
            self._series[one.index] = one
        if top > len(self.last_ms):
            self.last_ms = np.append(self.last_ms, np.zeros(top - len(self.last_ms), np.int64))
        for rule_state in self.rule_states:
            if isinstance(rule_state.evaluator, CompositeEvaluator):
                rule_state.evaluator.anchor(self._watched(rule_state.evaluator.rule))
            rule_state.bind(series)
        if self._detector is not None:
            self._detector.register(series)

    def _watched(self, rule: CompositeRule) -> list[Series]:
        """The series of the first rule that a composite refers to and that selects any."""
        for name in rule.refers_to:
            rule_state = self.state_of(name)
            if rule_state is not None and len(rule_state.evaluator.index):
                return sorted(rule_state.evaluator.index.series, key=lambda s: s.index)
        return []

    def series(self, index: int) -> Series:
        """The series with this number."""
        found = self._series[index]
        assert found is not None
        return found

    @property
    def series_count(self) -> int:
        """The number of known series."""
        return len(self._series)

    @property
    def known_series(self) -> list[Series]:
        """Every registered series."""
        return [s for s in self._series if s is not None]

    def advance(
        self, batch: SampleBatch, now_ms: int
    ) -> tuple[list[RuleTransition], list[LateSpan]]:
        """Evaluate a batch: the transitions, and the spans of samples that came too late for it."""
        batch = _in_order(batch)
        ahead = is_too_far_ahead(batch.time_ms, now_ms)
        if ahead.any():
            batch = batch.select(~ahead)
        head = np.flatnonzero(group_starts(batch.series))
        late: list[LateSpan] = []
        if (batch.time_ms[head] <= self.last_ms[batch.series[head]]).any():
            old = batch.time_ms <= self.last_ms[batch.series]
            late = self._late_spans(batch.select(old))
            batch = batch.select(~old)
            head = np.flatnonzero(group_starts(batch.series))
        if not len(batch):
            return [], late
        newest = np.append(head[1:], len(batch)) - 1
        self.last_ms[batch.series[newest]] = batch.time_ms[newest]
        samples = self._usable(batch)
        return (self._evaluate(samples) if len(samples) else []), late

    def _usable(self, batch: SampleBatch) -> SortedSamples:
        """The samples that rules may use, with their anomaly scores."""
        scores = self._detector.update(batch) if self._detector is not None else None
        good = usable(batch.value, batch.quality)
        if good.all():
            return SortedSamples(batch.series, batch.time_ms, batch.value, scores)
        if scores is not None:
            scores = scores.select(good)
        return SortedSamples(batch.series[good], batch.time_ms[good], batch.value[good], scores)

    def _evaluate(self, samples: SortedSamples) -> list[RuleTransition]:
        """The transitions that these samples cause, in the order of time."""
        found = [
            self._rule_transition(rule_state, change, samples)
            for rule_state in self.rule_states
            for change in rule_state.advance(samples)
        ]
        found.sort(key=lambda f: f.transition.time_ms)
        for rule_state in self._composites:
            found += self._combine(rule_state, found, samples)
        self._shared.clear_cache()
        return found

    def _combine(
        self, rule_state: RuleState, found: list[RuleTransition], samples: SortedSamples
    ) -> list[RuleTransition]:
        """The transitions of a composite rule, after those of the rules that it refers to."""
        evaluator = rule_state.evaluator
        assert isinstance(evaluator, CompositeEvaluator)
        rule = evaluator.rule
        changes = [
            (f.rule.full_id, rule.location_of(f.series), f.transition.change == "fire", f.transition.time_ms)
            for f in found
            if f.rule.full_id in rule.refers_to and f.transition.change in ("fire", "clear")
        ]  # fmt: skip
        on = rule_state.hold_time.on
        if not changes and not on.any() and not evaluator.holds_without_firing():
            return []
        last_ms = {
            rule.location_of(anchor): int(self.last_ms[anchor.index])
            for row, anchor in enumerate(evaluator.index.series)
            if (on[row] or evaluator.holds_without_firing()) and self.last_ms[anchor.index]
        }
        verdicts = evaluator.combine(changes, last_ms)
        transitions = rule_state.hold_time.advance(verdicts) if len(verdicts) else []
        return [self._rule_transition(rule_state, change, samples) for change in transitions]

    def _rule_transition(
        self, rule_state: RuleState, change: Transition, samples: SortedSamples
    ) -> RuleTransition:
        series = rule_state.evaluator.index.series[change.row]
        transition = RuleTransition(rule_state.rule, series, change)
        if not rule_state.rule.needs_scores or samples.scores is None:
            return transition
        left, right = np.searchsorted(samples.series, [series.index, series.index + 1])
        at = left + int(np.searchsorted(samples.time_ms[left:right], change.time_ms))
        at = min(at, int(right) - 1)
        scores = samples.scores
        assert isinstance(scores, AnyScores)
        finding = Finding(
            Reason(int(scores.reason[at])), change.time_ms, int(scores.since_ms[at]),
            float(samples.value[at]), float(scores.expected[at]), float(scores.low[at]),
            float(scores.high[at]), float(scores.score[at]),
        )  # fmt: skip
        return replace(transition, finding=finding)

    def _late_spans(self, batch: SampleBatch) -> list[LateSpan]:
        index, first = np.unique(batch.series, return_index=True)
        last = np.append(first[1:], len(batch)) - 1
        return [
            LateSpan(self.series(int(i)), int(batch.time_ms[a]), int(batch.time_ms[b]))
            for i, a, b in zip(index, first, last, strict=True)
        ]

    def state_of(self, full_id: str) -> RuleState | None:
        """The state of a rule; None if it is not among those evaluated here."""
        return next((r for r in self.rule_states if r.rule.full_id == full_id), None)

    def resume_composites(self) -> None:
        """Tell the composite rules what fires, after a restore or an adoption of alerts."""
        for rule_state in self._composites:
            assert isinstance(rule_state.evaluator, CompositeEvaluator)
            rule_state.evaluator.resume(self._firing_places(rule_state.evaluator.rule))

    def _firing_places(self, rule: CompositeRule) -> list[tuple[str, str]]:
        return [
            (name, rule.location_of(rule_state.evaluator.index.series[row]))
            for name in rule.refers_to
            if (rule_state := self.state_of(name)) is not None
            for row in rule_state.hold_time.firing.tolist()
        ]

    def state(self, *, with_detector: bool = True) -> dict[str, State]:
        """Everything remembered, by part: each rule, shared buckets, ``last_ms``, the detector."""
        parts = {
            f"rule {rule_state.rule.full_id}": rule_state.state() for rule_state in self.rule_states
        }
        for name, resampler in self._shared.resamplers.items():
            parts[f"steps {name}"] = with_series(resampler.index, resampler.state())
        parts["series"] = {"last_ms": self.last_ms}
        if self._detector is not None and with_detector:
            parts["detector"] = self._detector.state()
        return parts

    def restore(self, part: Callable[[str], State | None]) -> None:
        """Continue from what ``state`` returned. A rule without a saved part starts empty."""
        for rule_state in self.rule_states:
            state = part(f"rule {rule_state.rule.full_id}")
            if state is not None:
                rule_state.restore(state)
        for name, resampler in self._shared.resamplers.items():
            state = part(f"steps {name}")
            if state is not None:
                resampler.restore(by_present_rows(resampler.index, resampler.state(), state, ""))
        self.resume_composites()
        series = part("series")
        if series is not None:
            known = series["last_ms"][: len(self.last_ms)]
            self.last_ms[: len(known)] = known
        detector = part("detector")
        if detector is not None and self._detector is not None:
            try:
                self._detector.restore(detector)
            except StateMismatchError as error:
                _log.warning("detector_state_not_restored", problem=str(error))


def _in_order(batch: SampleBatch) -> SampleBatch:
    s, t = batch.series, batch.time_ms
    first = group_starts(s)
    head = s[first]
    ordered = (first[1:] | (t[1:] > t[:-1])).all() and (head[1:] > head[:-1]).all()
    return batch if ordered else batch.without_duplicates()
