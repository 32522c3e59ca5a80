"""Late data: evaluated by its own time, once no more of it arrives.

The span of late samples is noted in the database and evaluated from the store, with the samples
around it. A condition span that overlaps no alert becomes a retrospective alert. Rules over several
series, and anomaly rules, follow after the others, a little at a time (reevaluation.py).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from alert_rules.evaluator import SortedSamples
from alert_rules.hold_time import fold_transitions
from alert_rules.kinds.no_data import NoDataRule
from alert_rules.rule import Rule
from cloud_ingest.alerts import lifecycle, records, tables
from cloud_ingest.alerts.backfill.reevaluation import (
    Case,
    PastSpan,
    cases_of,
    evaluate_case,
    merge_refires,
)
from cloud_ingest.alerts.builder import StationName, condition_change
from cloud_ingest.alerts.evaluation.engine import LateSpan, RuleEngine
from cloud_ingest.alerts.evaluation.rule_state import RuleState, RuleTransition
from cloud_ingest.alerts.lifecycle import ConditionChange
from cloud_ingest.alerts.writer import AlertTransaction, AlertWriter
from cloud_ingest.detection import Detector
from cloud_ingest.stores.protocol import SampleStore
from telemetry.batches import SampleBatch, usable
from telemetry.series import Series

QUIET_MS = 10_000
"""Late data is evaluated when none has arrived for this time."""
SERIES_A_TURN = 20
_AROUND_MS = 3_600_000
_HOUR_MS = 3_600_000
_LOOK_EVERY_MS = 1_000
LONGEST_WINDOW_MS = 8 * 86_400_000
"""Rules with longer windows (means of a year) are not evaluated again: each gap would need years of samples."""
TURN_S = 0.2
"""The longest turn: live samples wait meanwhile."""


@dataclass(slots=True)
class _Job:
    """The series that are being evaluated (with their noted times), step by step."""

    noted_ms: dict[str, int]
    steps: Iterator[list[ConditionChange]]


class LateData:
    """Notes late spans and evaluates them when they have settled.

    Spans are in memory and, widened to whole hours, in the database: a gateway that delivers a week
    of history changes its row once for each hour of data. A row is deleted when all rules have
    evaluated it; after a crash before that it is evaluated again, which changes nothing.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        store: SampleStore | None,
        new_detector: Callable[[], Detector] | None = None,
        station_name: StationName = str,
    ) -> None:
        chosen = [
            r for r in rules
            if r.alert and r.reach_ms <= LONGEST_WINDOW_MS
            and not isinstance(r, NoDataRule)  # late data was missing, and its alerts are history
        ]  # fmt: skip
        self._rules = [r for r in chosen if not _needs_case(r)]
        self._together = [r for r in chosen if _needs_case(r)]
        self._store = store
        self._new_detector = new_detector
        self._station_name = station_name
        self._job: _Job | None = None
        self._next_ms = 0
        self._noted_ms: dict[str, int] = {}
        self._span: dict[str, tuple[int, int]] = {}
        self._exact: dict[str, tuple[int, int]] = {}
        self._unsaved: set[str] = set()

    def load(self, connection: Connection, now_ms: int) -> None:
        """Load the spans that an earlier process had noted."""
        for row in connection.execute(sa.select(tables.late)).mappings():
            self._span[row["series"]] = (row["from_ms"], row["to_ms"])
            self._exact[row["series"]] = (row["from_ms"], row["to_ms"])
            self._noted_ms[row["series"]] = now_ms
        self._next_ms = now_ms + QUIET_MS

    def note(self, connection: Connection, spans: Sequence[LateSpan], now_ms: int) -> None:
        """Note spans of samples that no rule has evaluated. Call ``saved`` after the commit."""
        if self._store is None or not spans:
            return
        for span in spans:
            key = str(span.series.key)
            from_ms, to_ms = span.from_ms // _HOUR_MS * _HOUR_MS, span.to_ms // _HOUR_MS * _HOUR_MS
            wide = from_ms, to_ms + _HOUR_MS
            known = self._span.get(key, wide)
            wider = min(known[0], wide[0]), max(known[1], wide[1])
            if self._span.get(key) != wider:
                self._span[key] = wider
                self._unsaved.add(key)
            exact = self._exact.get(key, (span.from_ms, span.to_ms))
            self._exact[key] = min(exact[0], span.from_ms), max(exact[1], span.to_ms)
            self._noted_ms[key] = now_ms
        self._next_ms = min(self._next_ms, now_ms + QUIET_MS)
        if not self._unsaved:
            return
        t = tables.late
        gone = sa.delete(t).where(t.c.series == sa.bindparam("name"))
        connection.execute(gone, [{"name": key} for key in self._unsaved])
        rows = [
            {
                "series": key, "from_ms": self._span[key][0], "to_ms": self._span[key][1],
                "noted_ms": now_ms,
            }
            for key in self._unsaved
        ]  # fmt: skip
        connection.execute(sa.insert(t), rows)

    def saved(self) -> None:
        """Note that the transaction of ``note`` was committed."""
        self._unsaved.clear()

    def tick(self, writer: AlertWriter, engine: RuleEngine, now_ms: int) -> None:
        """Evaluate settled late data: a few series at a time, for at most about ``TURN_S``."""
        if self._store is None or now_ms < self._next_ms:
            return
        if self._job is None:
            settled = [k for k, noted in self._noted_ms.items() if noted <= now_ms - QUIET_MS]
            if not settled:
                self._next_ms = now_ms + _LOOK_EVERY_MS
                return
            chosen = settled[:SERIES_A_TURN]
            noted = {key: self._noted_ms[key] for key in chosen}
            self._job = _Job(noted, self._steps(engine, chosen, now_ms))
        try:
            self._continue(self._job, writer, now_ms)
        except Exception:
            self._job = None  # the store or the database is unavailable: start the job again
            raise
        self._next_ms = now_ms + _LOOK_EVERY_MS

    def _continue(self, job: _Job, writer: AlertWriter, now_ms: int) -> None:
        until_s = time.monotonic() + TURN_S
        for changes in job.steps:
            if changes:
                with writer.transaction(now_ms) as transaction:
                    for change in changes:
                        _write_past_alert(transaction, change)
            if time.monotonic() > until_s:
                return
        self._finish(writer, job, now_ms)

    def _finish(self, writer: AlertWriter, job: _Job, now_ms: int) -> None:
        """Forget the series of the job, except those of which more late data came meanwhile."""
        done = [k for k, noted in job.noted_ms.items() if self._noted_ms.get(k) == noted]
        with writer.transaction(now_ms) as transaction:
            done_rows = sa.delete(tables.late).where(tables.late.c.series.in_(done))
            transaction.connection.execute(done_rows)
        self._job = None
        for key in done:
            del self._span[key], self._exact[key], self._noted_ms[key]

    def _steps(
        self, engine: RuleEngine, chosen: Sequence[str], now_ms: int
    ) -> Iterator[list[ConditionChange]]:
        by_key = {str(s.key): s for s in engine.known_series}
        spans = {key: self._span[key] for key in chosen}
        exact = {key: self._exact[key] for key in chosen}
        for key, (from_ms, to_ms) in spans.items():
            series = by_key.get(key)
            yield self._judge(series, from_ms, to_ms, now_ms) if series else []
        anomalies = [r for r in self._together if r.needs_scores]
        others = [r for r in self._together if not r.needs_scores]
        cases = [*cases_of(engine, others, spans), *cases_of(engine, anomalies, exact)]
        for case in cases:
            if not case.needs_detector or self._new_detector is not None:
                yield from self._judge_together(case, now_ms)

    def _judge_together(self, case: Case, now_ms: int) -> Iterator[list[ConditionChange]]:
        assert self._store is not None
        for spans in evaluate_case(case, self._store, now_ms, self._new_detector):
            yield [self._change_of(span, now_ms) for span in spans]

    def _change_of(self, span: PastSpan, now_ms: int) -> ConditionChange:
        change = condition_change(span.fired, now_ms, self._station_name)
        return replace(change, fresh=replace(change.fresh, end_ms=span.end_ms))

    def _judge(
        self, series: Series, from_ms: int, to_ms: int, now_ms: int
    ) -> list[ConditionChange]:
        """The alerts that the single-series rules give in from_ms..to_ms of one series."""
        changes: list[ConditionChange] = []
        read: dict[int, SortedSamples] = {}
        for rule in self._rules:
            rule_state = RuleState(rule)
            rule_state.bind([replace(series, index=0)])
            if not len(rule_state.evaluator.index):
                continue
            around_ms = 2 * rule.reach_ms + rule.hold + rule.clear_after + _AROUND_MS
            if around_ms not in read:  # most rules need the same samples around the span
                end_ms = min(to_ms + around_ms, now_ms) + 1
                read[around_ms] = self._read(series, from_ms - around_ms, end_ms)
            samples = read[around_ms]
            if not len(samples):
                continue
            transitions = rule_state.advance(samples)
            spans = [
                PastSpan(RuleTransition(rule, series, span.fired), span.end_ms)
                for span in fold_transitions(transitions, int(samples.time_ms[-1]))
                if span.end_ms is not None
            ]
            changes += [
                self._change_of(alert, now_ms)
                for alert in merge_refires(rule, spans)
                if alert.start_ms <= to_ms + rule.reach_ms and alert.end_ms >= from_ms
            ]
        return changes

    def _read(self, series: Series, start_ms: int, end_ms: int) -> SortedSamples:
        assert self._store is not None
        found = self._store.read(series, start_ms, end_ms)
        batch = SampleBatch.of([0] * len(found.time_ms), found.time_ms, found.value, found.quality)
        return SortedSamples.of(batch.select(usable(batch.value, batch.quality)))


def _needs_case(rule: Rule) -> bool:
    """True if a rule cannot be evaluated from the samples of one series (see reevaluation.py)."""
    return rule.reads_several_series or rule.needs_scores


def _write_past_alert(transaction: AlertTransaction, change: ConditionChange) -> None:
    """Write a retrospective alert, unless an alert of the rule and subject overlaps it."""
    fresh = change.fresh
    end_ms = fresh.end_ms if fresh.end_ms is not None else change.time_ms
    overlapping = records.overlapping(
        transaction.connection, fresh.rule, fresh.subject, fresh.start_ms, end_ms
    )
    if overlapping is None:
        transaction.write(lifecycle.past_alert(change))
