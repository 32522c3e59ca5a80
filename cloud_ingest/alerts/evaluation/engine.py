"""All rules over all series, batch by batch: from samples to the moments at which alerts change.

Knows no database and no clock. What it remembers is in arrays that ``state`` gives and
``restore`` takes; which alerts are open is the records' to know.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from alert_rules.evaluator import SeriesIndex, SortedSamples, State, Verdicts, group_starts
from alert_rules.hold_time import HoldTime, Transition
from alert_rules.kinds.anomaly import AnomalyEvaluator
from alert_rules.kinds.composite import CompositeEvaluator, CompositeRule
from alert_rules.rule import Rule, parse_hours
from alert_rules.rule_kinds import new_evaluator
from alert_rules.shared_windows import SharedState
from cloud_ingest.detection import (
    AnyScores,
    Detector,
    Reason,
    StateMismatchError,
    budget_for_quantity,
)
from cloud_ingest.detection.explain import Finding
from telemetry.batches import Bool, Int64, SampleBatch, is_too_far_ahead
from telemetry.local_time import midnight_ms, ms_of_day
from telemetry.quality import Flag
from telemetry.series import Series

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class RuleTransition:
    """A transition of a rule at a series; ``finding`` is what an anomaly detector saw there."""

    rule: Rule
    series: Series
    transition: Transition
    finding: Finding | None = None


@dataclass(frozen=True, slots=True)
class LateSpan:
    """Samples of a series came that are older than what was judged already."""

    series: Series
    from_ms: int
    to_ms: int


class RuleState:
    """One rule with everything it remembers."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.evaluator = new_evaluator(rule)
        if isinstance(self.evaluator, AnomalyEvaluator):
            self.evaluator.budgets = _usual_budgets
        levels = max(len(rule.thresholds), 1)
        self.hold_time = HoldTime(
            levels, rule.hold, rule.clear_after, -1 if rule.lower_is_worse else 1
        )
        self._from_ms, self._to_ms = in_force_ms(rule)
        self._hours = parse_hours(rule.hours) if rule.hours is not None else None

    def bind(self, series: Sequence[Series]) -> None:
        """Make series known."""
        self.evaluator.bind(series)
        gap_ms = self.evaluator.gap_ms(self.rule.gap)
        if len(gap_ms) and (gap_ms == gap_ms[0]).all():
            gap_ms = np.broadcast_to(gap_ms[:1].copy(), gap_ms.shape)  # one number, not one each
        self.hold_time.grow(gap_ms)

    def verdicts(self, runs: SortedSamples) -> Verdicts:
        """What the rule says of the samples, as far as it is in force at their time."""
        found = self.evaluator.evaluate(runs)
        if len(found) and (self._from_ms is not None or self._to_ms is not None):
            found = found.select(self._in_force(found.time_ms))
        if self._hours is not None and len(found):
            outside = ~within_hours(found.time_ms, self._hours)
            found = replace(found, level=np.where(outside, 0, found.level).astype(np.int8))
        return found

    def advance(self, runs: SortedSamples) -> list[Transition]:
        """What the samples change."""
        found = self.verdicts(runs)
        return _at_their_height(self.hold_time.advance(found)) if len(found) else []

    def _in_force(self, time_ms: Int64) -> Bool:
        on = np.ones(len(time_ms), np.bool_)
        if self._from_ms is not None:
            on &= time_ms >= self._from_ms
        if self._to_ms is not None:
            on &= time_ms < self._to_ms
        return on

    def state(self) -> State:
        """Everything remembered, and which series and which rule it is about."""
        parts: State = {
            "rule": np.array(self.rule.model_dump_json()),
        }
        parts |= {f"e.{k}": v for k, v in self.evaluator.state().items()}
        parts |= {f"h.{k}": v for k, v in self.hold_time.state().items()}
        return _with_members(self.evaluator.index, parts)

    def restore(self, state: State) -> None:
        """Go on from a state; not if the rule has changed since."""
        if "rule" not in state or str(state["rule"]) != self.rule.model_dump_json():
            return
        for prefix, part in (("e.", self.evaluator), ("h.", self.hold_time)):
            part.restore(_moved(self.evaluator.index, part.state(), state, prefix))


def _with_members(index: SeriesIndex, state: State) -> State:
    return {"members": np.array([s.index for s in index.series], np.int64)} | state


