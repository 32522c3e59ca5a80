"""One MQTT session as a Sparkplug edge node: events and the time go in, actions come out.

No socket and no clock here. The shell (``uplink``) connects, hands over what arrives and does what
the actions say. The order of events and the guarantees on the wire stand in ``session_states``;
how reports are confirmed is explained in docs/sparkplug.md.
"""

from collections.abc import Sequence

import structlog

from edge_agent.outbox import OutboxStatus, StoredReport
from edge_agent.uplink.actions import (
    Action,
    ConfirmReports,
    Disconnect,
    Moment,
    Publish,
    Subscribe,
    death,
)
from edge_agent.uplink.birth_messages import BirthMessages
from edge_agent.uplink.births import Births, changing_status
from edge_agent.uplink.data_messages import Outgoing, ReportEncoder, by_device, in_parts
from edge_agent.uplink.delivery import Delivery
from edge_agent.uplink.description import UplinkSettings
from edge_agent.uplink.host_state import parse_host_state
from edge_agent.uplink.liveness_probe import LivenessProbe
from edge_agent.uplink.session_states import SessionEvent, SessionState, SessionStates
from telemetry.sparkplug import Payload, PayloadError, PayloadLimits, decode, encode, names
from telemetry.sparkplug.data_encoder import encode_batch_number, encode_data
from telemetry.sparkplug.topics import MessageType, state_topic

_log = structlog.get_logger(__name__)

STATUS_S = 10.0
"""Interval at which changes of the outbox's status are published; shorter while it drains."""
_DRAINING_STATUS_S = 2.0
_DRAINING_SAMPLES = 1000
_HOST_S = 5.0
"""How long to wait for the host at one broker when there is another broker."""
_MAX_ABSENT = 10_000
_COMMAND_LIMITS = PayloadLimits(payload_bytes=65_536, inflated_bytes=65_536)


