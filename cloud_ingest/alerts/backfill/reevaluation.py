"""Judging the past: rules that look at several series, or at what a detector learnt, over late data.

A *case* is one such rule with every series that it reads and a span in which some of them came
late. It is judged by an engine of its own, from samples in the store, in the order of time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from alert_rules.kinds.composite import CompositeEvaluator, CompositeRule
from alert_rules.kinds.difference import DifferenceEvaluator
from alert_rules.rule import Rule
from cloud_ingest.alerts.backtest.replay import SLICE_MS, in_order_of_time, longest_portion_ms
from cloud_ingest.alerts.evaluation.engine import RuleEngine, RuleTransition
from cloud_ingest.detection import Detector
from cloud_ingest.stores.protocol import SampleStore
from telemetry.batches import SampleBatch
from telemetry.series import Series

AROUND_MS = 3_600_000
LEARN_MS = 3 * 86_400_000
"""So much before the late data is shown to a detector first ..."""
LEARN_STEP_MS = 300_000
"""... at one sample in so long."""
SHORTEST_ANOMALY_MS = 600_000
"""Gaps that were shorter are not worth the learning."""
SERIES_A_CASE = 200

Spans = Mapping[str, tuple[int, int]]
"""By series key: from and until when samples came late."""


@dataclass(frozen=True, slots=True)
class Case:
    """One rule to judge for ``subjects`` (keys) between two times; ``series`` is all it reads."""

    rule: Rule
    rules: tuple[Rule, ...]
    series: tuple[Series, ...]
    subjects: frozenset[str]
    from_ms: int
    to_ms: int

    @property
    def needs_detector(self) -> bool:
        """Whether an anomaly takes part."""
        return any(r.kind == "anomaly" for r in self.rules)


@dataclass(frozen=True, slots=True)
class PastRun:
    """A rule held at a series: how it began (with its worst value), and when it ended."""

    begin: RuleTransition
    end_ms: int


def as_alerts(rule: Rule, runs: Sequence[PastRun]) -> list[PastRun]:
    """Runs of one series in order; those that soon follow another are the same alert."""
    worst = min if rule.lower_is_worse else max
    found: list[PastRun] = []
    for run in runs:
        last = found[-1] if found else None
        change = run.begin.transition
        if last is None or change.start_ms - last.end_ms > rule.refire_within:
            found.append(run)
            continue
        begun = last.begin.transition
        longer = replace(
            begun, peak=worst(begun.peak, change.peak), level=max(begun.level, change.level)
        )
        found[-1] = PastRun(replace(last.begin, transition=longer), run.end_ms)
    return found


def cases_of(engine: RuleEngine, rules: Iterable[Rule], spans: Spans) -> Iterator[Case]:
    """What has to be judged anew because of these late spans, with the series as the engine knows them."""
    for rule in rules:
        run = engine.state_of(rule.full_id)
        if run is None:
            continue
        if isinstance(run.evaluator, DifferenceEvaluator):
            yield from _differences(rule, run.evaluator, spans)
        elif isinstance(run.evaluator, CompositeEvaluator):
            yield from _composites(engine, run.evaluator, spans)
        elif rule.kind == "anomaly":
            yield from _anomalies(rule, run.evaluator.index.series, spans)


def _differences(rule: Rule, evaluator: DifferenceEvaluator, spans: Spans) -> Iterator[Case]:
    for own, partner in evaluator.pairs():
        found = _span_of((own, partner), spans)
        if found is not None:
            yield Case(rule, (rule,), (own, partner), frozenset({str(own.key)}), *found)


def _composites(engine: RuleEngine, evaluator: CompositeEvaluator, spans: Spans) -> Iterator[Case]:
    rule = evaluator.rule
    parts = _parts_of(engine, rule)
    places = _places_with(engine, rule, parts, spans)
    for anchor in evaluator.index.series:
        place = rule.place_of(anchor)
        if place not in places:
            continue
        series = _series_at(engine, rule, parts, place)
        found = _span_of(series, spans)
        if found is not None:
            yield Case(rule, (*parts, rule), tuple(series), frozenset({str(anchor.key)}), *found)


def _parts_of(engine: RuleEngine, rule: CompositeRule) -> tuple[Rule, ...]:
    """The rules that a composite names, and those that these name, the innermost first."""
    found: dict[str, Rule] = {}
    for name in rule.refers_to:
        run = engine.state_of(name)
        if run is None:
            continue
        if isinstance(run.rule, CompositeRule):
            found |= {r.full_id: r for r in _parts_of(engine, run.rule)}
        found[name] = run.rule
    return tuple(found.values())


def _places_with(
    engine: RuleEngine, rule: CompositeRule, parts: Sequence[Rule], spans: Spans
) -> set[str]:
    """Where late series count, by themselves or as partners."""
    found = {rule.place_of(s) for s in engine.known_series if str(s.key) in spans}
    for part in parts:
        run = engine.state_of(part.full_id)
        if run is not None and isinstance(run.evaluator, DifferenceEvaluator):
            found |= {rule.place_of(o) for o, p in run.evaluator.pairs() if str(p.key) in spans}
    return found


def _series_at(
    engine: RuleEngine, rule: CompositeRule, parts: Sequence[Rule], place: str
) -> list[Series]:
    found: dict[int, Series] = {}
    for part in parts:
        run = engine.state_of(part.full_id)
        assert run is not None
        here = [s for s in run.evaluator.index.series if rule.place_of(s) == place]
        found |= {s.index: s for s in here}
        if isinstance(run.evaluator, DifferenceEvaluator):
            wanted = {s.index for s in here}
            found |= {p.index: p for own, p in run.evaluator.pairs() if own.index in wanted}
    return [found[i] for i in sorted(found)]


def _anomalies(rule: Rule, members: Sequence[Series], spans: Spans) -> Iterator[Case]:
    long = [
        s for s in members
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


def judge(
    case: Case, store: SampleStore, now_ms: int, new_detector: Callable[[], Detector] | None
) -> Iterator[list[PastRun]]:
    """The runs of a case. Does a little at each step, so that whoever asks can stop in between."""
    detector = new_detector() if case.needs_detector and new_detector is not None else None
    engine = RuleEngine(case.rules, detector)
    local = [replace(s, index=i) for i, s in enumerate(case.series)]
    engine.register(local)
    around_ms = AROUND_MS + max(
        2 * (r.averaging_ms or 0) + r.hold + r.clear_after for r in case.rules
    )
    begin_ms, end_ms = case.from_ms - around_ms, min(case.to_ms + around_ms, now_ms) + 1
    watched = _Watched(case)
    portion_ms = longest_portion_ms(case.rules)
    if detector is not None:  # it takes its time over each look
        portion_ms = min(portion_ms or AROUND_MS, AROUND_MS)
    for batch in _samples(case, store, begin_ms, end_ms, learn=detector is not None):
        for part in in_order_of_time(batch, portion_ms):
            found, _ = engine.advance(part, now_ms)
            watched.note(found, local)
            yield []
    last_ms = {str(s.key): int(engine.last_ms[s.index]) for s in local}
    yield [
        run
        for runs in watched.finish(last_ms)
        for run in as_alerts(case.rule, runs)
        if run.begin.transition.start_ms <= case.to_ms + (case.rule.averaging_ms or 0)
        and run.end_ms >= case.from_ms
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


class _Watched:
    """The runs of the case's own rule at its subjects, as they begin and end."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._open: dict[str, RuleTransition] = {}
        self._runs: dict[str, list[PastRun]] = {}

    def note(self, found: Iterable[RuleTransition], local: Sequence[Series]) -> None:
        """Take in what an engine found."""
        for one in found:
            key = str(one.series.key)
            if one.rule.full_id != self._case.rule.full_id or key not in self._case.subjects:
                continue
            change = one.transition.change
            real = self._case.series[local[one.series.index].index]
            if change == "fire":
                self._open[key] = replace(one, series=real)
            elif change == "rise" and key in self._open:
                begun = self._open[key]
                higher = replace(begun.transition, level=one.transition.level)
                self._open[key] = replace(begun, transition=higher)
            elif change == "clear" and key in self._open:
                self._end(key, one.transition.time_ms, one.transition.peak)

    def _end(self, key: str, end_ms: int, peak: float | None) -> None:
        begun = self._open.pop(key)
        if peak is not None:
            begun = replace(begun, transition=replace(begun.transition, peak=peak))
        self._runs.setdefault(key, []).append(PastRun(begun, end_ms))

    def finish(self, last_ms: Mapping[str, int]) -> Iterable[list[PastRun]]:
        """All of them by series; what is still on ends with its last sample."""
        for key in list(self._open):
            self._end(key, last_ms[key], None)
        return self._runs.values()
