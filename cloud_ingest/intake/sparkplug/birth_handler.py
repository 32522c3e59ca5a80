"""Handles births: NBIRTH and DBIRTH become stations, gateways, devices and series."""

from collections.abc import Iterable
from sys import intern

from cloud_ingest.intake.context import Context
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.sparkplug import birth_metrics
from cloud_ingest.intake.sparkplug.birth_metrics import BirthMetric, Owner
from cloud_ingest.intake.sparkplug.decoder import Birth, decode_certificate
from cloud_ingest.intake.sparkplug.presence import Presence
from cloud_ingest.intake.sparkplug.session_states import HostSessionEvent
from cloud_ingest.intake.sparkplug.sessions import DeviceSession, MetricRole, NodeSession
from cloud_ingest.intake.work import GatewayEvent, OutboxBounds, UnnumberedSamples
from cloud_ingest.inventory.model import Station
from telemetry.series import NODE_DEVICE
from telemetry.sparkplug import names
from telemetry.sparkplug.topics import Topic

AWAIT_DEVICES_MS = 5_000
"""A device that was online must send its DBIRTH within this time after the NBIRTH."""
_NONE: frozenset[str] = frozenset()


class BirthHandler:
    """Handles NBIRTH and DBIRTH."""

    def __init__(self, context: Context, presence: Presence) -> None:
        self._context = context
        self._presence = presence

    def take_node(self, session: NodeSession, topic: Topic, message: MqttMessage) -> None:
        """Handle an NBIRTH: a new session begins."""
        birth = decode_certificate(message.payload, self._context.limits.max_payload_bytes)
        now_ms = message.time_ms
        bdseq = birth.value(names.BDSEQ)
        session.bdseq = int(bdseq) % 256 if isinstance(bdseq, (int, float)) else None
        session.handle(HostSessionEvent.NODE_BIRTH)
        session.sequence.restart(birth.seq)
        session.acknowledges = birth.has(names.ACK_THROUGH) and birth.has(names.STORE_NEXT)
        self._note_acknowledges(session)
        self._presence.confirm(topic.gateway)
        station = self._note_station(topic, birth)
        announced = birth_metrics.read_birth_metrics(
            birth, Owner(topic.group, topic.gateway, station, NODE_DEVICE)
        )
        self._note_gateway(session, station, announced, now_ms)
        self._announce(session, session.node, announced, message)
        known = self._context.inventory.devices_of(topic.gateway)
        session.awaited = frozenset([d.name for d in known if d.online]) or _NONE
        session.awaited_until_ms = now_ms + AWAIT_DEVICES_MS
        for device in session.devices.values():
            device.born = False
        self._presence.set_gateway(session.group, session.gateway, online=True, now_ms=now_ms)
        self._note_outbox(session, birth)
        self._context.last_seen[topic.gateway, None] = now_ms

    def _note_acknowledges(self, session: NodeSession) -> None:
        self._context.aliases.note_acknowledges(session)
        if session.acknowledges:
            self._context.acknowledging.add(session.gateway)
        else:
            self._context.acknowledging.discard(session.gateway)

    def _note_outbox(self, session: NodeSession, birth: Birth) -> None:
        oldest, upcoming = birth.value(names.STORE_OLDEST), birth.value(names.STORE_NEXT)
        if not session.acknowledges or not isinstance(upcoming, int):
            return
        oldest = oldest if isinstance(oldest, int) else upcoming
        self._context.work.entries.append(OutboxBounds(session.gateway, oldest, upcoming))

    def _note_station(self, topic: Topic, birth: Birth) -> str:
        value = birth.value(names.STATION_ID)
        # A foreign gateway names no station: it is a station itself.
        station = value if isinstance(value, str) and value else topic.gateway
        name = birth.value(names.STATION_NAME)
        latitude, longitude = birth.value(names.LATITUDE), birth.value(names.LONGITUDE)
        self._context.inventory.put_station(
            Station(
                station,
                name if isinstance(name, str) and name else station,
                topic.group,
                float(latitude) if isinstance(latitude, (int, float)) else None,
                float(longitude) if isinstance(longitude, (int, float)) else None,
            )
        )
        return station

    def _note_gateway(
        self, session: NodeSession, station: str, announced: list[BirthMetric], now_ms: int
    ) -> None:
        self._context.inventory.update_gateway(
            session.gateway,
            group=session.group,
            station=station,
            acknowledges=session.acknowledges,
            born_ms=now_ms,
            last_seen_ms=now_ms,
            bdseq=session.bdseq,
            properties=birth_metrics.described(announced),
        )
        for a in announced:
            if a.metric.name != names.STORE_OLDEST and names.is_reserved(a.metric.name):
                self._context.note_node(session.gateway, a.metric.name, a.metric.value, now_ms)

    def take_device(self, session: NodeSession, topic: Topic, message: MqttMessage) -> None:
        """Handle a DBIRTH of a born session: replaces the metrics of the device."""
        assert topic.device is not None
        birth = decode_certificate(message.payload, self._context.limits.max_payload_bytes)
        now_ms = message.time_ms
        self._presence.count_sequence(session, birth.seq, now_ms)
        if topic.device in session.awaited:
            session.awaited -= {topic.device}
        device = session.devices.setdefault(topic.device, DeviceSession(topic.device))
        profile, bus = (
            value if isinstance(value := birth.value(name), str) else ""
            for name in (names.PROFILE, names.BUS)
        )
        gateway = self._context.inventory.gateway(topic.gateway)
        station = gateway.station if gateway else topic.gateway
        tags = (intern(f"bus:{bus}"),) if bus else ()
        owner = Owner(topic.group, topic.gateway, station, topic.device, intern(profile), tags)
        announced = birth_metrics.read_birth_metrics(birth, owner)
        self._context.inventory.update_device(
            topic.gateway,
            topic.device,
            profile=profile,
            last_seen_ms=now_ms,
            properties=birth_metrics.described(announced),
        )
        self._announce(session, device, announced, message)
        online = not birth.value(names.HISTORY_ONLY)
        self._presence.set_device(
            session.group, session.gateway, topic.device, online=online, now_ms=now_ms
        )
        self._context.last_seen[topic.gateway, topic.device] = now_ms

    def _announce(
        self,
        session: NodeSession,
        device: DeviceSession,
        announced: list[BirthMetric],
        message: MqttMessage,
    ) -> None:
        refused = 0
        for a in announced:
            if a.series is not None:
                known = self._context.inventory.series_of(a.series.key) is not None
                if not known and not self._context.series_limiter.allow(
                    session.gateway, message.time_ms
                ):
                    a.target.role = MetricRole.REFUSED
                    a.target.reason = "too many new series"
                    refused += 1
                    continue
                a.target.series = self._context.inventory.admit(a.series).index
        device.announce([a.target for a in announced])
        self._context.aliases.enter(session, device)
        if refused:
            self._note_limit(session, device, refused, message.time_ms)
        if not session.acknowledges:
            self._store_born_values(session, announced, message.time_ms)

    def _note_limit(
        self, session: NodeSession, device: DeviceSession, refused: int, now_ms: int
    ) -> None:
        text = f"{refused} new series of {session.gateway}/{device.name} are over the limit"
        self._context.work.events.append(
            GatewayEvent(now_ms, "series_limit", session.group, session.gateway, device.name, text,
                  {"refused": refused})
        )  # fmt: skip

    def _store_born_values(
        self, session: NodeSession, announced: Iterable[BirthMetric], now_ms: int
    ) -> None:
        count = 0
        for a in announced:
            value = a.metric.value
            if a.target.role is MetricRole.SERIES and isinstance(value, (int, float)):
                flag = birth_metrics.flag(a.metric)
                number, flag = birth_metrics.finite(float(value), flag)
                self._context.work.samples.add(
                    a.target.series,
                    a.metric.time_ms if a.metric.time_ms is not None else now_ms,
                    number * a.target.factor + a.target.offset,
                    flag,
                )
                count += 1
        if count:
            self._context.work.entries.append(
                UnnumberedSamples(session.gateway, count, now_ms, now_ms)
            )