class Session:
    """A session, from CONNECT to its end. Every method that is an event returns actions.

    Raises WrongOrderError for an event that the state does not accept. ``online`` are the devices
    that answer now. ``last_online_ms`` is the newest timestamp at which the host said that it is
    online; it outlives sessions.
    """

    def __init__(
        self,
        settings: UplinkSettings,
        births: Births,
        bdseq: int,
        online: set[str],
        last_online_ms: int = 0,
    ) -> None:
        self.bdseq = bdseq
        self.last_online_ms = last_online_ms
        self.host_online = settings.host is None
        self.delivery: Delivery | None = None
        self.rebirths = 0
        self._states = SessionStates()
        self._settings = settings
        self._births = births
        self._stored = settings.confirm == "stored"
        self._outgoing = Outgoing(settings.group, settings.gateway)
        self._birth_messages = BirthMessages(births, self._outgoing, bdseq, online)
        self._encoder = ReportEncoder()
        self._status: OutboxStatus | None = None
        self._lowest = 1
        self._published_status: tuple[object, ...] = ()
        self._published_status_s = 0.0
        self._committed_next = 0
        self._numbering = 0
        self._connected_s = 0.0
        self._probe = LivenessProbe()

    @property
    def state(self) -> SessionState:
        """Where the session stands."""
        return self._states.now

    @property
    def messages_sent(self) -> int:
        """Messages of this session so far."""
        return self._outgoing.sent

    @property
    def delivering(self) -> bool:
        """Whether births are out and reports flow."""
        return self.state is SessionState.DELIVERING

    # -- the broker ----------------------------------------------------------------------------

    def connected(self, now: Moment) -> list[Action]:
        """The broker accepted the connection."""
        self._states.accept(SessionEvent.CONNECTED)
        self._connected_s = now.monotonic_s
        self._probe.heard(now.monotonic_s)
        topics = [self._settings.command_topic, self._settings.device_command_topics]
        if self._settings.host is not None:
            topics.insert(0, state_topic(self._settings.host))
        self._states.become(SessionState.SUBSCRIBING)
        return [Subscribe(tuple(topics))]

    def subscribed(self, now: Moment, status: OutboxStatus, lowest: int) -> list[Action]:
        """The broker confirmed a subscription: the first one, or a liveness probe."""
        before = self._states.accept(SessionEvent.SUBSCRIBED)
        self._probe.heard(now.monotonic_s)
        if before is SessionState.SUBSCRIBING:
            if self.host_online:
                return self._begin(now, status, lowest)
            self._states.become(SessionState.WAITING_FOR_HOST)
            return []
        through = self._probe.passed()
        if through is None or self._stored:
            return []
        return self._confirmed(through, now)

    def received(
        self, topic: str, payload: bytes, now: Moment, status: OutboxStatus, lowest: int
    ) -> list[Action]:
        """A message of the host arrived: its state, or a command."""
        self._probe.heard(now.monotonic_s)
        if self._settings.host is not None and topic == state_topic(self._settings.host):
            return self._host_state(payload, now, status, lowest)
        if topic == self._settings.command_topic:
            return self._command(payload, now, status, lowest)
        return []

    def stopped(self, now: Moment) -> list[Action]:
        """The agent stops: say goodbye if reports flowed."""
        before = self._states.accept(SessionEvent.STOPPED)
        self._states.become(SessionState.ENDED)
        return [self._death(now)] if before is SessionState.DELIVERING else []

    def lost(self) -> None:
        """The connection is gone; the broker publishes the will."""
        self._states.accept(SessionEvent.LOST)
        self._states.become(SessionState.ENDED)

    def _death(self, now: Moment) -> Publish:
        return death(self._settings.group, self._settings.gateway, self.bdseq, now.wall_ms)

    def _end(self, now: Moment, reason: str, *, walk_on: bool = False) -> list[Action]:
        """End a session whose births are out."""
        self._states.become(SessionState.ENDED)
        return [self._death(now), Disconnect(reason, walk_on=walk_on)]

    # -- the host ------------------------------------------------------------------------------

    def _host_state(
        self, payload: bytes, now: Moment, status: OutboxStatus, lowest: int
    ) -> list[Action]:
        state = parse_host_state(payload)
        if state is None:
            _log.warning("host_state_unreadable", payload=payload[:80])
            return []
        if state.time_ms < self.last_online_ms:
            return []
        if not state.online:
            return self._host_offline(now)
        self.last_online_ms = state.time_ms
        return self._host_online(now, status, lowest)

    def _host_online(self, now: Moment, status: OutboxStatus, lowest: int) -> list[Action]:
        before = self._states.accept(SessionEvent.HOST_ONLINE)
        self.host_online = True
        return self._begin(now, status, lowest) if before is SessionState.WAITING_FOR_HOST else []

    def _host_offline(self, now: Moment) -> list[Action]:
        before = self._states.accept(SessionEvent.HOST_OFFLINE)
        self.host_online = False
        if before is SessionState.DELIVERING:
            return self._end(now, "the host application is offline", walk_on=True)
        if before is SessionState.WAITING_FOR_NUMBERS:
            self._states.become(SessionState.WAITING_FOR_HOST)
        return []

    def _command(
        self, payload: bytes, now: Moment, status: OutboxStatus, lowest: int
    ) -> list[Action]:
        state = self._states.accept(SessionEvent.COMMAND)
        try:
            command = decode(payload, _COMMAND_LIMITS)
        except PayloadError as error:
            _log.warning("command_unreadable", problem=str(error))
            return []
        if state is not SessionState.DELIVERING:
            return []
        actions: list[Action] = []
        for metric in command.metrics:
            if metric.name == names.ACK_THROUGH and self._stored and type(metric.value) is int:
                actions += self._confirmed(metric.value, now)
            elif metric.name == names.REBIRTH and metric.value is True:
                self.rebirths += 1
                actions += self._all_births(now, status, lowest)
        return actions

    # -- births --------------------------------------------------------------------------------

    def _begin(self, now: Moment, status: OutboxStatus, lowest: int) -> list[Action]:
        """Send the births, or wait until the outbox knows its numbers."""
        if not status.ready:
            self._states.become(SessionState.WAITING_FOR_NUMBERS)
            return []
        self._states.become(SessionState.DELIVERING)
        self._numbering = status.numbering
        self._births.begin(status.numbering)
        self.delivery = Delivery(lowest, status.next_batch, now.monotonic_s)
        return self._all_births(now, status, lowest)

    def _all_births(self, now: Moment, status: OutboxStatus, lowest: int) -> list[Action]:
        self._status, self._lowest = status, lowest
        self._published_status, self._published_status_s = (
            changing_status(status, lowest),
            now.monotonic_s,
        )
        return [*self._birth_messages.all(now, status, lowest)]

    def device_online(self, device: str, now: Moment) -> list[Action]:
        """A device answers."""
        if self._states.accept(SessionEvent.DEVICE_CHANGED) is SessionState.DELIVERING:
            return [*self._birth_messages.device_online(device, now)]
        self._birth_messages.online.add(device)
        return []

    def device_offline(self, device: str, now: Moment) -> list[Action]:
        """A device no longer answers."""
        self._states.accept(SessionEvent.DEVICE_CHANGED)
        return [*self._birth_messages.device_offline(device, now)]

    def described(self, now: Moment, status: OutboxStatus, lowest: int) -> list[Action]:
        """The description of the gateway was replaced."""
        state = self._states.accept(SessionEvent.DEVICE_CHANGED)
        self._birth_messages.online &= {d.name for d in self._births.node.devices}
        if state is not SessionState.DELIVERING:
            return []
        return [*self._birth_messages.removed(now), *self._all_births(now, status, lowest)]

    # -- reports -------------------------------------------------------------------------------

    def measured(
        self, reports: Sequence[StoredReport], now: Moment, *, congested: bool = False
    ) -> list[Action]:
        """Reports that just became durable. They go out at once unless the line is congested."""
        self._states.accept(SessionEvent.MEASURED)
        delivery = self.delivery
        if delivery is None:
            return []
        live = []
        for report in reports:
            if not delivery.is_new(report.batch):
                continue
            if congested or not report.stamped:
                delivery.put_back(report.batch)
                continue
            self._births.note(report)
            delivery.sent_live(report.batch, now.monotonic_s)
            live.append(report)
        actions: list[Action] = []
        for device, group in by_device(live).items():
            for part in in_parts(group):
                actions += self._data(device, part, now, historical=False)
        return actions

    def wanted_backlog(self) -> tuple[int, int] | None:
        """What to read from the outbox next: after which batch, about how many samples."""
        return None if self.delivery is None else self.delivery.plan()

    def backlog(self, reports: Sequence[StoredReport], now: Moment) -> list[Action]:
        """Reports read as ``wanted_backlog`` asked."""
        self._states.accept(SessionEvent.BACKLOG)
        delivery = self.delivery
        if delivery is None or not reports:
            return []
        due = reports
        if not delivery.unsent.has_all(reports[0].batch, reports[-1].batch):
            due = [r for r in reports if r.batch in delivery.unsent]
        actions = self._absent(delivery, reports, now)
        for device, group in by_device(due).items():
            actions += self._data(device, group, now, historical=True)
        delivery.sent_backlog([r.batch for r in due], sum(r.count for r in due), now.monotonic_s)
        return actions

    def _absent(
        self, delivery: Delivery, reports: Sequence[StoredReport], now: Moment
    ) -> list[Action]:
        """Report numbers that the outbox lacks as empty, because the host waits for each number."""
        lowest = delivery.unsent.lowest
        if lowest is None or not self._stored:
            return []
        if lowest == reports[0].batch and reports[-1].batch - lowest == len(reports) - 1:
            return []
        held = {r.batch for r in reports}
        absent = [n for n in range(lowest, min(reports[-1].batch, lowest + _MAX_ABSENT))
                  if n not in held and n in delivery.unsent]  # fmt: skip
        if not absent:
            return []
        _log.error("outbox_reports_absent", first=absent[0], last=absent[-1])
        metrics = b"".join(
            encode_batch_number(n, now.wall_ms + i, alias=None, name=names.STORE_BATCH)
            for i, n in enumerate(absent)
        )
        delivery.sent_backlog(absent, 0, now.monotonic_s)
        payload = encode_data(now.wall_ms, self._outgoing.next_seq(), metrics)
        return [self._outgoing.message("NDATA", None, payload)]

    def _data(
        self, device: str | None, reports: Sequence[StoredReport], now: Moment, *, historical: bool
    ) -> list[Action]:
        births = self._birth_messages.missing_for(device, reports, now)
        actions: list[Action] = [] if births is None else [*births]
        if births is None and self._status is not None:
            actions = self._all_births(now, self._status, self._lowest)
        closing = None
        if device is not None and self._stored:
            closing = self._births.closing_alias(device)
        metrics = self._encoder.encode(
            reports, historical=historical, closing=closing, numbered=self._stored
        )
        kind: MessageType = "NDATA" if device is None else "DDATA"
        payload = encode_data(now.wall_ms, self._outgoing.next_seq(), metrics)
        return [*actions, self._outgoing.message(kind, device, payload)]

    def _confirmed(self, through: int, now: Moment) -> list[Action]:
        delivery = self.delivery
        if delivery is None:
            return []
        if not delivery.acknowledged(through, now.monotonic_s):
            next_batch = delivery.next_batch
            _log.warning("acknowledgement_refused", through=through, next_batch=next_batch)
            return []
        return [ConfirmReports(through)]

    # -- time ----------------------------------------------------------------------------------

    def tick(self, now: Moment, status: OutboxStatus, lowest: int) -> list[Action]:
        """About a second has passed."""
        state = self._states.accept(SessionEvent.TICK)
        self._status, self._lowest = status, lowest
        if state is SessionState.WAITING_FOR_NUMBERS:
            return self._begin(now, status, lowest)
        if self.delivery is not None:
            return self._tick_delivering(self.delivery, now, status, lowest)
        waits_s = now.monotonic_s - self._connected_s
        if (
            state is not SessionState.CONNECTING
            and len(self._settings.brokers) > 1
            and not self.host_online
            and waits_s > _HOST_S
        ):
            self._states.become(SessionState.ENDED)
            return [Disconnect("the host application is not here", walk_on=True)]
        return []

    def _tick_delivering(
        self, delivery: Delivery, now: Moment, status: OutboxStatus, lowest: int
    ) -> list[Action]:
        if self._probe.is_waiting and self._probe.is_silent(now.monotonic_s):
            self._states.become(SessionState.ENDED)
            return [Disconnect("the broker does not answer")]
        actions = self._probe_broker(delivery, now)
        if status.numbering != self._numbering:
            return [*actions, *self._end(now, "the outbox was renewed")]
        if self._stored:
            delivery.tick(now.monotonic_s)
        # A report that was committed but never handed to us is backlog; one that was committed
        # only now is about to be handed over.
        if self._committed_next > delivery.next_batch:
            delivery.is_new(self._committed_next - 1)
            delivery.put_back(self._committed_next - 1)
        self._committed_next = status.next_batch
        evicted = delivery.evicted(lowest, now.monotonic_s)
        actions += self._publish_status(now, status, lowest, at_once=evicted)
        if not delivery.unsent:
            actions += self._birth_messages.history_delivered(now)
        return actions

    def _publish_status(
        self, now: Moment, status: OutboxStatus, lowest: int, *, at_once: bool
    ) -> list[Action]:
        draining = status.depth_samples > _DRAINING_SAMPLES
        pause_s = _DRAINING_STATUS_S if draining else STATUS_S
        if not at_once and now.monotonic_s - self._published_status_s < pause_s:
            return []
        self._published_status_s = now.monotonic_s
        if self._births.diagnostics.unborn():
            return self._all_births(now, status, lowest)
        metrics = self._births.changed_counters(now.wall_ms)
        changing = changing_status(status, lowest)
        if changing != self._published_status or at_once:
            self._published_status = changing
            metrics = self._births.store_metrics(now.wall_ms, status, lowest) + metrics
        if not metrics:
            return []
        payload = Payload(now.wall_ms, tuple(metrics), self._outgoing.next_seq())
        return [self._outgoing.message("NDATA", None, encode(payload, datatypes=False))]

    def _probe_broker(self, delivery: Delivery, now: Moment) -> list[Action]:
        """Subscribe again as a liveness probe, if one is due.

        With ``confirm: standard`` each probe also says how much the broker has taken.
        """
        if self._probe.is_waiting or not delivery.is_waiting:
            return []
        if self._stored and not self._probe.is_silent(now.monotonic_s):
            return []
        lowest = delivery.unsent.lowest
        self._probe.send(delivery.next_batch - 1 if lowest is None else lowest - 1, now.monotonic_s)
        return [Subscribe((self._settings.command_topic,))]
