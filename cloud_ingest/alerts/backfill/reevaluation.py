"""Re-evaluation of late data by rules over several series, and by anomaly rules.

A *case* is one such rule with every series that it reads and the span in which some of them came
late. An engine of its own evaluates it, from samples in the store, in the order of time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from alert_rules.evaluator import Evaluator
from alert_rules.hold_time import OpenSpans, Transition
from alert_rules.kinds.composite import CompositeEvaluator, CompositeRule
from alert_rules.rule import Rule
from cloud_ingest.alerts.backtest.replay import SLICE_MS, in_order_of_time, longest_portion_ms
from cloud_ingest.alerts.evaluation.engine import RuleEngine
from cloud_ingest.alerts.evaluation.rule_state import RuleTransition
from cloud_ingest.alerts.refires import group_refires
from cloud_ingest.detection import Detector
from cloud_ingest.stores.protocol import SampleStore
from telemetry.batches import SampleBatch
from telemetry.series import Series

AROUND_MS = 3_600_000
LEARN_MS = 3 * 86_400_000
"""A new detector first learns from this span before the late data ..."""
LEARN_STEP_MS = 300_000
"""... with one sample for each of these steps."""
SHORTEST_ANOMALY_MS = 600_000
"""Shorter late spans are not evaluated for anomalies."""
SERIES_A_CASE = 200

Spans = Mapping[str, tuple[int, int]]
"""By series key: the first and last time of late samples."""


@dataclass(frozen=True, slots=True)
class Case:
    """One rule to evaluate for ``subjects`` (series keys) between two times.

    ``rules`` are the rule and those that it refers to, ``series`` all that they read.
    """

    rule: Rule
    rules: tuple[Rule, ...]
    series: tuple[Series, ...]
    subjects: frozenset[str]
    from_ms: int
    to_ms: int

    @property
    def needs_detector(self) -> bool:
        """Whether one of the rules needs an anomaly detector."""
        return any(r.needs_scores for r in self.rules)


@dataclass(frozen=True, slots=True)
class PastSpan:
    """A condition span of a rule at a series. ``fired`` has its worst value and highest level."""

    fired: RuleTransition
    end_ms: int

    @property
    def start_ms(self) -> int:
        """When the condition became true."""
        return self.fired.transition.start_ms


def merge_refires(rule: Rule, spans: Sequence[PastSpan]) -> list[PastSpan]:
    """The spans of one series, in the order of time, with those of one alert merged."""
    return [_merged(rule, alert) for alert in group_refires(spans, rule.refire_within)]


def _merged(rule: Rule, spans: Sequence[PastSpan]) -> PastSpan:
    """One span over all, from the first; value and level are those of the first at the highest level."""
    first = spans[0].fired
    highest = max((s.fired.transition for s in spans), key=lambda t: t.level)
    worst = min if rule.lower_is_worse else max
    merged = replace(
        first.transition, level=highest.level, value=highest.value,
        peak=worst(s.fired.transition.peak for s in spans),
    )  # fmt: skip
    return PastSpan(replace(first, transition=merged), spans[-1].end_ms)


def cases_of(engine: RuleEngine, rules: Iterable[Rule], spans: Spans) -> Iterator[Case]:
    """The cases that these late spans make necessary. ``engine`` knows series, partners and locations."""
    for rule in rules:
        rule_state = engine.state_of(rule.full_id)
        if rule_state is None:
            continue
        if isinstance(rule_state.evaluator, CompositeEvaluator):
            yield from _composites(engine, rule_state.evaluator, spans)
        elif rule.needs_scores:
            yield from _anomalies(rule, rule_state.evaluator.index.series, spans)
        else:
            yield from _comparisons(rule, rule_state.evaluator, spans)


def _comparisons(rule: Rule, evaluator: Evaluator, spans: Spans) -> Iterator[Case]:
    for subject, inputs in evaluator.inputs():
        found = _span_of(inputs, spans)
        if found is not None:
            yield Case(rule, (rule,), inputs, frozenset({str(subject.key)}), *found)


def _composites(engine: RuleEngine, evaluator: CompositeEvaluator, spans: Spans) -> Iterator[Case]:
    rule = evaluator.rule
    parts = _parts_of(engine, rule)
    locations = _locations_with(engine, rule, parts, spans)
    for anchor in evaluator.index.series:
        location = rule.location_of(anchor)
        if location not in locations:
            continue
        series = _series_at(engine, rule, parts, location)
        found = _span_of(series, spans)
        if found is not None:
            yield Case(rule, (*parts, rule), tuple(series), frozenset({str(anchor.key)}), *found)


def _parts_of(engine: RuleEngine, rule: CompositeRule) -> tuple[Rule, ...]:
    """The rules that a composite refers to, directly and indirectly, the innermost first."""
    found: dict[str, Rule] = {}
    for name in rule.refers_to:
        rule_state = engine.state_of(name)
        if rule_state is None:
            continue
        if isinstance(rule_state.rule, CompositeRule):
            found |= {r.full_id: r for r in _parts_of(engine, rule_state.rule)}
        found[name] = rule_state.rule
    return tuple(found.values())


def _locations_with(
    engine: RuleEngine, rule: CompositeRule, parts: Sequence[Rule], spans: Spans
) -> set[str]:
    """The locations where late series matter, as subjects or for comparison."""
    found = {rule.location_of(s) for s in engine.known_series if str(s.key) in spans}
    for part in parts:
        rule_state = engine.state_of(part.full_id)
        if rule_state is not None and part.reads_several_series:
            found |= {
                rule.location_of(subject)
                for subject, inputs in rule_state.evaluator.inputs()
                if any(str(s.key) in spans for s in inputs)
            }
    return found


def _series_at(
    engine: RuleEngine, rule: CompositeRule, parts: Sequence[Rule], location: str
) -> list[Series]:
    found: dict[int, Series] = {}
    for part in parts:
        rule_state = engine.state_of(part.full_id)
        assert rule_state is not None
        here = [s for s in rule_state.evaluator.index.series if rule.location_of(s) == location]
        found |= {s.index: s for s in here}
        if part.reads_several_series:
            for subject, inputs in rule_state.evaluator.inputs():
                if rule.location_of(subject) == location:
                    found |= {s.index: s for s in inputs}
    return [found[i] for i in sorted(found)]


def _anomalies(rule: Rule, series: Sequence[Series], spans: Spans) -> Iterator[Case]:
    long = [
        s for s in series
        if str(s.key) in spans and spans[str(s.key)][1] - spans[str(s.key)][0] >= SHORTEST_ANOMALY_MS
    ]  # fmt: skip
    for begin in range(0, len(long), SERIES_A_CASE):
        some = long[begin : begin + SERIES_A_CASE]
        found = _span_of(some, spans)
        assert found is not None
        yield Case(rule, (rule,), tuple(some), frozenset(str(s.key) for s in some), *found)


def _span_of(series: Iterable[Series], spans: Spans) -> tuple[int, int] | None:
    mine = [spans[str(s.key)] for s in series if str(s.key) in spans]
    return (min(a for a, _ in mine), max(b for _, b in mine)) if mine else None


def evaluate_case(
    case: Case, store: SampleStore, now_ms: int, new_detector: Callable[[], Detector] | None
) -> Iterator[list[PastSpan]]:
    """The alerts of a case, in the last step; empty steps before, so that the caller can pause."""
    detector = new_detector() if case.needs_detector and new_detector is not None else None
    engine = RuleEngine(case.rules, detector)
    local = [replace(s, index=i) for i, s in enumerate(case.series)]
    engine.register(local)
    around_ms = AROUND_MS + max(2 * r.reach_ms + r.hold + r.clear_after for r in case.rules)
    begin_ms, end_ms = case.from_ms - around_ms, min(case.to_ms + around_ms, now_ms) + 1
    spans = _SubjectSpans(case)
    portion_ms = longest_portion_ms(case.rules)
    if detector is not None:  # each update takes long
        portion_ms = min(portion_ms or AROUND_MS, AROUND_MS)
    for batch in _samples(case, store, begin_ms, end_ms, learn=detector is not None):
        for part in in_order_of_time(batch, portion_ms):
            transitions, _ = engine.advance(part, now_ms)
            spans.add(transitions)
            yield []
    last_ms = {str(s.key): int(engine.last_ms[s.index]) for s in local}
    yield [
        alert
        for of_subject in spans.finish(last_ms)
        for alert in merge_refires(case.rule, of_subject)
        if alert.start_ms <= case.to_ms + case.rule.reach_ms and alert.end_ms >= case.from_ms
    ]


def _samples(
    case: Case, store: SampleStore, begin_ms: int, end_ms: int, *, learn: bool
) -> Iterator[SampleBatch]:
    if learn:
        yield _read(case, store, begin_ms - LEARN_MS, begin_ms, LEARN_STEP_MS)
    for start_ms in range(begin_ms, end_ms, SLICE_MS):
        yield _read(case, store, start_ms, min(start_ms + SLICE_MS, end_ms), None)


def _read(
    case: Case, store: SampleStore, start_ms: int, end_ms: int, step_ms: int | None
) -> SampleBatch:
    found = store.read_many(case.series, start_ms, end_ms, step_ms, "last")
    return SampleBatch.concat(
        [
            SampleBatch.of([i] * len(r.time_ms), r.time_ms, r.value, r.quality)
            for i, r in enumerate(found)
        ]
    )


class _SubjectSpans:
    """Folds the transitions of the case's own rule at its subjects into spans."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._open: OpenSpans[str] = OpenSpans()
        self._fired: dict[str, RuleTransition] = {}
        self._spans: dict[str, list[PastSpan]] = {}

    def add(self, transitions: Iterable[RuleTransition]) -> None:
        """Take the transitions of the case's engine, whose series are numbered as in the case."""
        for one in transitions:
            key = str(one.series.key)
            if one.rule.full_id != self._case.rule.full_id or key not in self._case.subjects:
                continue
            if one.transition.change == "fire":
                self._fired[key] = replace(one, series=self._case.series[one.series.index])
            span = self._open.apply(key, one.transition)
            if span is not None and span.end_ms is not None:
                self._end(key, span.fired, span.end_ms)

    def _end(self, key: str, fired: Transition, end_ms: int) -> None:
        span = PastSpan(replace(self._fired.pop(key), transition=fired), end_ms)
        self._spans.setdefault(key, []).append(span)

    def finish(self, last_ms: Mapping[str, int]) -> Iterable[list[PastSpan]]:
        """All spans, by subject; an open one ends with the last sample of its subject."""
        for key, span in self._open.finish().items():
            self._end(key, span.fired, last_ms[key])
        return self._spans.values()
