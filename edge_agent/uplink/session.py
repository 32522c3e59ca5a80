"""One MQTT session as a Sparkplug edge node: events and the time go in, actions come out.

No socket and no clock here. The shell (``uplink``) connects, hands over what arrives and does what
is asked of it. Rules: Sparkplug B 3.0 chapter 5; how reports are confirmed is told in
docs/sparkplug.md.
"""

from collections.abc import Sequence

import structlog

from edge_agent.outbox import OutboxStatus, StoredReport
from edge_agent.uplink.actions import Action, Confirm, Disconnect, Moment, Publish, Subscribe, death
from edge_agent.uplink.birth_aliases import BirthAliases
from edge_agent.uplink.births import Births
from edge_agent.uplink.data_messages import Outgoing, ReportEncoder, by_device, in_parts
from edge_agent.uplink.delivery import Delivery
from edge_agent.uplink.description import UplinkSettings
from edge_agent.uplink.host_state import parse_host_state
from edge_agent.uplink.liveness_probe import LivenessProbe
from telemetry.sparkplug import Limits, Payload, PayloadError, decode, encode, names
from telemetry.sparkplug.data_encoder import encode_batch_number, encode_data
from telemetry.sparkplug.topics import NAMESPACE, MessageType, state_topic

_log = structlog.get_logger(__name__)

STATUS_S = 10.0
"""How often the outbox's state is told; faster while it drains."""
_DRAINING_STATUS_S = 2.0
_DRAINING_SAMPLES = 1000
_HOST_S = 5.0
"""How long to wait for the host at one broker, where there is another."""
_ABSENT = 10_000
_COMMAND_LIMITS = Limits(payload_bytes=65_536, inflated_bytes=65_536)