def _moved(index: SeriesIndex, own: State, kept: State, prefix: str) -> State:
    """``own`` with what a state kept, each series' part where that series is now."""
    slots = np.array([index.row_of(int(i)) for i in kept["members"]], np.int64)
    old = np.flatnonzero(slots >= 0)
    moved: State = {}
    for name, array in own.items():
        moved[name] = array.copy()
        source = kept.get(prefix + name)
        if source is not None and source.ndim == array.ndim and len(source) == len(slots):
            # A window may have become longer or shorter since: its newest steps are the first.
            width = min(source.shape[-1], array.shape[-1])
            if array.ndim == 1:
                moved[name][slots[old]] = source[old]
            else:
                moved[name][slots[old], :width] = source[old, :width]
    return moved


def _usual_budgets(quantity: str) -> tuple[float, float]:
    usual = budget_for_quantity(quantity)
    return usual.statistical, usual.fault


def _at_their_height(changes: list[Transition]) -> list[Transition]:
    """The same changes; a run that fires and rises in one moment fires at the higher level."""
    found: list[Transition] = []
    for change in changes:
        last = found[-1] if found else None
        if (
            change.change == "rise" and last is not None and last.change == "fire"
            and (last.row, last.time_ms) == (change.row, change.time_ms)
        ):  # fmt: skip
            found[-1] = replace(last, level=change.level)
        else:
            found.append(change)
    return found


def in_force_ms(rule: Rule) -> tuple[int | None, int | None]:
    """From when and until when a rule's limit holds, local midnight in UTC milliseconds."""
    legal = rule.legal
    if legal is None:
        return None, None
    return _midnight_ms(legal.effective_from), _midnight_ms(legal.effective_to)


def within_hours(time_ms: Int64, hours: tuple[int, int]) -> Bool:
    """Whether each moment (the end of what it tells of) lies in hours of the local day."""
    of_day = ms_of_day(time_ms - 1)
    begin, end = hours
    if begin <= end:
        return (of_day >= begin) & (of_day < end)
    return (of_day >= begin) | (of_day < end)


def _midnight_ms(day: date | None) -> int | None:
    return None if day is None else midnight_ms(day)


