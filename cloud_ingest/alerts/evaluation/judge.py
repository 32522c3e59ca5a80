"""The judge: batches of samples -> transitions of rules -> changes of alerts in the database."""

from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa
import structlog

from cloud_ingest.alerts import lifecycle, records
from cloud_ingest.alerts.actions import Action, act
from cloud_ingest.alerts.backfill.late_data import LateData
from cloud_ingest.alerts.builder import StationName, condition_change
from cloud_ingest.alerts.evaluation.engine import LateSpan, RuleEngine
from cloud_ingest.alerts.evaluation.rule_state import RuleTransition
from cloud_ingest.alerts.lifecycle import AlertChange
from cloud_ingest.alerts.model import Alert, AlertState
from cloud_ingest.alerts.writer import AlertTransaction, AlertWriter
from cloud_ingest.database import Database
from telemetry.batches import SampleBatch
from telemetry.series import Series

ALERTS_A_TRANSACTION = 200
"""So that people and the notification worker can use the database in between."""
_REFUSED = (sa.exc.DataError, sa.exc.IntegrityError, ValueError, LookupError, ArithmeticError)
"""Raised for a transition that cannot be stored; an unavailable database raises other errors."""

_log = structlog.get_logger()


class RuleJudge:
    """Evaluates batches and commits what they change, in order.

    Transitions stay in memory until their transaction is committed. ``judge`` with the same batch
    after a failed ``commit`` evaluates nothing again: the rules have seen its samples.
    """

    def __init__(
        self,
        engine: RuleEngine,
        late: LateData,
        writer: AlertWriter,
        database: Database,
        station_name: StationName,
    ) -> None:
        self.transitions_not_stored = 0
        self._engine = engine
        self._late = late
        self._writer = writer
        self._database = database
        self._station_name = station_name
        self._transitions: list[RuleTransition] = []
        self._late_spans: list[LateSpan] = []
        self._uncommitted: SampleBatch | None = None

    def judge(self, batch: SampleBatch, now_ms: int) -> None:
        """Evaluate a batch. ``commit`` stores what it changes."""
        if self._uncommitted is not None and _is_same(batch, self._uncommitted):
            return
        transitions, late = self._engine.advance(batch, now_ms)
        self._transitions += [t for t in transitions if t.rule.alert]
        self._late_spans += late
        self._uncommitted = batch

    def commit(self, now_ms: int) -> None:
        """Store everything that is not stored yet, a few hundred changes in a transaction."""
        while self._transitions:
            part = self._transitions[:ALERTS_A_TRANSACTION]
            try:
                self._store(part, now_ms)
            except _REFUSED:
                self._store_one_by_one(len(part), now_ms)
            else:
                del self._transitions[: len(part)]
        if self._late_spans:
            with self._database.engine.begin() as connection:
                self._late.note(connection, self._late_spans, now_ms)
            self._late.saved()
            self._late_spans.clear()
        self._uncommitted = None

    def _store(self, transitions: Sequence[RuleTransition], now_ms: int) -> None:
        with self._writer.transaction(now_ms) as transaction:
            for transition in transitions:
                transaction.apply(condition_change(transition, now_ms, self._station_name))

    def _store_one_by_one(self, count: int, now_ms: int) -> None:
        """Store the first transitions each by itself: one that is refused must not stop the others."""
        for _ in range(count):
            transition = self._transitions[0]
            try:
                self._store([transition], now_ms)
            except _REFUSED as error:
                self.transitions_not_stored += 1
                _log.error(
                    "alert_transition_not_stored", rule=transition.rule.full_id,
                    series=str(transition.series.key), problem=str(error)[:500],
                )  # fmt: skip
            del self._transitions[0]

    def follow_open_alerts(self, now_ms: int) -> None:
        """Store the worst values of open alerts; retrospective ones that reach the present fire."""
        if not any(len(r.hold_time.firing) for r in self._engine.rule_states):
            return
        by_key = {str(s.key): s for s in self._engine.known_series}
        with self._writer.transaction(now_ms) as transaction:
            for alert in records.all_open(transaction.connection, to_change=True):
                rule_state = self._engine.state_of(alert.rule)
                series = by_key.get(alert.subject)
                if rule_state is None or series is None:
                    continue
                row = rule_state.evaluator.index.row_of(series.index)
                if row >= 0 and rule_state.hold_time.is_firing(row):
                    self._follow(transaction, alert, rule_state.hold_time.peak_of(row), series)

    def _follow(
        self, transaction: AlertTransaction, alert: Alert, peak: float, series: Series
    ) -> None:
        if alert.state is AlertState.PENDING:
            return
        now_ms = transaction.now_ms
        changed = lifecycle.with_peak(alert, peak, now_ms)
        if changed is not None:
            transaction.write(AlertChange(changed))
            alert = changed
        age_ms = now_ms - int(self._engine.last_ms[series.index])
        if alert.retrospective and age_ms <= lifecycle.late_after_ms(series.interval_ms):
            transaction.write(act(alert, Action.BECOME_CURRENT, now_ms))


def _is_same(batch: SampleBatch, other: SampleBatch) -> bool:
    return batch is other or (
        np.array_equal(batch.series, other.series) and np.array_equal(batch.time_ms, other.time_ms)
    )
