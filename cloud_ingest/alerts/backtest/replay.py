"""Replays stored history through rules: when they would have fired, how often, for how long.

Missing data is judged series by series, by the gaps between samples. Anomaly rules start with a new
detector at the beginning of the history.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from alert_rules.evaluator import DEFAULT_GAP_MS, SortedSamples
from alert_rules.hold_time import ConditionSpan, OpenSpans, Transition
from alert_rules.kinds.no_data import NoDataRule
from alert_rules.rule import Rule
from cloud_ingest.alerts.evaluation.engine import RuleEngine
from cloud_ingest.alerts.evaluation.rule_state import RuleState
from cloud_ingest.alerts.refires import group_refires
from cloud_ingest.detection import Detector
from cloud_ingest.stores.protocol import SampleStore
from telemetry.batches import SampleBatch
from telemetry.series import Series

CHUNK = 32_768
"""Samples evaluated at once: what fits into a processor's cache."""
SLICE_MS = 86_400_000


def longest_portion_ms(rules: Iterable[Rule]) -> int | None:
    """The longest time that one portion may cover; None: no limit.

    A rule over rules (a composite) with a hold time is updated once a portion, so portions must be
    shorter than its gap.
    """
    holds = [r for r in rules if r.refers_to and (r.hold or r.clear_after)]
    return min((r.gap or DEFAULT_GAP_MS for r in holds), default=None)


def in_order_of_time(batch: SampleBatch, portion_ms: int | None) -> Iterator[SampleBatch]:
    """Portions in the order of time, each with all series."""
    if not len(batch):
        return
    order = np.argsort(batch.time_ms, kind="stable")
    time_ms = batch.time_ms[order]
    cuts = np.arange(CHUNK, len(batch), CHUNK)
    if portion_ms is not None:
        slot = time_ms // max(portion_ms // 2, 1)
        cuts = np.union1d(cuts, np.flatnonzero(slot[1:] != slot[:-1]) + 1)
    for part in np.split(order, cuts):
        yield batch.select(part)


@dataclass(frozen=True, slots=True)
class Exceedance:
    """A span in which a rule would have fired for a series. ``end_ms`` None: it had not ended."""

    rule: str
    series: str
    start_ms: int
    fired_ms: int
    end_ms: int | None
    peak: float
    level: int


@dataclass(slots=True)
class ReplayResult:
    """The exceedances, and the first and last time of the samples (0 without samples)."""

    samples: int = 0
    first_ms: int = 0
    last_ms: int = 0
    exceedances: list[Exceedance] = field(default_factory=list)

    def on_ms(self, found: Iterable[Exceedance]) -> int:
        """The total length; one that has not ended counts until the last sample."""
        return sum(max((e.end_ms or self.last_ms) - e.start_ms, 0) for e in found)

    def of_rule(self, rule: str) -> list[Exceedance]:
        """The exceedances of one rule, in the order of time."""
        return sorted(
            (e for e in self.exceedances if e.rule == rule), key=lambda e: (e.start_ms, e.series)
        )

    def alerts(self, rule: Rule) -> int:
        """The number of alerts: exceedances within the rule's ``refire_within`` are one alert."""
        by_series: dict[str, list[Exceedance]] = {}
        for one in self.of_rule(rule.full_id):
            by_series.setdefault(one.series, []).append(one)
        return sum(len(group_refires(e, rule.refire_within)) for e in by_series.values())


class Replay:
    """Evaluates rules over history that is fed to it in the order of time."""

    def __init__(
        self, rules: Sequence[Rule], series: Sequence[Series], detector: Detector | None = None
    ) -> None:
        self._engine = RuleEngine(rules, detector)
        self._engine.register(series)
        self._no_data = [RuleState(r) for r in rules if isinstance(r, NoDataRule)]
        for rule_state in self._no_data:
            rule_state.bind(series)
        self._joint = any(r.reads_several_series for r in rules)
        self._portion_ms = longest_portion_ms(rules)
        self._open: OpenSpans[tuple[str, str]] = OpenSpans()
        self.result = ReplayResult()

    def feed(self, batch: SampleBatch) -> None:
        """Evaluate samples that are newer than those before of their series."""
        if not len(batch):
            return
        self.result.samples += len(batch)
        now_ms = int(batch.time_ms.max())
        self.result.last_ms = max(now_ms, self.result.last_ms)
        self.result.first_ms = self.result.first_ms or int(batch.time_ms.min())
        for part in self._portions(batch):
            transitions, _ = self._engine.advance(part, now_ms)
            for one in transitions:
                self._add(one.rule, one.series, one.transition)
            if self._no_data:
                self._find_gaps(part)

    def _portions(self, batch: SampleBatch) -> Iterator[SampleBatch]:
        if self._joint:
            yield from in_order_of_time(batch, self._portion_ms)
            return
        for begin in range(0, len(batch), CHUNK):
            yield batch.select(np.arange(begin, min(begin + CHUNK, len(batch))))

    def _find_gaps(self, part: SampleBatch) -> None:
        samples = SortedSamples.of(part)
        for rule_state in self._no_data:
            for transition in rule_state.advance(samples):
                series = rule_state.evaluator.index.series[transition.row]
                self._add(rule_state.rule, series, transition)

    def _add(self, rule: Rule, series: Series, transition: Transition) -> None:
        key = (rule.full_id, str(series.key))
        span = self._open.apply(key, transition)
        if span is not None:
            self.result.exceedances.append(_exceedance(key, span))

    def finish(self) -> ReplayResult:
        """The result, with the exceedances that have not ended."""
        open_spans = self._open.finish()
        self.result.exceedances += [_exceedance(key, span) for key, span in open_spans.items()]
        return self.result


def _exceedance(key: tuple[str, str], span: ConditionSpan) -> Exceedance:
    return Exceedance(*key, span.start_ms, span.fired_ms, span.end_ms, span.peak, span.level)


def history(
    store: SampleStore, series: Sequence[Series], start_ms: int, end_ms: int
) -> Iterator[SampleBatch]:
    """The samples of these series, a day at a time, each series in order."""
    for begin in range(start_ms, end_ms, SLICE_MS):
        parts = []
        for one in series:
            found = store.read(one, begin, min(begin + SLICE_MS, end_ms))
            if len(found.time_ms):
                parts.append(
                    SampleBatch(
                        np.full(len(found.time_ms), one.index, np.int32), found.time_ms,
                        found.value, found.quality,
                    )
                )  # fmt: skip
        if parts:
            yield SampleBatch.concat(parts)