class RuleEngine:
    """The rules that judge samples (all kinds but silence, which the clock judges)."""

    def __init__(self, rules: Iterable[Rule], detector: Detector | None = None) -> None:
        runs = [RuleState(r) for r in rules if r.kind != "no_data"]
        self._composites = [r for r in runs if isinstance(r.evaluator, CompositeEvaluator)]
        self.runs = [r for r in runs if r not in self._composites] + self._composites
        self._shared = SharedState()
        for run in self.runs:
            self._shared.attach(run.evaluator)
        self._detector = detector
        self._series: list[Series | None] = []
        self.last_ms = np.empty(0, np.int64)
        self.future_samples = 0

    def register(self, series: Sequence[Series]) -> None:
        """Make series known; again when what is known of them changed."""
        if not series:
            return
        top = max(s.index for s in series) + 1
        self._series += [None] * (top - len(self._series))
        for one in series:
            self._series[one.index] = one
        if top > len(self.last_ms):
            self.last_ms = np.append(self.last_ms, np.zeros(top - len(self.last_ms), np.int64))
        for run in self.runs:
            if isinstance(run.evaluator, CompositeEvaluator):
                run.evaluator.anchor(self._watched(run.evaluator.rule))
            run.bind(series)
        if self._detector is not None:
            self._detector.register(series)

    def _watched(self, rule: CompositeRule) -> list[Series]:
        """The series of the first rule that a composite names."""
        for name in rule.refers_to:
            run = self.state_of(name)
            if run is not None and len(run.evaluator.index):
                return sorted(run.evaluator.index.series, key=lambda s: s.index)
        return []

    def series(self, index: int) -> Series:
        """The series with this number."""
        found = self._series[index]
        assert found is not None
        return found

    @property
    def series_count(self) -> int:
        """How many series are known."""
        return len(self._series)

    @property
    def known_series(self) -> list[Series]:
        """Every series that was registered."""
        return [s for s in self._series if s is not None]

    def advance(
        self, batch: SampleBatch, now_ms: int
    ) -> tuple[list[RuleTransition], list[LateSpan]]:
        """Judge a batch: what changed, and which samples were too old to be judged here."""
        batch = _in_order(batch)
        ahead = is_too_far_ahead(batch.time_ms, now_ms)
        if ahead.any():
            self.future_samples += int(ahead.sum())
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
        runs = self.usable(batch)
        return (self.judge(runs) if len(runs) else []), late

    def usable(self, batch: SampleBatch) -> SortedSamples:
        """The samples that rules may read, with their anomaly scores."""
        scores = self._detector.update(batch) if self._detector is not None else None
        good = np.isfinite(batch.value)
        good &= (batch.quality != Flag.FAIL) & (batch.quality != Flag.MISSING)
        if good.all():
            return SortedSamples(batch.series, batch.time_ms, batch.value, scores)
        if scores is not None:
            scores = scores.select(good)
        return SortedSamples(batch.series[good], batch.time_ms[good], batch.value[good], scores)

    def judge(self, runs: SortedSamples) -> list[RuleTransition]:
        """What samples in order change."""
        found = [
            self._rule_transition(run, change, runs)
            for run in self.runs
            for change in run.advance(runs)
        ]
        found.sort(key=lambda f: f.transition.time_ms)
        for run in self._composites:
            found += self._combine(run, found, runs)
        self._shared.clear_cache()
        return found

    def _combine(
        self, run: RuleState, found: list[RuleTransition], runs: SortedSamples
    ) -> list[RuleTransition]:
        """What the findings mean for a composite rule, which comes after those it names."""
        evaluator = run.evaluator
        assert isinstance(evaluator, CompositeEvaluator)
        rule = evaluator.rule
        changes = [
            (f.rule.full_id, rule.place_of(f.series), f.transition.change == "fire", f.transition.time_ms)
            for f in found
            if f.rule.full_id in rule.refers_to and f.transition.change in ("fire", "clear")
        ]  # fmt: skip
        on = run.hold_time.on
        if not changes and not on.any() and not evaluator.holds_without_firing():
            return []
        heard = {
            rule.place_of(anchor): int(self.last_ms[anchor.index])
            for slot, anchor in enumerate(evaluator.index.series)
            if (on[slot] or evaluator.holds_without_firing()) and self.last_ms[anchor.index]
        }
        verdicts = evaluator.combine(changes, heard)
        told = run.hold_time.advance(verdicts) if len(verdicts) else []
        return [self._rule_transition(run, change, runs) for change in told]

    def _rule_transition(
        self, run: RuleState, change: Transition, runs: SortedSamples
    ) -> RuleTransition:
        series = run.evaluator.index.series[change.row]
        transition = RuleTransition(run.rule, series, change)
        if run.rule.kind != "anomaly" or runs.scores is None:
            return transition
        left, right = np.searchsorted(runs.series, [series.index, series.index + 1])
        at = left + int(np.searchsorted(runs.time_ms[left:right], change.time_ms))
        at = min(at, int(right) - 1)
        scores = runs.scores
        assert isinstance(scores, AnyScores)
        finding = Finding(
            Reason(int(scores.reason[at])), change.time_ms, int(scores.since_ms[at]),
            float(runs.value[at]), float(scores.expected[at]), float(scores.low[at]),
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
        """The run of a rule."""
        return next((r for r in self.runs if r.rule.full_id == full_id), None)

    def resume_composites(self) -> None:
        """Let the composite rules know what fires, after that was changed from outside."""
        for run in self._composites:
            assert isinstance(run.evaluator, CompositeEvaluator)
            run.evaluator.resume(self._firing_places(run.evaluator.rule))

    def _firing_places(self, rule: CompositeRule) -> list[tuple[str, str]]:
        return [
            (name, rule.place_of(run.evaluator.index.series[slot]))
            for name in rule.refers_to
            if (run := self.state_of(name)) is not None
            for slot in run.hold_time.firing.tolist()
        ]

    def state(self, *, with_detector: bool = True) -> dict[str, State]:
        """Everything remembered, by part: each rule by its name, ``last_ms``, the detector."""
        parts = {f"rule {run.rule.full_id}": run.state() for run in self.runs}
        for name, resampler in self._shared.resamplers.items():
            parts[f"steps {name}"] = _with_members(resampler.index, resampler.state())
        parts["series"] = {"last_ms": self.last_ms}
        if self._detector is not None and with_detector:
            parts["detector"] = self._detector.state()
        return parts

    def restore(self, part: Callable[[str], State | None]) -> None:
        """Go on from what ``state`` gave; a rule that has no state begins anew."""
        for run in self.runs:
            state = part(f"rule {run.rule.full_id}")
            if state is not None:
                run.restore(state)
        for name, resampler in self._shared.resamplers.items():
            state = part(f"steps {name}")
            if state is not None:
                resampler.restore(_moved(resampler.index, resampler.state(), state, ""))
        self.resume_composites()
        series = part("series")
        if series is not None:
            known = series["last_ms"][: len(self.last_ms)]
            self.last_ms[: len(known)] = known
        detector = part("detector")
        if detector is not None and self._detector is not None:
            # Another detector's memory (its kind was changed since) is of no use: begin anew.
            with contextlib.suppress(StateMismatchError):
                self._detector.restore(detector)


def _in_order(batch: SampleBatch) -> SampleBatch:
    s, t = batch.series, batch.time_ms
    first = group_starts(s)
    head = s[first]
    ordered = (first[1:] | (t[1:] > t[:-1])).all() and (head[1:] > head[:-1]).all()
    return batch if ordered else batch.newest_only()
