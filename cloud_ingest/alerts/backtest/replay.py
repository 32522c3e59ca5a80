"""Runs rules over stored history: when would they have fired, how often, for how long.

Silence is judged series by series from the pauses between samples; anomaly rules learn from the
beginning of the span, as a new detector would.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from alert_rules.evaluator import DEFAULT_GAP_MS, SortedSamples
from alert_rules.kinds.difference import DifferenceRule
from alert_rules.kinds.no_data import NoDataRule
from alert_rules.rule import Rule
from cloud_ingest.alerts.evaluation.engine import RuleEngine, RuleState, RuleTransition
from cloud_ingest.detection import Detector
from cloud_ingest.stores.protocol import SampleStore
from telemetry.batches import SampleBatch
from telemetry.series import Series

CHUNK = 32_768
"""Samples judged at once: what fits into a processor's cache."""
SLICE_MS = 86_400_000


_JOINT = frozenset({"difference", "composite"})
"""Kinds that look at several series at once: they must see them side by side."""


def longest_portion_ms(rules: Iterable[Rule]) -> int | None:
    """How much time one portion may hold; None: as much as there is.

    A composite hears of its series once a portion, and its hold time must not stand still between.
    """
    holds = [r for r in rules if r.kind == "composite" and (r.hold or r.clear_after)]
    return min((r.gap or DEFAULT_GAP_MS for r in holds), default=None)


def in_order_of_time(batch: SampleBatch, portion_ms: int | None) -> Iterator[SampleBatch]:
    """Portions of which none has samples older than those of the portion before it."""
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
    """A rule would have fired for a series. ``end_ms`` None: it was still on at the end."""

    rule: str
    series: str
    start_ms: int
    fired_ms: int
    end_ms: int | None
    peak: float
    level: int


@dataclass(slots=True)
class ReplayResult:
    """What came of it, and from when until when there were samples (both 0: never)."""

    samples: int = 0
    first_ms: int = 0
    last_ms: int = 0
    exceedances: list[Exceedance] = field(default_factory=list)

    def on_ms(self, found: Iterable[Exceedance]) -> int:
        """How long these lasted together; what was still on, until the last sample."""
        return sum(max((e.end_ms or self.last_ms) - e.start_ms, 0) for e in found)

    def of_rule(self, rule: str) -> list[Exceedance]:
        """The exceedances of one rule, in the order of time."""
        return sorted(
            (e for e in self.exceedances if e.rule == rule), key=lambda e: (e.start_ms, e.series)
        )

    def alerts(self, rule: Rule) -> int:
        """How many alerts people would have had: exceedances that soon follow another are one."""
        last: dict[str, int | None] = {}
        count = 0
        for one in self.of_rule(rule.full_id):
            before = last.get(one.series, -1)
            again = before is None or (before >= 0 and one.start_ms - before <= rule.refire_within)
            count += not again
            last[one.series] = one.end_ms
        return count


class Replay:
    """Feeds history to rules."""

    def __init__(
        self, rules: Sequence[Rule], series: Sequence[Series], detector: Detector | None = None
    ) -> None:
        self._engine = RuleEngine(rules, detector)
        self._engine.register(series)
        self._silences = [RuleState(r) for r in rules if isinstance(r, NoDataRule)]
        for run in self._silences:
            run.bind(series)
        self._joint = any(r.kind in _JOINT for r in rules)
        self._portion_ms = longest_portion_ms(rules)
        self._open: dict[tuple[str, str], Exceedance] = {}
        self.result = ReplayResult()

    def feed(self, batch: SampleBatch) -> None:
        """Judge samples, none older than those before (of their series)."""
        if not len(batch):
            return
        self.result.samples += len(batch)
        now_ms = int(batch.time_ms.max())
        self.result.last_ms = max(now_ms, self.result.last_ms)
        self.result.first_ms = self.result.first_ms or int(batch.time_ms.min())
        for part in self._portions(batch):
            found, _ = self._engine.advance(part, now_ms)
            self._note(found)
            if self._silences:
                self._judge_silences(part)

    def _portions(self, batch: SampleBatch) -> Iterator[SampleBatch]:
        if self._joint:
            yield from in_order_of_time(batch, self._portion_ms)
            return
        for begin in range(0, len(batch), CHUNK):
            yield batch.select(np.arange(begin, min(begin + CHUNK, len(batch))))

    def _judge_silences(self, part: SampleBatch) -> None:
        runs = SortedSamples.of(part)
        for run in self._silences:
            for change in run.advance(runs):
                series = run.evaluator.index.series[change.row]
                self._note([RuleTransition(run.rule, series, change)])

    def _note(self, found: Iterable[RuleTransition]) -> None:
        for one in found:
            change, key = one.transition, (one.rule.full_id, str(one.series.key))
            if change.change == "fire":
                self._open[key] = Exceedance(
                    *key, change.start_ms, change.time_ms, None, change.peak, change.level
                )
            elif change.change == "rise" and key in self._open:
                self._open[key] = replace(self._open[key], level=change.level)
            elif change.change == "clear" and key in self._open:
                begun = self._open.pop(key)
                self.result.exceedances.append(
                    replace(begun, end_ms=change.time_ms, peak=change.peak)
                )

    def finish(self) -> ReplayResult:
        """What came of it, with what was still on."""
        self.result.exceedances += self._open.values()
        self._open = {}
        return self.result


def watches(rule: Rule, series: Series) -> bool:
    """Whether a rule reads a series, as its subject or beside it."""
    if rule.select.matches(series):
        return True
    return isinstance(rule, DifferenceRule) and rule.minus.matches(series)


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
