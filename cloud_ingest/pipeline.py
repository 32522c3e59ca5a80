"""The pipeline thread: decode, flag, store, evaluate rules, acknowledge.

A gateway receives "stored" only after its samples are in the store and the ledger is in the
database. A crash anywhere leads to the same reports again, and storing them again changes nothing.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from cloud_ingest.alerts.model import AlertEvent
from cloud_ingest.indices.derived import DerivedSample
from cloud_ingest.intake.configuration import IntakeConfiguration
from cloud_ingest.intake.ledger.account import Gap
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.sparkplug import commands
from cloud_ingest.intake.work import GatewayEvent, PresenceChange, Rebirth
from cloud_ingest.inventory.model import SeriesDescription
from cloud_ingest.partition import DEFAULT_PARTITION, Partition, partition_of
from cloud_ingest.pipeline_dependencies import PipelineDependencies
from cloud_ingest.retry import Retry, Stopped
from cloud_ingest.sample_door import SampleDoor
from cloud_ingest.state_commit import StateCommit
from cloud_ingest.stores.protocol import StoreUnavailable
from telemetry.time.clock import utc_now_ms

_log = structlog.get_logger()

TICK_MS = 1_000
MAX_BATCHES = 20
"""While more messages wait, a batch may grow to this many times its usual size."""
MANY_SAMPLES = 1_000
PAUSE_S = 0.03
"""A batch of MANY_SAMPLES is closed after this pause: its gateways wait for acknowledgement."""


class Pipeline:
    """Runs in its own thread between ``start`` and ``stop``."""

    def __init__(
        self,
        shared: PipelineDependencies,
        partition: Partition,
        limits: IntakeConfiguration,
        describe_gateway: Callable[[str], Mapping[str, Any] | None] = lambda _name: None,
        describe_device: Callable[[str, str], Mapping[str, Any] | None] = lambda _g, _d: None,
        derive: Callable[[int], Sequence[DerivedSample]] = lambda _now_ms: (),
    ) -> None:
        self.partitions = {DEFAULT_PARTITION: partition}
        self.counters = shared.counters
        self.failed: BaseException | None = None
        self._shared = shared
        self._limits = limits
        self._describe_gateway = describe_gateway
        self._describe_device = describe_device
        self._derive = derive
        self._stopping = threading.Event()
        self._retry = Retry(self._stopping, shared.counters)
        self._state = StateCommit(shared, self.partitions, self._retry)
        self._door = SampleDoor(shared, limits, self._retry, self._state)
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)
        self._ticked_ms = 0
        self._broker_changes: deque[tuple[bool, int]] = deque()

    def start(self) -> None:
        """Start the thread. Inventory, ledger and quarantine must have been loaded."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Commit what was gathered, as far as the time allows, and end the thread."""
        self._stopping.set()
        self._thread.join(timeout_s)

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread.is_alive()

    @property
    def problem(self) -> str:
        """Why nothing can be stored at the moment, or why the thread ended; '' if all is well."""
        if self.failed is not None:
            return f"{type(self.failed).__name__}: {self.failed}"
        return self._retry.problem

    def broker_changed(self, online: bool) -> None:
        """Note that the connection to the broker came or went. Any thread may call it."""
        self._broker_changes.append((online, utc_now_ms()))

    # --- the thread

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.step()
            self._flush_ledgers()
            self.step()
        except Stopped as stopped:
            _log.warning("stopped_while_unavailable", what=str(stopped))
        except BaseException as error:
            self.failed = error
            _log.exception("pipeline_failed")
            raise

    def step(self) -> None:
        """Gather messages for at most one batch, commit them, and do what is due."""
        if not self._gather():
            self._flush_ledgers()
        now_ms = utc_now_ms()
        for partition in self.partitions.values():
            self._commit(partition, now_ms)
        if now_ms - self._ticked_ms >= TICK_MS:
            self._ticked_ms = now_ms
            self._tick(now_ms)

    def _flush_ledgers(self) -> None:
        for partition in self.partitions.values():
            partition.ledger.flush()

    def _gather(self) -> bool:
        """Decode the messages of one batch; False if there were none."""
        inbox, limits = self._shared.inbox, self._limits
        messages = inbox.take_many(0.1)
        if not messages:
            return False
        end = time.monotonic() + limits.batch_ms / 1000
        while messages:
            self._take_in(messages)
            pending = sum(p.receiver.pending for p in self.partitions.values())
            if pending >= limits.batch_samples and (
                not len(inbox) or pending >= MAX_BATCHES * limits.batch_samples
            ):
                break
            left = end - time.monotonic()
            if left <= 0 or self._stopping.is_set():
                break
            messages = inbox.take_many(min(left, PAUSE_S) if pending >= MANY_SAMPLES else left)
        dropped = inbox.take_dropped()
        for partition in self.partitions.values() if dropped else ():
            partition.receiver.resync(dropped)
        return True

    def _take_in(self, messages: Iterable[MqttMessage]) -> None:
        # There is one partition; with several, each message goes to the one of its gateway.
        self.partitions[DEFAULT_PARTITION].receiver.take_all(messages)

    def _commit(self, partition: Partition, now_ms: int) -> None:
        """Store what the receiver has, save the state, acknowledge, and publish live updates."""
        work = partition.receiver.take_work()
        self._send_rebirths(work.rebirths, now_ms)
        passed = self._door.pass_through(partition, work, now_ms)
        self._state.save([*work.events, *(self._gap_event(g) for g in passed.gaps)], now_ms)
        self._acknowledge(partition, now_ms)
        self.counters.batches += bool(len(passed.samples))
        self.counters.samples += len(passed.samples)
        self.counters.last_commit_ms = now_ms
        self._shared.live.publish_samples(passed.samples)
        self._publish_alerts(passed.alert_events)
        self._publish_presence(work.presence_changes)

    def _send_rebirths(self, rebirths: Iterable[Rebirth], now_ms: int) -> None:
        for r in rebirths:
            topic = commands.command_topic(r.group, r.gateway)
            self._shared.link.publish(topic, commands.rebirth(now_ms))

    def _gap_event(self, gap: Gap) -> GatewayEvent:
        group = self._shared.inventory.group_of(gap.gateway) or ""
        return GatewayEvent(
            gap.time_ms, "data_lost", group, gap.gateway, None,
            f"reports {gap.first} to {gap.last} will not come: {gap.reason}",
            {"first": gap.first, "last": gap.last},
        )  # fmt: skip

    def _acknowledge(self, partition: Partition, now_ms: int) -> None:
        due = partition.ledger.due(now_ms)
        if not due:
            return
        encode, group_of = commands.Acknowledgements(now_ms).encode, self._shared.inventory.group_of
        packets = [
            (commands.command_topic(group, ack.gateway), encode(ack.batch))
            for ack in due
            if (group := group_of(ack.gateway)) is not None
        ]
        self._shared.link.publish_all(packets)
        self.counters.acknowledgements += len(packets)

    # --- every second

    def _tick(self, now_ms: int) -> None:
        changes = [self._broker_changes.popleft() for _ in range(len(self._broker_changes))]
        for partition in self.partitions.values():
            for online, time_ms in changes:
                partition.alerts.set_broker_online(online, time_ms)
                if online:
                    partition.receiver.mark_all_stale(now_ms)
            partition.receiver.tick(now_ms)
        acknowledging = (p.receiver.acknowledging() for p in self.partitions.values())
        self._shared.inbox.will_send_again(frozenset().union(*acknowledging))
        self._shared.quarantine.forget_bursts(now_ms)
        for partition in self.partitions.values():
            tick = partial(partition.alerts.tick, now_ms)
            self._publish_alerts(self._door.evaluate(tick))
        self._add_derived(now_ms)

    def _add_derived(self, now_ms: int) -> None:
        """Put series computed from stored samples (indices) into the next batch."""
        try:
            derived = self._derive(now_ms)
        except StoreUnavailable:
            return  # the next tick computes them
        for d in derived:
            series = self._shared.inventory.admit(
                SeriesDescription(d.key, d.group, d.station, d.quantity, d.unit, d.interval_ms)
            )
            partition = self.partitions[partition_of(d.group, d.key.gateway)]
            partition.receiver.add_sample(series.index, d.time_ms, d.value)

    # --- live updates

    def _publish_alerts(self, events: Iterable[AlertEvent]) -> None:
        for event in events:
            alert = event.alert
            self._shared.live.publish("alert", alert, alert.get("station"), alert.get("gateway"))

    def _publish_presence(self, presence_changes: Iterable[PresenceChange]) -> None:
        live = self._shared.live
        for t in presence_changes:
            gateway = self._describe_gateway(t.gateway)
            if gateway is None:
                continue
            live.publish("gateway", gateway, gateway["station"], t.gateway)
            device = self._describe_device(t.gateway, t.device) if t.device else None
            if device is not None:
                live.publish("device", device, device["station"], t.gateway)
