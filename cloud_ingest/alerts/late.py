"""Late data: judged by its own time, once it has stopped coming in.

What came late is noted with the alerts' own transaction and judged from the store, with the
samples around it. A run that no alert tells of becomes a retrospective alert.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from alert_rules.evaluation import Runs
from alert_rules.holding import Transition
from alert_rules.schema import Rule
from cloud_ingest.alerts import tables
from cloud_ingest.alerts.builder import happening
from cloud_ingest.alerts.engine import Finding, LateSpan, RuleEngine, RuleRun
from cloud_ingest.alerts.life import Happening
from cloud_ingest.alerts.model import AlertEvent
from cloud_ingest.database import Database
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
_JUDGED_LATE = frozenset({"threshold", "mean", "rate", "flat_line", "count", "index_level"})

Keep = Callable[[Connection, Happening, int], list[AlertEvent]]


class LateData:
    """Notes what came late and judges it when it has settled.

    Spans are kept in memory and, widened to whole hours, in the database: a gateway that
    delivers a week of history changes its rows there once an hour of data.
    """

    def __init__(self, rules: Iterable[Rule], store: SampleStore | None) -> None:
        self._rules = [r for r in rules if r.kind in _JUDGED_LATE and r.alert]
        self._store = store
        self._next_ms = 0
        self._noted_ms: dict[str, int] = {}
        self._span: dict[str, tuple[int, int]] = {}
        self._unsaved: set[str] = set()

    def load(self, connection: Connection, now_ms: int) -> None:
        """Take over what the last run had noted."""
        for row in connection.execute(sa.select(tables.late)).mappings():
            self._span[row["series"]] = (row["from_ms"], row["to_ms"])
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
        """Judge what has settled; a few series at a time."""
        if self._store is None or now_ms < self._next_ms:
            return []
        settled = [k for k, noted in self._noted_ms.items() if noted <= now_ms - SETTLE_MS]
        chosen = settled[:SERIES_A_TURN]
        self._next_ms = now_ms + _LOOK_EVERY_MS
        by_key = {str(s.key): s for s in engine.known_series} if chosen else {}
        events: list[AlertEvent] = []
        for key in chosen:
            series, (from_ms, to_ms) = by_key.get(key), self._span[key]
            found = self._judge(series, from_ms, to_ms, now_ms) if series else []
            with database.engine.begin() as connection:
                for what in found:
                    events += keep(connection, what, now_ms)
                connection.execute(sa.delete(tables.late).where(tables.late.c.series == key))
            del self._span[key], self._noted_ms[key]
        return events

    def _judge(self, series: Series, from_ms: int, to_ms: int, now_ms: int) -> list[Happening]:
        found: list[Happening] = []
        for rule in self._rules:
            run = RuleRun(rule)
            own = replace(series, index=0)
            run.bind([own])
            if not len(run.evaluator.members):
                continue
            around_ms = (rule.averaging_ms or 0) * 2 + rule.hold + rule.clear_after + _AROUND_MS
            runs = self._read(series, from_ms - around_ms, min(to_ms + around_ms, now_ms) + 1)
            changes = run.advance(runs) if len(runs) else []
            end_ms = int(runs.time_ms[-1]) if len(runs) else to_ms
            for begin, over_ms in whole_runs(changes, end_ms):
                if begin.start_ms <= to_ms + (rule.averaging_ms or 0) and over_ms >= from_ms:
                    what = happening(Finding(rule, series, begin), now_ms, str)
                    found.append(replace(what, fresh=replace(what.fresh, end_ms=over_ms)))
        return found

    def _read(self, series: Series, start_ms: int, end_ms: int) -> Runs:
        assert self._store is not None
        found = self._store.read(series, start_ms, end_ms)
        batch = SampleBatch.of([0] * len(found.time_ms), found.time_ms, found.value, found.quality)
        good = (batch.quality != Flag.FAIL) & (batch.quality != Flag.MISSING)
        return Runs.of(batch.select(good & (batch.value == batch.value)))


def whole_runs(changes: Sequence[Transition], end_ms: int) -> list[tuple[Transition, int]]:
    """The runs of one slot that fired, each with its worst value and its end (or ``end_ms``)."""
    found: list[tuple[Transition, int]] = []
    begin: Transition | None = None
    for change in changes:
        if change.change == "fire":
            begin = change
        elif change.change == "clear" and begin is not None:
            found.append((replace(begin, peak=change.peak), change.time_ms))
            begin = None
    if begin is not None:
        found.append((begin, end_ms))
    return found
