"""The alert service: what the pipeline calls. Judges batches, keeps alerts, queues notifications.

A batch is judged in memory; what it changes is committed in order, a few hundred changes in a
transaction. If one fails, the changes wait and the next call commits them. After a crash the checkpoint and the samples stored
since give the same changes again, and those known already change nothing.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from alert_rules.loading import RuleSet
from alert_rules.rule import Rule
from cloud_ingest.alerts import lifecycle, records
from cloud_ingest.alerts.backfill.late_data import LateData
from cloud_ingest.alerts.builder import StationName, condition_change, no_data_alert
from cloud_ingest.alerts.evaluation import checkpoints
from cloud_ingest.alerts.evaluation.engine import LateSpan, RuleEngine, RuleTransition
from cloud_ingest.alerts.evaluation.no_data_watch import NoDataWatch, StaleSubject, SubjectKey
from cloud_ingest.alerts.lifecycle import AlertChange, ConditionChange, RecordedState
from cloud_ingest.alerts.model import Alert, AlertEvent
from cloud_ingest.alerts.operations import AlertCommands, AlertQueries
from cloud_ingest.alerts.silences import Silences, end_with_alert
from cloud_ingest.database import Database
from cloud_ingest.detection import Detector
from cloud_ingest.inventory.tags import Tags
from cloud_ingest.notification.channels import Channel
from cloud_ingest.notification.queue import NotificationQueue
from cloud_ingest.stores.protocol import SampleStore
from telemetry.batches import SampleBatch
from telemetry.series import Series

CHECKPOINT_EVERY_MS = 60_000
SERIES_A_MINUTE = 5_000
MOST_MINUTES = 10
"""After a crash, samples since the last checkpoint are judged again: no more than ten minutes."""
DETECTOR_EVERY_MS = 1_800_000
PEAKS_EVERY_MS = 10_000
_REPLAY_SAMPLES = 200_000
_NEW_SERIES_MS = 3_600_000
_AT_ONCE = 200
_REFUSED = (sa.exc.DataError, sa.exc.IntegrityError, ValueError, LookupError, ArithmeticError)
"""What a finding that cannot be written down raises; a database that is away raises others."""

log = structlog.get_logger()


class AlertService:
    """Judges samples by the rules and keeps the alerts.

    ``register``, ``start``, ``process``, ``tick``, ``set_online`` and ``stop`` are called from one
    thread; ``commands``, ``queries`` and ``series`` from any. ``on_event`` hears of what people do.
    ``refused`` counts findings that could not be written down.
    """

    def __init__(
        self,
        rules: RuleSet,
        database: Database,
        *,
        store: SampleStore | None = None,
        channels: Sequence[Channel] = (),
        detector: Detector | None = None,
        station_name: StationName = str,
        tags: Tags | None = None,
    ) -> None:
        self.rules = rules
        self._tags = tags or Tags()
        self.on_event: Callable[[AlertEvent], None] | None = None
        self.refused = 0
        self._database = database
        self._store = store
        self._station_name = station_name
        enabled = rules.enabled
        self._engine = RuleEngine(enabled, detector)
        self._watch = NoDataWatch(enabled)
        self._queue = NotificationQueue(channels)
        self._silences = Silences()
        learner = None if detector is None else type(detector)
        self._late = LateData(enabled, store, learner, station_name)
        self.commands = AlertCommands(database, self._queue, self._silences, self._tell)
        self.queries = AlertQueries(database, self._queue)
        self._waiting: list[RuleTransition] = []
        self._waiting_late: list[LateSpan] = []
        self._untold: list[AlertEvent] = []
        self._open_silences: dict[SubjectKey, int] = {}
        self._checkpoint_ms = 0
        self._detector_ms = 0
        self._peaks_ms = 0
        self._started = False
        self._lock = threading.Lock()
        self._series: dict[int, Series] = {}

    def _tell(self, event: AlertEvent) -> None:
        if self.on_event is not None:
            self.on_event(event)

    def register(self, series: Sequence[Series]) -> None:
        """Make series known; again when what is known of them changed."""
        series = self._tags.put_on(series)
        self._engine.register(series)
        self._watch.register(series)
        with self._lock:
            self._series.update({s.index: s for s in series})

    @property
    def series(self) -> list[Series]:
        """Every series that was registered."""
        with self._lock:
            return list(self._series.values())

    def start(self, now_ms: int) -> list[AlertEvent]:
        """Go on where the last run ended: its memory, the open alerts, the samples stored since."""
        with self._database.engine.connect() as connection:
            kept = checkpoints.Checkpoint(connection)
            open_alerts = records.all_open(connection)
            self._late.load(connection, now_ms)
        self._engine.restore(kept.part)
        orphans = self._adopt(open_alerts)
        self._watch.start(now_ms, self._engine.last_ms)
        self._started = True
        self._peaks_ms = now_ms
        events = self._withdraw(orphans, now_ms)
        events += self._replay(kept.saved_ms, now_ms) + self._commit(now_ms)
        self._detector_ms = now_ms  # what it knows now is what was kept
        self._checkpoint(now_ms)
        return events

    def _withdraw(self, orphans: list[Alert], now_ms: int) -> list[AlertEvent]:
        """End the alerts of rules that are switched off, gone, or no longer watch their series."""
        events: list[AlertEvent] = []
        for alert in orphans:
            with self._database.engine.begin() as connection:
                outcome = lifecycle.withdraw(alert, now_ms)
                events += self._keep(connection, outcome, now_ms)
        return events

    def _adopt(self, open_alerts: list[Alert]) -> list[Alert]:
        """Make the memory agree with the records about what is on; gives those that no rule minds."""
        orphans: list[Alert] = []
        silence_rules = {r.full_id for r in self._watch.rules}
        by_key = {str(s.key): s for s in self._engine.known_series}
        for alert in open_alerts:
            if alert.kind == "no_data" and alert.rule in silence_rules:
                key = SubjectKey(alert.rule, alert.scope, alert.subject)
                self._open_silences[key] = alert.id
                continue
            run, series = self._engine.state_of(alert.rule), by_key.get(alert.subject)
            slot = run.evaluator.index.row_of(series.index) if run and series else -1
            if run is None or (series is not None and slot < 0):
                orphans.append(alert)
            elif slot >= 0 and alert.state != "pending" and not run.hold_time.is_firing(slot):
                assert series is not None
                last_ms = max(int(self._engine.last_ms[series.index]), alert.start_ms)
                run.hold_time.adopt(slot, alert.start_ms, last_ms, 1, firing=True)
        self._engine.resume_composites()
        return orphans

    def _replay(self, saved_ms: int | None, now_ms: int) -> list[AlertEvent]:
        """Judge what was stored after the checkpoint and before the end of the last run.

        A series that was new since is judged from shortly before the checkpoint on; without a
        checkpoint (the rules' first run) nothing of the past is judged.
        """
        if self._store is None or saved_ms is None:
            return []
        events: list[AlertEvent] = []
        series = self._engine.known_series
        newest = self._store.latest(series)
        behind = newest.select(newest.time_ms > self._engine.last_ms[newest.series])
        parts: list[SampleBatch] = []
        for index, until_ms in zip(behind.series.tolist(), behind.time_ms.tolist(), strict=True):
            from_ms = int(self._engine.last_ms[index]) or saved_ms - _NEW_SERIES_MS
            found = self._store.read(self._engine.series(index), from_ms + 1, until_ms + 1)
            parts.append(
                SampleBatch.of(
                    [index] * len(found.time_ms), found.time_ms, found.value, found.quality
                )
            )
            if sum(map(len, parts)) >= _REPLAY_SAMPLES:
                events += self.process(SampleBatch.concat(parts), now_ms)
                parts = []
        if parts:
            events += self.process(SampleBatch.concat(parts), now_ms)
        return events

    def process(self, batch: SampleBatch, now_ms: int) -> list[AlertEvent]:
        """Judge a batch and commit what it changes. Doing it again changes nothing."""
        if len(batch):
            found, late = self._engine.advance(batch, now_ms)
            self._watch.hear(batch, now_ms)
            self._waiting += [f for f in found if f.rule.alert]
            self._waiting_late += late
        return self._commit(now_ms)

    def _commit(self, now_ms: int) -> list[AlertEvent]:
        """Write down what waits, some at a time: officers and notifiers want the database too."""
        while self._waiting:
            part = self._waiting[:_AT_ONCE]
            try:
                self._untold += self._commit_together(part, now_ms)
            except _REFUSED:
                self._untold += self._commit_one_by_one(part, now_ms)
            del self._waiting[: len(part)]
        if self._waiting_late:
            with self._database.engine.begin() as connection:
                self._late.note(connection, self._waiting_late, now_ms)
            self._late.saved()
            self._waiting_late.clear()
        events, self._untold = self._untold, []
        return events

    def _commit_together(self, found: Sequence[RuleTransition], now_ms: int) -> list[AlertEvent]:
        events: list[AlertEvent] = []
        with self._database.engine.begin() as connection:
            self._silences.refresh(connection, now_ms)
            for one in found:
                what = condition_change(one, now_ms, self._station_name)
                events += self._write(connection, one.rule, what, now_ms)
        return events

    def _commit_one_by_one(self, found: Sequence[RuleTransition], now_ms: int) -> list[AlertEvent]:
        """One finding cannot be written down: it must not keep the others from being told."""
        events: list[AlertEvent] = []
        for one in found:
            try:
                events += self._commit_together([one], now_ms)
            except _REFUSED as error:
                self.refused += 1
                rule, series, reason = one.rule.full_id, str(one.series.key), str(error)[:500]
                log.warning("a finding is lost", rule=rule, series=series, reason=reason)
        return events

    def _write(
        self, connection: Connection, rule: Rule, what: ConditionChange, now_ms: int
    ) -> list[AlertEvent]:
        known = records.known(connection, rule.full_id, what.fresh.subject, what.start_ms)
        outcome = lifecycle.apply(known, what, now_ms)
        return self._keep(connection, outcome, now_ms)

    def _keep(self, connection: Connection, outcome: AlertChange, now_ms: int) -> list[AlertEvent]:
        if outcome.alert is None:
            return []
        if outcome.event is not None and not outcome.remove:
            outcome.alert.silenced = self._silences.covers(outcome.alert, now_ms)
        alert = records.save(connection, outcome, now_ms)
        if outcome.event is None:
            return []
        if alert is None:
            return [AlertEvent(outcome.event, outcome.alert.as_json())]
        if outcome.event == "resolved":
            end_with_alert(connection, alert.id, now_ms)
            self._silences.change()
        self._queue.add(connection, alert, outcome.event, now_ms)
        return [AlertEvent(outcome.event, records.shown(connection, alert))]

    def tick(self, now_ms: int) -> list[AlertEvent]:
        """What the passing of time changes: silence, ends of silences, late data, checkpoints."""
        events = self._commit(now_ms)
        if not self._started:
            return events
        for rule in self._watch.rules:
            events += self._judge_silence(rule.full_id, now_ms)
        events += self._end_silences(now_ms)
        events += self._late.work(self._database, self._keep_late, self._engine, now_ms)
        if now_ms - self._peaks_ms >= PEAKS_EVERY_MS:
            events += self._follow_open_alerts(now_ms)
        if now_ms - self._checkpoint_ms >= self._checkpoint_every_ms:
            self._checkpoint(now_ms)
        return events

    def _keep_late(
        self, connection: Connection, what: ConditionChange, now_ms: int
    ) -> list[AlertEvent]:
        self._silences.refresh(connection, now_ms)
        end_ms = what.fresh.end_ms if what.fresh.end_ms is not None else what.time_ms
        fresh = what.fresh
        known = records.overlapping(connection, fresh.rule, fresh.subject, fresh.start_ms, end_ms)
        if known is not None:
            return []
        return self._keep(connection, lifecycle.of_the_past(what), now_ms)

    def _judge_silence(self, rule_id: str, now_ms: int) -> list[AlertEvent]:
        rule = next(r for r in self._watch.rules if r.full_id == rule_id)
        mine = [k for k in self._open_silences if k.rule == rule_id]
        found, still = self._watch.judge(rule, now_ms, mine)
        over = [k for k in mine if k not in still]
        new = [s for s in found if s.key not in self._open_silences]
        if not over and not new:
            return []
        events: list[AlertEvent] = []
        before = dict(self._open_silences)
        try:
            with self._database.engine.begin() as connection:
                self._silences.refresh(connection, now_ms)
                for key in over:
                    events += self._silence_over(connection, key, now_ms)
                for silent in new:
                    events += self._silence_begins(connection, silent, now_ms)
                self._mute(connection, rule_id, now_ms)
        except sa.exc.SQLAlchemyError:
            self._open_silences = before  # nothing of it happened
            raise
        return events

    def _silence_begins(
        self, connection: Connection, silent: StaleSubject, now_ms: int
    ) -> list[AlertEvent]:
        fresh = no_data_alert(silent, now_ms, self._station_name)
        what = ConditionChange("fire", fresh, silent.since_ms, now_ms, silent.rule.refire_within)
        known = records.known(connection, fresh.rule, fresh.subject, silent.since_ms)
        events = self._keep(connection, lifecycle.apply(known, what, now_ms), now_ms)
        for event in events:
            self._open_silences[silent.key] = int(event.alert["id"])
        return events

    def _silence_over(
        self, connection: Connection, key: SubjectKey, now_ms: int
    ) -> list[AlertEvent]:
        alert = records.get(connection, self._open_silences.pop(key), to_change=True)
        if alert is None or not alert.is_open:
            return []
        what = ConditionChange("clear", alert, alert.start_ms, now_ms, 0)
        return self._keep(
            connection, lifecycle.apply(RecordedState(open=alert), what, now_ms), now_ms
        )

    def _mute(self, connection: Connection, rule_id: str, now_ms: int) -> None:
        """Note on each narrower open silence which wider one explains it."""
        mine = {k: i for k, i in self._open_silences.items() if k.rule == rule_id}
        for key, alert_id in mine.items():
            wider = next((i for k, i in mine.items() if self._watch.covers(k, key)), None)
            alert = records.get(connection, alert_id, to_change=True)
            if alert is not None and alert.is_open and alert.inhibited_by != wider:
                changed = replace(alert, inhibited_by=wider, updated_ms=now_ms)
                records.save(connection, AlertChange(changed), now_ms)

    def _end_silences(self, now_ms: int) -> list[AlertEvent]:
        """Tell of alerts that are still on when their silence has ended."""
        if not self._silences.may_end(now_ms):
            return []
        events: list[AlertEvent] = []
        with self._database.engine.begin() as connection:
            self._silences.refresh(connection, now_ms)
            for alert in records.all_open(connection, to_change=True):
                silenced = self._silences.covers(alert, now_ms)
                if alert.silenced and not silenced:
                    outcome = lifecycle.heard_again(replace(alert, silenced=False), now_ms)
                    events += self._keep(connection, outcome, now_ms)
        return events

    def _follow_open_alerts(self, now_ms: int) -> list[AlertEvent]:
        """Keep the worst values of open alerts, and tell of past ones that reach the present."""
        self._peaks_ms = now_ms
        firing = [r for r in self._engine.runs if len(r.hold_time.firing)]
        if not firing:
            return []
        events: list[AlertEvent] = []
        by_key = {str(s.key): s for s in self._engine.known_series}
        with self._database.engine.begin() as connection:
            for alert in records.all_open(connection, to_change=True):
                run, series = self._engine.state_of(alert.rule), by_key.get(alert.subject)
                if run is None or series is None or alert.state == "pending":
                    continue
                slot = run.evaluator.index.row_of(series.index)
                if slot < 0 or not run.hold_time.is_firing(slot):
                    continue
                events += self._follow(
                    connection, alert, run.hold_time.peak_of(slot), series, now_ms
                )
        return events

    def _follow(
        self, connection: Connection, alert: Alert, peak: float, series: Series, now_ms: int
    ) -> list[AlertEvent]:
        changed = lifecycle.with_peak(alert, peak, now_ms)
        if changed is not None:
            records.save(connection, AlertChange(changed), now_ms)
            alert = changed
        if not alert.retrospective or self._is_behind(series, now_ms):
            return []
        return self._keep(connection, lifecycle.become_current(alert, now_ms), now_ms)

    def _is_behind(self, series: Series, now_ms: int) -> bool:
        from_now = now_ms - int(self._engine.last_ms[series.index])
        return from_now > lifecycle.late_after_ms(series.interval_ms)

    def set_online(self, gateway: str, device: str | None, online: bool, now_ms: int) -> None:
        """A gateway (device None) or a device was born or has died."""
        self._watch.set_online(gateway, device, online, now_ms)

    def set_broker_online(self, online: bool, now_ms: int) -> None:
        """The connection to the broker was made or lost."""
        self._watch.set_broker_online(online, now_ms)

    def _checkpoint(self, now_ms: int, *, whole: bool = False) -> None:
        """Keep what the rules remember; the detector's large memory now and then, or when ``whole``."""
        whole = whole or now_ms - self._detector_ms >= DETECTOR_EVERY_MS
        parts = self._engine.state(with_detector=whole)
        with self._database.engine.begin() as connection:
            checkpoints.save(connection, parts, now_ms)
        self._checkpoint_ms = now_ms
        if whole:
            self._detector_ms = now_ms

    @property
    def _checkpoint_every_ms(self) -> int:
        """A minute; with many series rarer, up to ten, for then it is much to write."""
        minutes = 1 + self._engine.series_count // SERIES_A_MINUTE
        return CHECKPOINT_EVERY_MS * min(minutes, MOST_MINUTES)

    def stop(self, now_ms: int) -> None:
        """Commit what waits and keep the memory for the next run."""
        try:
            self._commit(now_ms)
            self._checkpoint(now_ms, whole=True)
        except sa.exc.SQLAlchemyError as error:
            log.warning("the rules' memory could not be kept", reason=str(error))
