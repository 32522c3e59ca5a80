"""The receiver: dispatches each message to the handler of its topic. No I/O; time is passed in."""

from collections.abc import Iterable, Sequence
from sys import intern

from cloud_ingest.intake.clock_offsets import ClockOffsets
from cloud_ingest.intake.configuration import IntakeConfiguration
from cloud_ingest.intake.context import Context
from cloud_ingest.intake.mappings import Mapping
from cloud_ingest.intake.mappings.handler import MappedMessageHandler
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.series_limiter import SeriesLimiter
from cloud_ingest.intake.sparkplug.batch_decoder import Route
from cloud_ingest.intake.sparkplug.birth_handler import BirthHandler
from cloud_ingest.intake.sparkplug.decoder import decode_certificate, parse
from cloud_ingest.intake.sparkplug.presence import Presence
from cloud_ingest.intake.sparkplug.report_handler import ReportHandler
from cloud_ingest.intake.sparkplug.session_states import Handling, HostSessionEvent
from cloud_ingest.intake.sparkplug.sessions import DeviceSession, NodeSession
from cloud_ingest.intake.work import Work
from cloud_ingest.inventory.inventory import Inventory
from telemetry.quality import Flag
from telemetry.series import NODE_DEVICE
from telemetry.sparkplug import PayloadError, names
from telemetry.sparkplug.topics import NAMESPACE, Topic, TopicError, parse_topic

KNOWN_TOPICS = 100_000


