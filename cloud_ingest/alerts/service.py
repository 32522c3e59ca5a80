"""The alert service: the door between the pipeline and the rules, their alerts and the people.

It owns no logic of its own. The judge evaluates batches, the outage alerts follow the no-data watch,
the silence ends unsilence alerts, the late data is evaluated again. After a crash the checkpoint and
the samples stored since lead to the same changes again; those recorded before have no effect.
"""

import threading
from collections.abc import Callable, Sequence

import sqlalchemy as sa
import structlog

from alert_rules.loading import RuleSet
from cloud_ingest.alerts import records
from cloud_ingest.alerts.actions import Action, act
from cloud_ingest.alerts.backfill.late_data import LateData
from cloud_ingest.alerts.builder import StationName
from cloud_ingest.alerts.evaluation import checkpoints, restart
from cloud_ingest.alerts.evaluation.engine import RuleEngine
from cloud_ingest.alerts.evaluation.judge import RuleJudge
from cloud_ingest.alerts.evaluation.no_data_watch import NoDataWatch
from cloud_ingest.alerts.evaluation.outage_alerts import OutageAlerts
from cloud_ingest.alerts.evaluation.silence_ends import SilenceEnds
from cloud_ingest.alerts.model import Alert, AlertEvent
from cloud_ingest.alerts.operations import AlertCommands, AlertQueries
from cloud_ingest.alerts.silences import Silences
from cloud_ingest.alerts.writer import AlertWriter
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
"""After a crash at most the samples of the last ten minutes are evaluated again."""
DETECTOR_EVERY_MS = 1_800_000
PEAKS_EVERY_MS = 10_000

_log = structlog.get_logger()


class AlertService:
    """Evaluates samples and keeps the alerts.

    ``register``, ``start``, ``process``, ``tick``, ``set_online`` and ``stop`` are called from one
    thread; ``commands``, ``queries`` and ``series`` from any. ``on_event`` receives the events of
    what people do. After an error of the database the same call is made again: it continues where
    the last one stopped, and returns each event once.
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
        self.on_event: Callable[[AlertEvent], None] | None = None
        self._tags = tags or Tags()
        self._database = database
        self._store = store
        queue, silences = NotificationQueue(channels), Silences()
        self._writer = AlertWriter(database, queue, silences)
        self._engine = RuleEngine(rules.enabled, detector)
        self._watch = NoDataWatch(rules.enabled)
        new_detector = None if detector is None else type(detector)
        self._late = LateData(rules.enabled, store, new_detector, station_name)
        self._judge = RuleJudge(self._engine, self._late, self._writer, database, station_name)
        self._outages = OutageAlerts(self._watch, self._writer, station_name)
        self._silence_ends = SilenceEnds(silences, self._writer)
        self.commands = AlertCommands(database, queue, silences, self._publish)
        self.queries = AlertQueries(database, queue)
        self._checkpoint_ms = 0
        self._detector_ms = 0
        self._peaks_ms = 0
        self._started = False
        self._lock = threading.Lock()
        self._series: dict[int, Series] = {}

    def _publish(self, event: AlertEvent) -> None:
        if self.on_event is not None:
            self.on_event(event)

    @property
    def transitions_not_stored(self) -> int:
        """How many changes of alerts the database refused."""
        return self._judge.transitions_not_stored

    def register(self, series: Sequence[Series]) -> None:
        """Add series, or update known ones."""
        series = self._tags.put_on(series)
        self._engine.register(series)
        self._watch.register(series)
        with self._lock:
            self._series.update({s.index: s for s in series})

    @property
    def series(self) -> list[Series]:
        """Every registered series."""
        with self._lock:
            return list(self._series.values())

    def start(self, now_ms: int) -> list[AlertEvent]:
        """Continue where the last process ended: its state, its open alerts, the samples since."""
        with self._database.engine.connect() as connection:
            checkpoint = checkpoints.Checkpoint(connection)
            open_alerts = records.all_open(connection)
            self._late.load(connection, now_ms)
        self._engine.restore(checkpoint.part)
        of_rules = [alert for alert in open_alerts if not self._outages.adopt(alert)]
        orphans = restart.adopt(self._engine, of_rules)
        self._watch.start(now_ms, self._engine.last_ms)
        self._started = True
        self._peaks_ms = now_ms
        self._withdraw(orphans, now_ms)
        events = self._writer.take_events()
        for batch in restart.stored_since(self._engine, self._store, checkpoint.saved_ms):
            events += self.process(batch, now_ms)
        self._detector_ms = now_ms  # its state is that of the checkpoint
        self._checkpoint(now_ms)
        return events

    def _withdraw(self, orphans: Sequence[Alert], now_ms: int) -> None:
        """End the alerts of rules that are disabled, gone, or no longer watch the series."""
        if orphans:
            with self._writer.transaction(now_ms) as transaction:
                for alert in orphans:
                    transaction.write(act(alert, Action.WITHDRAW, now_ms))

    def process(self, batch: SampleBatch, now_ms: int) -> list[AlertEvent]:
        """Evaluate a batch and commit what it changes. Doing it again changes nothing."""
        if len(batch):
            self._judge.judge(batch, now_ms)
            self._watch.note(batch, now_ms)
        self._judge.commit(now_ms)
        return self._writer.take_events()

    def tick(self, now_ms: int) -> list[AlertEvent]:
        """Do what depends on time: outages, ends of silences, late data, peaks, checkpoints."""
        self._judge.commit(now_ms)
        if self._started:
            self._outages.tick(now_ms)
            self._silence_ends.tick(now_ms)
            self._late.tick(self._writer, self._engine, now_ms)
            if now_ms - self._peaks_ms >= PEAKS_EVERY_MS:
                self._judge.follow_open_alerts(now_ms)
                self._peaks_ms = now_ms
            if now_ms - self._checkpoint_ms >= self._checkpoint_every_ms:
                self._checkpoint(now_ms)
        return self._writer.take_events()

    def set_online(self, gateway: str, device: str | None, online: bool, now_ms: int) -> None:
        """Note that a gateway (device None) or a device was born or has died."""
        self._watch.set_online(gateway, device, online, now_ms)

    def set_broker_online(self, online: bool, now_ms: int) -> None:
        """Note that the connection to the broker was made or lost."""
        self._watch.set_broker_online(online, now_ms)

    def _checkpoint(self, now_ms: int, *, whole: bool = False) -> None:
        """Save the state of the rules; that of the detector, which is large, rarely or if ``whole``."""
        whole = whole or now_ms - self._detector_ms >= DETECTOR_EVERY_MS
        parts = self._engine.state(with_detector=whole)
        with self._database.engine.begin() as connection:
            checkpoints.save(connection, parts, now_ms)
        self._checkpoint_ms = now_ms
        if whole:
            self._detector_ms = now_ms

    @property
    def _checkpoint_every_ms(self) -> int:
        """A minute; up to ten with many series, whose state is much to write."""
        minutes = 1 + self._engine.series_count // SERIES_A_MINUTE
        return CHECKPOINT_EVERY_MS * min(minutes, MOST_MINUTES)

    def stop(self, now_ms: int) -> None:
        """Commit what is not committed yet and save the state for the next process."""
        try:
            self._judge.commit(now_ms)
            self._checkpoint(now_ms, whole=True)
        except sa.exc.SQLAlchemyError as error:
            _log.warning("rules_checkpoint_not_saved", problem=str(error))
