"""Late data: judged by its own time, once it has stopped coming in.

What came late is noted with the alerts' own transaction and judged from the store, with the
samples around it. A run that no alert tells of becomes a retrospective alert. Rules that look at
several series, and anomalies, are judged after the others and a little at a time (hindsight.py).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from alert_rules.evaluator import SortedSamples
from alert_rules.hold_time import Transition
from alert_rules.rule import Rule
from cloud_ingest.alerts import tables
from cloud_ingest.alerts.backfill.reevaluation import Case, PastRun, as_alerts, cases_of, judge
from cloud_ingest.alerts.builder import StationName, condition_change
from cloud_ingest.alerts.evaluation.engine import LateSpan, RuleEngine, RuleState, RuleTransition
from cloud_ingest.alerts.lifecycle import ConditionChange
from cloud_ingest.alerts.model import AlertEvent
from cloud_ingest.database import Database
from cloud_ingest.detection import Detector
from cloud_ingest.stores.protocol import SampleStore
from telemetry.batches import SampleBatch
from telemetry.quality import Flag
from telemetry.series import Series

SETTLE_MS = 10_000
"""Late data that is still coming in is left alone for so long."""
SERIES_A_TURN = 20
_AROUND_MS = 3_600_000
_HOUR_MS = 3_600_000
_LOOK_EVERY_MS = 1_000
_ALONE = frozenset({"threshold", "mean", "rate", "flat_line", "count", "index_level"})
_TOGETHER = frozenset({"difference", "composite", "anomaly"})
LONGEST_WINDOW_MS = 8 * 86_400_000
"""Means over more (a year) are not judged again: that would read years of samples for each gap."""
TURN_S = 0.2
"""How long a turn may last: live samples wait meanwhile."""

Keep = Callable[[Connection, ConditionChange, int], list[AlertEvent]]


@dataclass(slots=True)
class _Job:
    """What is being judged: cases of the series that had settled, one step after another."""

    noted_ms: dict[str, int]
    steps: Iterator[list[ConditionChange]]


class LateData:
    """Notes what came late and judges it when it has settled.

    Spans are kept in memory and, widened to whole hours, in the database: a gateway that
    delivers a week of history changes its rows there once an hour of data. Rows go when all
    rules have judged them; a crash before that judges them again, which changes nothing.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        store: SampleStore | None,
        new_detector: Callable[[], Detector] | None = None,
        station_name: StationName = str,
    ) -> None:
        chosen = [r for r in rules if r.alert and (r.averaging_ms or 0) <= LONGEST_WINDOW_MS]
        self._rules = [r for r in chosen if r.kind in _ALONE]
        self._together = [r for r in chosen if r.kind in _TOGETHER]
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
        """Take over what the last run had noted."""
        for row in connection.execute(sa.select(tables.late)).mappings():
            self._span[row["series"]] = (row["from_ms"], row["to_ms"])
            self._exact[row["series"]] = (row["from_ms"], row["to_ms"])
            self._noted_ms[row["series"]] = now_ms
        self._next_ms = now_ms + SETTLE_MS

    def note(self, connection: Connection, spans: Sequence[LateSpan], now_ms: int) -> None:
        """Remember that these spans hold samples that no rule has seen."""
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
        self._next_ms = min(self._next_ms, now_ms + SETTLE_MS)
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
        """The transaction of ``note`` was committed."""
        self._unsaved.clear()

    def work(
        self, database: Database, keep: Keep, engine: RuleEngine, now_ms: int
    ) -> list[AlertEvent]:
        """Judge what has settled; a few series at a time, and not longer than ``TURN_S``."""
        if self._store is None or now_ms < self._next_ms:
            return []
        self._next_ms = now_ms + _LOOK_EVERY_MS
        if self._job is None:
            settled = [k for k, noted in self._noted_ms.items() if noted <= now_ms - SETTLE_MS]
            if not settled:
                return []
            chosen = settled[:SERIES_A_TURN]
            noted = {key: self._noted_ms[key] for key in chosen}
            self._job = _Job(noted, self._steps(engine, chosen, now_ms))
        try:
            return self._go_on(self._job, database, keep, now_ms)
        except Exception:
            self._job = None  # the store or the database is away: it begins anew
            raise

    def _go_on(self, job: _Job, database: Database, keep: Keep, now_ms: int) -> list[AlertEvent]:
        events: list[AlertEvent] = []
        until_s = time.monotonic() + TURN_S
        for found in job.steps:
            events += self._keep(database, keep, found, now_ms)
            if time.monotonic() > until_s:
                return events
        self._finish(database, job)
        return events

    def _keep(
        self, database: Database, keep: Keep, found: Sequence[ConditionChange], now_ms: int
    ) -> list[AlertEvent]:
        events: list[AlertEvent] = []
        if found:
            with database.engine.begin() as connection:
                for what in found:
                    events += keep(connection, what, now_ms)
        return events

    def _finish(self, database: Database, job: _Job) -> None:
        """Forget what was judged; what more came of it meanwhile is judged again."""
        self._job = None
        done = [k for k, noted in job.noted_ms.items() if self._noted_ms.get(k) == noted]
        with database.engine.begin() as connection:
            connection.execute(sa.delete(tables.late).where(tables.late.c.series.in_(done)))
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
        anomalies = [r for r in self._together if r.kind == "anomaly"]
        others = [r for r in self._together if r.kind != "anomaly"]
        cases = [*cases_of(engine, others, spans), *cases_of(engine, anomalies, exact)]
        for case in cases:
            if not case.needs_detector or self._new_detector is not None:
                yield from self._judge_together(case, now_ms)

    def _judge_together(self, case: Case, now_ms: int) -> Iterator[list[ConditionChange]]:
        assert self._store is not None
        for runs in judge(case, self._store, now_ms, self._new_detector):
            yield [self._happening(run, now_ms) for run in runs]

    def _happening(self, run: PastRun, now_ms: int) -> ConditionChange:
        what = condition_change(run.begin, now_ms, self._station_name)
        return replace(what, fresh=replace(what.fresh, end_ms=run.end_ms))

    def _judge(
        self, series: Series, from_ms: int, to_ms: int, now_ms: int
    ) -> list[ConditionChange]:
        found: list[ConditionChange] = []
        read: dict[int, SortedSamples] = {}
        for rule in self._rules:
            run = RuleState(rule)
            own = replace(series, index=0)
            run.bind([own])
            if not len(run.evaluator.index):
                continue
            around_ms = (rule.averaging_ms or 0) * 2 + rule.hold + rule.clear_after + _AROUND_MS
            if around_ms not in read:  # most rules look equally far around
                end_ms = min(to_ms + around_ms, now_ms) + 1
                read[around_ms] = self._read(series, from_ms - around_ms, end_ms)
            runs = read[around_ms]
            changes = run.advance(runs) if len(runs) else []
            end_ms = int(runs.time_ms[-1]) if len(runs) else to_ms
            runs_told = [
                PastRun(RuleTransition(rule, series, begin), over_ms)
                for begin, over_ms in whole_runs(changes, end_ms)
            ]
            for told in as_alerts(rule, runs_told):
                begun = told.begin.transition
                if begun.start_ms <= to_ms + (rule.averaging_ms or 0) and told.end_ms >= from_ms:
                    found.append(self._happening(told, now_ms))
        return found

    def _read(self, series: Series, start_ms: int, end_ms: int) -> SortedSamples:
        assert self._store is not None
        found = self._store.read(series, start_ms, end_ms)
        batch = SampleBatch.of([0] * len(found.time_ms), found.time_ms, found.value, found.quality)
        good = (batch.quality != Flag.FAIL) & (batch.quality != Flag.MISSING)
        return SortedSamples.of(batch.select(good & (batch.value == batch.value)))


def whole_runs(changes: Sequence[Transition], end_ms: int) -> list[tuple[Transition, int]]:
    """The runs of one slot that fired, each with its worst level and value and its end (or ``end_ms``)."""
    found: list[tuple[Transition, int]] = []
    begin: Transition | None = None
    for change in changes:
        if change.change == "fire":
            begin = change
        elif change.change == "rise" and begin is not None:
            begin = replace(begin, level=change.level)
        elif change.change == "clear" and begin is not None:
            found.append((replace(begin, peak=change.peak), change.time_ms))
            begin = None
    if begin is not None:
        found.append((begin, end_ms))
    return found