class Session:
    """A session, from CONNACK to its end.

    ``last_online_ms`` is the newest timestamp at which the host said that it is online; it
    outlives sessions.
    """

    def __init__(
        self, settings: UplinkSettings, births: Births, bdseq: int, last_online_ms: int = 0
    ) -> None:
        self.bdseq = bdseq
        self.last_online_ms = last_online_ms
        self.host_online = settings.host is None
        self.delivery: Delivery | None = None
        self.rebirths = 0
        self._settings = settings
        self._births = births
        self._stored = settings.confirm == "stored"
        self._outgoing = Outgoing(settings.group, settings.gateway)
        self._encoder = ReportEncoder()
        self._subscribed = False
        self._online: set[str] = set()
        self._born = BirthAliases()
        self._history_only: set[str] = set()
        self._status: OutboxStatus | None = None
        self._lowest = 1
        self._told: tuple[object, ...] = ()
        self._told_s = 0.0
        self._behind = 0
        self._numbering = 0
        self._connected_s = 0.0
        self._probe = LivenessProbe()

    @property
    def messages_sent(self) -> int:
        """Messages of this session so far."""
        return self._outgoing.sent

    @property
    def delivering(self) -> bool:
        """Whether births are out and reports flow."""
        return self.delivery is not None

    # -- the broker ----------------------------------------------------------------------------

    def connected(self, now: Moment) -> list[Action]:
        """The broker took the connection."""
        self._connected_s = now.monotonic_s
        self._probe.heard(now.monotonic_s)
        s = self._settings
        topics = [
            f"{NAMESPACE}/{s.group}/NCMD/{s.gateway}",
            f"{NAMESPACE}/{s.group}/DCMD/{s.gateway}/+",
        ]
        if s.host is not None:
            topics.insert(0, state_topic(s.host))
        return [Subscribe(tuple(topics))]

    def subscribed(
        self, now: Moment, status: OutboxStatus, lowest: int, online: set[str]
    ) -> list[Action]:
        """The broker confirmed a subscription: the first one, or one that asked for a sign of life."""
        self._probe.heard(now.monotonic_s)
        if not self._subscribed:
            self._subscribed = True
            self._online = set(online)
            return self._begin(now, status, lowest) if self.host_online else []
        through = self._probe.passed()
        if through is None or self._stored:
            return []
        return self._confirmed(through, now)

    def received(
        self, topic: str, payload: bytes, now: Moment, status: OutboxStatus, lowest: int
    ) -> list[Action]:
        """A message for us."""
        self._probe.heard(now.monotonic_s)
        s = self._settings
        if s.host is not None and topic == state_topic(s.host):
            return self._host_state(payload, now, status, lowest)
        if topic == f"{NAMESPACE}/{s.group}/NCMD/{s.gateway}":
            return self._command(payload, now, status, lowest)
        return []

    def _host_state(
        self, payload: bytes, now: Moment, status: OutboxStatus, lowest: int
    ) -> list[Action]:
        state = parse_host_state(payload)
        if state is None:
            _log.warning("host state cannot be read", payload=payload[:80])
            return []
        if state.time_ms < self.last_online_ms:
            return []
        if state.online:
            self.last_online_ms = state.time_ms
            if self.host_online:
                return []
            self.host_online = True
            return self._begin(now, status, lowest) if self._subscribed else []
        self.host_online = False
        if self.delivery is None:
            return []
        self.delivery = None
        return [self.death(now), Disconnect("the host application is offline", walk_on=True)]

    def _command(
        self, payload: bytes, now: Moment, status: OutboxStatus, lowest: int
    ) -> list[Action]:
        try:
            command = decode(payload, _COMMAND_LIMITS)
        except PayloadError as error:
            _log.warning("command cannot be read", reason=str(error))
            return []
        if self.delivery is None:
            return []
        actions: list[Action] = []
        for metric in command.metrics:
            if metric.name == names.ACK_THROUGH and self._stored and type(metric.value) is int:
                actions += self._confirmed(metric.value, now)
            elif metric.name == names.REBIRTH and metric.value is True:
                self.rebirths += 1
                actions += self._rebirth(now, status, lowest)
        return actions

    def death(self, now: Moment) -> Publish:
        """The NDEATH of this session."""
        return death(self._settings.group, self._settings.gateway, self.bdseq, now.wall_ms)

    # -- births --------------------------------------------------------------------------------

    def _begin(self, now: Moment, status: OutboxStatus, lowest: int) -> list[Action]:
        if not status.ready:
            return []  # the first tick at which the numbers are known begins
        self._numbering = status.numbering
        self._births.begin(status.numbering)
        self.delivery = Delivery(lowest, status.next_batch, now.monotonic_s)
        self._lowest, self._behind = lowest, 0
        return self._rebirth(now, status, lowest)

    def _rebirth(self, now: Moment, status: OutboxStatus, lowest: int) -> list[Action]:
        payload = self._births.nbirth(now.wall_ms, self.bdseq, status, lowest)
        born = self._born.devices
        self._born.begin({m.alias for m in payload.metrics if m.alias is not None})
        self._outgoing.restart()
        self._told, self._told_s = _told(status, lowest), now.monotonic_s
        actions: list[Action] = [self._outgoing.message("NBIRTH", None, encode(payload))]
        self._outgoing.next_seq()  # that of the NBIRTH
        actions.extend(self._dbirth(device, now) for device in sorted(self._online | born))
        return actions

    def _dbirth(self, device: str, now: Moment) -> Publish:
        history_only = device not in self._online
        payload, aliases = self._births.dbirth(
            device, now.wall_ms, self._outgoing.next_seq(), history_only=history_only
        )
        self._born.born(device, aliases)
        if history_only:
            self._history_only.add(device)
        else:
            self._history_only.discard(device)
        return self._outgoing.message("DBIRTH", device, encode(payload))

    def _ddeath(self, device: str, now: Moment) -> Publish:
        self._born.died(device)
        self._history_only.discard(device)
        payload = encode(Payload(now.wall_ms, (), self._outgoing.next_seq()))
        return self._outgoing.message("DDEATH", device, payload)

    def device_online(self, device: str, now: Moment) -> list[Action]:
        """A device answers."""
        known = device in self._online
        self._online.add(device)
        if self.delivery is None or (known and self._born.is_born(device)):
            return []
        return [self._dbirth(device, now)]

    def device_offline(self, device: str, now: Moment) -> list[Action]:
        """A device does not answer any more."""
        self._online.discard(device)
        if self.delivery is None or not self._born.is_born(device):
            return []
        return [self._ddeath(device, now)]

    def described(self, now: Moment, status: OutboxStatus, lowest: int) -> list[Action]:
        """The description of the gateway was replaced."""
        if self.delivery is None:
            return []
        known = {d.name for d in self._births.node.devices}
        gone = sorted(self._born.devices - known)
        self._online &= known
        actions: list[Action] = [self._ddeath(device, now) for device in gone]
        return actions + self._rebirth(now, status, lowest)

    # -- reports -------------------------------------------------------------------------------

    def measured(
        self, reports: Sequence[StoredReport], now: Moment, *, choked: bool = False
    ) -> list[Action]:
        """Reports that just became durable: they go at once, unless the line is ``choked``."""
        delivery = self.delivery
        if delivery is None:
            return []
        live = []
        for report in reports:
            if not delivery.is_new(report.batch):
                continue
            if choked or not report.stamped:
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
        delivery = self.delivery
        if delivery is None or not reports:
            return []
        due = reports
        if not delivery.unsent.has_all(reports[0].batch, reports[-1].batch):
            due = [r for r in reports if r.batch in delivery.unsent]
        actions = self._missing(reports, now)
        for device, group in by_device(due).items():
            actions += self._data(device, group, now, historical=True)
        delivery.sent_backlog([r.batch for r in due], sum(r.count for r in due), now.monotonic_s)
        return actions

    def _missing(self, reports: Sequence[StoredReport], now: Moment) -> list[Action]:
        """Say of numbers that the outbox does not have that they are empty: the host waits for each."""
        delivery = self.delivery
        lowest = None if delivery is None else delivery.unsent.lowest
        if delivery is None or lowest is None or not self._stored:
            return []
        if lowest == reports[0].batch and reports[-1].batch - lowest == len(reports) - 1:
            return []
        held = {r.batch for r in reports}
        absent = [n for n in range(lowest, min(reports[-1].batch, lowest + _ABSENT))
                  if n not in held and n in delivery.unsent]  # fmt: skip
        if not absent:
            return []
        _log.error("the outbox lacks reports", first=absent[0], last=absent[-1])
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
        actions = self._ensure_born(device, reports, now)
        closing = None
        if device is not None and self._stored:
            closing = self._births.closing_alias(device)
        metrics = self._encoder.encode(
            reports, historical=historical, closing=closing, numbered=self._stored
        )
        kind: MessageType = "NDATA" if device is None else "DDATA"
        payload = encode_data(now.wall_ms, self._outgoing.next_seq(), metrics)
        return [*actions, self._outgoing.message(kind, device, payload)]

    def _ensure_born(
        self, device: str | None, reports: Sequence[StoredReport], now: Moment
    ) -> list[Action]:
        """A metric must be in a birth before it is sent."""
        actions: list[Action] = []
        if device is not None and not self._born.is_born(device):
            actions.append(self._dbirth(device, now))
        if all(self._born.has_all(report) for report in reports):
            return actions
        if device is not None:
            return [*actions, self._dbirth(device, now)]
        return self._rebirth(now, self._status, self._lowest) if self._status is not None else []

    def _confirmed(self, through: int, now: Moment) -> list[Action]:
        if self.delivery is None or through >= self.delivery.following:
            return []
        news = self.delivery.acknowledged(through, now.monotonic_s)
        return [Confirm(through)] if news or self._stored else []

    def tick(self, now: Moment, status: OutboxStatus, lowest: int) -> list[Action]:
        """To be called about every second."""
        self._status, self._lowest = status, lowest
        actions = self._watch_broker(now)
        delivery = self.delivery
        if delivery is None:
            waits_s = now.monotonic_s - self._connected_s
            if len(self._settings.brokers) > 1 and not self.host_online and waits_s > _HOST_S:
                actions.append(Disconnect("the host application is not here", walk_on=True))
            elif self._subscribed and self.host_online:
                actions += self._begin(now, status, lowest)
            return actions
        if status.numbering != self._numbering:
            self.delivery = None
            return [*actions, self.death(now), Disconnect("the outbox was renewed")]
        if self._stored:
            delivery.tick(now.monotonic_s)
        # A report that was committed but never handed to us is backlog; one that was committed
        # only now is about to be handed over.
        if self._behind > delivery.following:
            delivery.is_new(self._behind - 1)
            delivery.put_back(self._behind - 1)
        self._behind = status.next_batch
        moved = delivery.evicted(lowest, now.monotonic_s)
        actions += self._tell_status(now, status, lowest, at_once=moved)
        if not delivery.unsent:
            actions += [self._ddeath(device, now) for device in sorted(self._history_only)]
        return actions

    def _tell_status(
        self, now: Moment, status: OutboxStatus, lowest: int, *, at_once: bool
    ) -> list[Action]:
        draining = status.depth_samples > _DRAINING_SAMPLES
        pause = _DRAINING_STATUS_S if draining else STATUS_S
        if not at_once and now.monotonic_s - self._told_s < pause:
            return []
        self._told_s = now.monotonic_s
        if self._births.diagnostics.unborn():
            return self._rebirth(now, status, lowest)
        metrics = self._births.changed_counters(now.wall_ms)
        told = _told(status, lowest)
        if told != self._told or at_once:
            self._told = told
            metrics = self._births.store_metrics(now.wall_ms, status, lowest) + metrics
        if not metrics:
            return []
        payload = Payload(now.wall_ms, tuple(metrics), self._outgoing.next_seq())
        return [self._outgoing.message("NDATA", None, encode(payload, datatypes=False))]

    def _watch_broker(self, now: Moment) -> list[Action]:
        """Ask for a sign of life where one is due; without confirmations, to know what got through."""
        if self._probe.is_up:
            if self._probe.is_silent(now.monotonic_s):
                return [Disconnect("the broker does not answer")]
            return []
        delivery = self.delivery
        if delivery is None or not delivery.is_waiting:
            return []
        if self._stored and not self._probe.is_silent(now.monotonic_s):
            return []
        lowest = delivery.unsent.lowest
        self._probe.put_up(
            delivery.following - 1 if lowest is None else lowest - 1, now.monotonic_s
        )
        s = self._settings
        return [Subscribe((f"{NAMESPACE}/{s.group}/NCMD/{s.gateway}",))]


def _told(status: OutboxStatus, lowest: int) -> tuple[object, ...]:
    return (status.depth_samples, status.oldest_time_ms, status.measured_total,
            status.evicted_total, lowest if status.depth_samples else 0)  # fmt: skip