class Receiver:
    """Turns messages into work: samples, ledger entries, presence changes, rebirth requests."""

    def __init__(
        self, inventory: Inventory, limits: IntakeConfiguration, mappings: Sequence[Mapping] = ()
    ) -> None:
        series_limiter = SeriesLimiter(limits.new_series_per_minute, limits.max_series_per_gateway)
        self._context = Context(inventory, limits, series_limiter)
        self._presence = Presence(self._context)
        self._births = BirthHandler(self._context, self._presence)
        self.clocks = ClockOffsets(inventory)
        self._reports = ReportHandler(self._context, self._presence, self.clocks)
        self._mapped = MappedMessageHandler(self._context, self._presence, mappings)
        self._topics: dict[str, Topic] = {}
        self._routes: dict[str, Route] = {}
        self.messages_total = 0

    @property
    def pending(self) -> int:
        """Number of gathered samples and new series; a new series costs as much as a sample."""
        context = self._context
        return len(context.work.samples) + self._reports.collected + context.inventory.announced

    @property
    def sessions(self) -> dict[str, NodeSession]:
        """The sessions by gateway."""
        return self._context.sessions

    def take_work(self) -> Work:
        """The work gathered since the last call."""
        self._reports.decode_collected()
        context = self._context
        work, context.work = context.work, Work()
        context.inventory.note_last_seen(context.last_seen)
        context.last_seen.clear()
        return work

    def add_sample(self, series: int, time_ms: int, value: float) -> None:
        """Add a derived sample, which is computed from others."""
        self._context.work.samples.add(series, time_ms, value, Flag.NOT_EVALUATED.value)

    def acknowledging(self) -> frozenset[str]:
        """The gateways that keep their samples until they are acknowledged."""
        return frozenset(self._context.acknowledging)

    def resync(self, gateways: Iterable[str]) -> None:
        """The host dropped messages of these gateways: do not count a sequence gap."""
        self._presence.resync(gateways)

    def mark_all_stale(self, now_ms: int) -> None:
        """The host was disconnected: the state of every gateway may be out of date."""
        self._presence.mark_all_stale(now_ms)

    def tick(self, now_ms: int) -> None:
        """Handle what is due: time-outs of sessions and devices."""
        self._presence.tick(now_ms)

    def take_all(self, messages: Iterable[MqttMessage]) -> None:
        """Take messages in order. Those that fit the batch decoder are only collected here."""
        routes, collect, taken = self._routes, self._reports.collect, 0
        for message in messages:
            route = routes.get(message.topic)
            if route is not None and not message.replayed and collect(route, message):
                taken += 1
            else:
                self.take(message)
        self.messages_total += taken

    def take(self, message: MqttMessage) -> None:
        """Take one message. What cannot be read goes into quarantine; nothing is raised."""
        self.messages_total += 1
        if message.replayed:
            self._context.work.replayed.append(message.item)
        if message.replayed == "samples":
            self._reports.take_samples(message)
            return
        topic: Topic | None = None
        try:
            topic = self._topics[message.topic]
        except KeyError:
            try:
                topic = self._read_topic(message.topic)
            except TopicError as error:
                if not self._mapped.take(message):
                    reason = str(error).split(": ", 1)[-1]
                    self._context.refuse(message, None, f"unknown topic: {reason}")
                return
        if topic is None:
            return
        try:
            self._dispatch(topic, message)
        except PayloadError as error:
            self._context.refuse(message, topic.gateway, str(error))

    def _read_topic(self, text: str) -> Topic | None:
        if text.startswith(f"{NAMESPACE}/STATE/"):
            return None
        parsed = parse_topic(text)
        device = None if parsed.device is None else intern(parsed.device)
        topic = Topic(intern(parsed.group), parsed.type, intern(parsed.gateway), device)
        if topic.type == "NDATA":  # births and deaths are rare, and DDATA has routes
            if len(self._topics) >= KNOWN_TOPICS:
                self._topics.clear()
            self._topics[text] = topic
        return topic

    def _dispatch(self, topic: Topic, message: MqttMessage) -> None:
        if topic.type in ("NCMD", "DCMD"):
            return  # commands, including our own
        if topic.type == "DDATA" and not message.replayed and self._collect(topic, message):
            return
        if (
            not message.replayed and topic.type != "NDEATH"
        ):  # a will carries the time of its connection
            self.clocks.note(topic.gateway, message.payload, message.time_ms)
        session = self._session(topic, message)
        if session is None:
            return
        match topic.type:
            case "DDATA" | "NDATA":
                self._reports.take(session, topic, message, counted=bool(message.replayed))
            case "NBIRTH":
                self._reports.decode_collected()  # a birth may redefine aliases
                self._births.take_node(session, topic, message)
            case "DBIRTH":
                self._reports.decode_collected()
                self._take_device_birth(session, topic, message)
            case "NDEATH":
                self._take_node_death(session, message)
            case "DDEATH":
                self._take_device_death(session, topic, message)

    def _collect(self, topic: Topic, message: MqttMessage) -> bool:
        """Collect a data message for the batch decoder, and remember the route of its topic."""
        route = self._reports.route(topic)
        if route is None:
            return False
        if len(self._routes) >= KNOWN_TOPICS:
            self._routes.clear()
        self._routes[message.topic] = route
        return self._reports.collect(route, message)

    def _session(self, topic: Topic, message: MqttMessage) -> NodeSession | None:
        """The session of the gateway; None if its id belongs to another group."""
        session = self._context.sessions.get(topic.gateway)
        if session is None:
            known = self._context.inventory.gateway(topic.gateway)
            group = known.group if known is not None else topic.group
        else:
            group = session.group
        if group != topic.group:
            reason = f"the gateway id {topic.gateway!r} belongs to group {group!r}"
            self._context.refuse(message, topic.gateway, reason)
            return None
        if session is None:
            session = NodeSession(topic.group, topic.gateway, DeviceSession(NODE_DEVICE))
            self._context.sessions[topic.gateway] = session
        return session

    def _take_device_birth(self, session: NodeSession, topic: Topic, message: MqttMessage) -> None:
        event, reason = HostSessionEvent.DEVICE_BIRTH, "a device was born before its gateway"
        if self._presence.handle(session, event, message.time_ms, reason):
            self._births.take_device(session, topic, message)

    def _take_node_death(self, session: NodeSession, message: MqttMessage) -> None:
        limit = self._context.limits.max_payload_bytes
        value = decode_certificate(message.payload, limit).value(names.BDSEQ)
        if not session.ends(int(value) if isinstance(value, (int, float)) else None):
            session.handle(HostSessionEvent.EARLIER_DEATH)
            return
        session.handle(HostSessionEvent.NODE_DEATH)
        session.awaited = frozenset()
        self._presence.end(session.group, session.gateway, message.time_ms)

    def _take_device_death(self, session: NodeSession, topic: Topic, message: MqttMessage) -> None:
        if (
            topic.device is None
            or session.handle(HostSessionEvent.DEVICE_DEATH) is not Handling.TAKE
        ):
            return
        payload = parse(message.payload, self._context.limits.max_payload_bytes)
        seq = payload.seq if payload.HasField("seq") else None
        self._presence.count_sequence(session, seq, message.time_ms)
        device = session.devices.get(topic.device)
        if device is not None:
            device.born = False
        self._presence.set_device(
            session.group, session.gateway, topic.device, online=False, now_ms=message.time_ms
        )
