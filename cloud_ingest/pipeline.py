"""The one thread through which every sample goes: decode, flag, store, judge, acknowledge.

The order is the promise: a gateway hears "stored" only when the samples are in the store and the
ledger is in the database. A crash anywhere leads to the same reports again, which changes nothing.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import orjson
import sqlalchemy as sa
import structlog

from cloud_ingest.alerts.model import AlertEvent
from cloud_ingest.database import schema
from cloud_ingest.indices.derived import DerivedSample
from cloud_ingest.intake.configuration import IntakeConfiguration
from cloud_ingest.intake.ledger.account import Gap
from cloud_ingest.intake.ledger.write_coalescer import StoredEntries
from cloud_ingest.intake.quarantine import Quarantined
from cloud_ingest.intake.sparkplug import commands
from cloud_ingest.intake.work import Event, Work
from cloud_ingest.inventory.model import SeriesDescription
from cloud_ingest.pipeline_dependencies import Alerts, Counters, PipelineDependencies
from cloud_ingest.stores.protocol import StoreRejected, StoreUnavailable
from telemetry.batches import Bool, SampleBatch
from telemetry.clock import utc_now_ms

_log = structlog.get_logger()
ResultT = TypeVar("ResultT")

TICK_MS = 1_000
SEEN_EVERY_MS = 30_000
"""How often it is saved when each gateway was last heard of."""
MOST_BATCHES = 20
"""While more messages wait, a batch may grow to so many times its usual size."""
MANY_SAMPLES = 1_000
PAUSE_S = 0.03
"""So many samples and then a pause: a gateway waits for its acknowledgement, so the batch is closed."""
SHORTEST_RETRY_S = 0.1
LONGEST_RETRY_S = 5.0
EARLIEST_MS = 946_684_800_000  # 2000-01-01: no gateway of ours measured before


class Pipeline:
    """Runs in its own thread between ``start`` and ``stop``."""

    def __init__(
        self,
        parts: PipelineDependencies,
        limits: IntakeConfiguration,
        describe_gateway: Callable[[str], Mapping[str, Any] | None] = lambda _name: None,
        describe_device: Callable[[str, str], Mapping[str, Any] | None] = lambda _g, _d: None,
        derive: Callable[[int], Sequence[DerivedSample]] = lambda _now_ms: (),
    ) -> None:
        self._parts = parts
        self._limits = limits
        self._describe_gateway = describe_gateway
        self._describe_device = describe_device
        self._derive = derive
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)
        self._ticked_ms = 0
        self._seen_ms = 0
        self._broker_news: list[tuple[bool, int]] = []
        self._stored = StoredEntries()
        self.counters = Counters()
        self.problem = ""
        self.failed: BaseException | None = None

    def start(self) -> None:
        """Begin; everything must have been loaded."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Finish what waits, as far as it goes within the time."""
        self._stopping.set()
        self._thread.join(timeout_s)

    def replace_alerts(self, alerts: Alerts) -> None:
        """Have samples judged by others, before the start."""
        self._parts = replace(self._parts, alerts=alerts)

    @property
    def running(self) -> bool:
        """Whether the thread is at work."""
        return self._thread.is_alive()

    def broker_changed(self, online: bool) -> None:
        """The connection to the broker came or went; from any thread."""
        self._broker_news.append((online, utc_now_ms()))

    # --- the thread

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.step()
            self._stored.hasten()
            self.step()
        except Stopped as stopped:
            _log.warning("stopped while waiting; it will be sent again", what=str(stopped))
        except BaseException as error:
            self.failed = error
            self.problem = f"{type(error).__name__}: {error}"
            _log.exception("the pipeline failed")
            raise

    def step(self) -> None:
        """Gather messages for at most one batch, commit them, and do what is due."""
        if not self._gather() and self._stored:
            self._stored.hasten()
        self.commit_gathered()

    def commit_gathered(self) -> None:
        """Commit what the receiver has, and do what is due."""
        work = self._parts.receiver.take_work()
        now_ms = utc_now_ms()
        self._send_rebirths(work, now_ms)
        self._commit(work, now_ms)
        if now_ms - self._ticked_ms >= TICK_MS:
            self._ticked_ms = now_ms
            self._tick(now_ms)

    def _gather(self) -> bool:
        """Take messages in for one batch; whether there were any."""
        inbox, receiver, limits = self._parts.inbox, self._parts.receiver, self._limits
        messages = inbox.take_many(0.1)
        if not messages:
            return False
        end = time.monotonic() + limits.batch_ms / 1000
        while messages:
            receiver.take_all(messages)
            pending = receiver.pending
            if pending >= limits.batch_samples and (
                not len(inbox) or pending >= MOST_BATCHES * limits.batch_samples
            ):
                break
            left = end - time.monotonic()
            if left <= 0 or self._stopping.is_set():
                break
            messages = inbox.take_many(min(left, PAUSE_S) if pending >= MANY_SAMPLES else left)
        shed = inbox.take_dropped()
        if shed:
            receiver.resync(shed)
        return True

    def _send_rebirths(self, work: Work, now_ms: int) -> None:
        for wish in work.rebirths:
            topic = commands.command_topic(wish.group, wish.gateway)
            self._parts.link.publish(topic, commands.rebirth(now_ms))

    def _commit(self, work: Work, now_ms: int) -> None:
        parts = self._parts
        batch = self._leave_out_far_times(work, now_ms)
        self._register_new_series()
        if len(batch):
            batch = parts.quality.flag(batch, now_ms)
            corrections = parts.quality.take_corrections()
            rejected = self._store(SampleBatch.concat([batch, corrections]))
            self._quarantine_rejected(rejected, work, now_ms)
        for t in work.transitions:
            parts.alerts.set_online(t.gateway, t.device, t.online, t.time_ms)
        for item in work.quarantined:
            parts.quarantine.put(item)
        told = self._judge(lambda: parts.alerts.process(batch, now_ms)) if len(batch) else ()
        self._stored.extend(work.entries)
        gaps = parts.ledger.apply(self._stored.take(now_ms), now_ms)
        self._save([*work.events, *(self._gap_event(g) for g in gaps)], now_ms)
        self._acknowledge(now_ms)
        self.counters.batches += bool(len(batch))
        self.counters.samples += len(batch)
        self.counters.last_commit_ms = now_ms
        parts.live.publish_samples(batch)
        self._tell(told)
        self._tell_transitions(work)

    def _leave_out_far_times(self, work: Work, now_ms: int) -> SampleBatch:
        """The samples whose time can be, in order; those far off go to the quarantine."""
        batch = work.samples.take().sorted()  # once, for quality control, the rules and the store
        if not len(batch):
            return batch
        latest_ms = now_ms + int(self._limits.max_future_s * 1000)
        early, late = batch.time_ms < EARLIEST_MS, batch.time_ms > latest_ms
        for which, reason in ((early, "time before 2000"), (late, "time in the future")):
            if which.any():
                work.quarantined.extend(self._quarantined(batch, which, reason, now_ms))
        wrong = early | late
        return batch.select(~wrong) if wrong.any() else batch

    def _quarantined(
        self, batch: SampleBatch, which: Bool, reason: str, now_ms: int
    ) -> list[Quarantined]:
        by_gateway: dict[str, list[dict[str, Any]]] = {}
        part = batch.select(which)
        for i, t, v, q in zip(
            part.series.tolist(), part.time_ms.tolist(), part.value.tolist(),
            part.quality.tolist(), strict=True,
        ):  # fmt: skip
            key = self._parts.inventory.series_at(i).key
            by_gateway.setdefault(key.gateway, []).append(
                {"series": str(key), "time_ms": t, "value": v, "quality": q}
            )
        return [
            Quarantined(now_ms, "", gateway, reason, orjson.dumps(samples), "samples", len(samples))
            for gateway, samples in by_gateway.items()
        ]

    def _register_new_series(self) -> None:
        parts = self._parts
        changed = parts.inventory.take_announced()
        if not changed:
            return
        # A series must keep its index for ever: it is in the database before its first sample.
        self._retry(lambda: self._write_rows([]), "database")
        self._retry(lambda: parts.store.register(changed), "store")
        parts.quality.register(changed)
        parts.alerts.register(changed)

    def _store(self, batch: SampleBatch) -> StoreRejected | None:
        def write() -> StoreRejected | None:
            try:
                self._parts.store.write(batch)
            except StoreRejected as rejected:
                return rejected
            return None

        return self._retry(write, "store")

    def _quarantine_rejected(self, rejected: StoreRejected | None, work: Work, now_ms: int) -> None:
        if rejected is None:
            return
        self.counters.rejected += len(rejected.rejected)
        reason = rejected.reasons[0] if rejected.reasons else "refused"
        everything = np.ones(len(rejected.rejected), dtype=np.bool_)
        work.quarantined.extend(
            self._quarantined(rejected.rejected, everything, f"store: {reason}", now_ms)
        )

    def _judge(self, judge: Callable[[], Sequence[AlertEvent]]) -> Sequence[AlertEvent]:
        """Run the rules; a defect in one must not keep samples from being stored."""
        try:
            return self._retry(judge, "database")
        except Stopped:
            raise
        except Exception:  # noqa: BLE001  # logged with its traceback, counted, shown by /health
            self.counters.rule_failures += 1
            _log.exception("the rules failed")
            return ()

    def _gap_event(self, gap: Gap) -> Event:
        gateway = self._parts.inventory.gateway(gap.gateway)
        return Event(
            gap.time_ms, "data_lost", gateway.group if gateway else "", gap.gateway, None,
            f"reports {gap.first} to {gap.last} will not come: {gap.reason}",
            {"first": gap.first, "last": gap.last},
        )  # fmt: skip

    def _save(self, events: Sequence[Event], now_ms: int) -> None:
        parts = self._parts
        seen = now_ms - self._seen_ms >= SEEN_EVERY_MS
        if seen:
            self._seen_ms = now_ms
        if (
            events
            or seen
            or parts.inventory.has_changes()
            or parts.ledger.has_changes()
            or parts.quarantine.has_changes()
        ):
            self._retry(lambda: self._write_rows(events, seen=seen), "database")

    def _write_rows(self, events: Sequence[Event], *, seen: bool = False) -> None:
        parts = self._parts
        with parts.database.engine.begin() as connection:
            parts.inventory.save(connection)
            parts.ledger.save(connection)
            parts.quarantine.save(connection)
            if seen:
                parts.inventory.save_seen(connection)
            if events:
                connection.execute(sa.insert(schema.events), [_event_row(e) for e in events])
        parts.inventory.saved(seen=seen)
        parts.ledger.saved()
        parts.quarantine.saved()

    def _acknowledge(self, now_ms: int) -> None:
        due = self._parts.ledger.due(now_ms)
        if not due:
            return
        encode, group_of = commands.Acknowledgements(now_ms).encode, self._parts.inventory.group_of
        packets = [
            (commands.command_topic(group, ack.gateway), encode(ack.batch))
            for ack in due
            if (group := group_of(ack.gateway)) is not None
        ]
        self._parts.link.publish_all(packets)
        self.counters.acknowledgements += len(packets)

    def _tick(self, now_ms: int) -> None:
        parts = self._parts
        while self._broker_news:
            online, time_ms = self._broker_news.pop(0)
            parts.alerts.set_broker_online(online, time_ms)
            if online:
                parts.receiver.mark_all_stale(now_ms)
        parts.receiver.tick(now_ms)
        parts.inbox.will_send_again(parts.receiver.acknowledging())
        parts.quarantine.forget_bursts(now_ms)
        self._tell(self._judge(lambda: parts.alerts.tick(now_ms)))
        self._add_derived(now_ms)

    def _add_derived(self, now_ms: int) -> None:
        """Put what is worked out from stored samples (indices) on the way of every sample."""
        try:
            derived = self._derive(now_ms)
        except StoreUnavailable:
            return  # the next tick asks again
        for d in derived:
            series = self._parts.inventory.admit(
                SeriesDescription(d.key, d.group, d.station, d.quantity, d.unit, d.interval_ms)
            )
            self._parts.receiver.add_sample(series.index, d.time_ms, d.value)

    # --- news

    def _tell(self, told: Sequence[AlertEvent]) -> None:
        for event in told:
            alert = event.alert
            self._parts.live.publish("alert", alert, alert.get("station"), alert.get("gateway"))

    def _tell_transitions(self, work: Work) -> None:
        for t in work.transitions:
            gateway = self._describe_gateway(t.gateway)
            if gateway is None:
                continue
            self._parts.live.publish("gateway", gateway, gateway["station"], t.gateway)
            device = self._describe_device(t.gateway, t.device) if t.device else None
            if device is not None:
                self._parts.live.publish("device", device, device["station"], t.gateway)

    # --- waiting for what is away

    def _retry(self, action: Callable[[], ResultT], what: str) -> ResultT:
        """Do it until it succeeds; while it does not, the inbox bounds what waits.

        When the service stops meanwhile, nothing is acknowledged and the gateways send it again.
        """
        wait_s = SHORTEST_RETRY_S
        while True:
            try:
                result = action()
            except (StoreUnavailable, sa.exc.OperationalError, sa.exc.InterfaceError) as error:
                self.counters.store_failures += 1
                if not self.problem:
                    _log.warning("waiting", what=what, problem=str(error).splitlines()[0])
                self.problem = f"{what}: {str(error).splitlines()[0]}"
                if self._stopping.wait(wait_s):
                    raise Stopped(what) from error
                wait_s = min(wait_s * 2, LONGEST_RETRY_S)
                continue
            if self.problem:
                _log.info("it goes on", what=what)
                self.problem = ""
            return result


class Stopped(Exception):  # noqa: N818  # named by what happened
    """The service stopped while it waited for a database."""


def _event_row(event: Event) -> dict[str, Any]:
    return {
        "time_ms": event.time_ms, "kind": event.kind, "group_id": event.group,
        "gateway_id": event.gateway, "device": event.device, "message": event.message,
        "details": event.details,
    }  # fmt: skip
