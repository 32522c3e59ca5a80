"""Sparkplug messages taken in: births, deaths, data. No I/O; messages and the time come in."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson

from cloud_ingest.intake import births
from cloud_ingest.intake.births import Announced, Owner
from cloud_ingest.intake.configuration import IntakeConfiguration
from cloud_ingest.intake.decode import (
    MAX_TIME_MS,
    Birth,
    PayloadError,
    decode_birth,
    metric_value,
    parse,
    sample_of,
)
from cloud_ingest.intake.inbox import Message
from cloud_ingest.intake.quarantine import Quarantined
from cloud_ingest.intake.rebirth import RebirthLimiter
from cloud_ingest.intake.runs import AliasTable, Gathered, Waiting, split
from cloud_ingest.intake.series_limit import SeriesLimit
from cloud_ingest.intake.sessions import DeviceSession, Kind, NodeSession, Slot
from cloud_ingest.intake.work import (
    Event,
    Introduction,
    Rebirth,
    Receipt,
    Transition,
    Unnumbered,
    Work,
)
from cloud_ingest.registry import Registry, Station
from telemetry import names
from telemetry.series import NODE_DEVICE
from telemetry.topics import NAMESPACE, Topic, TopicError, parse_topic

AWAIT_DEVICES_MS = 5_000
"""How long after an NBIRTH a device that was online may take for its DBIRTH."""
KNOWN_TOPICS = 100_000


class Receiver:
    """Turns messages into work: samples, ledger entries, transitions, requests for rebirth."""

    def __init__(self, registry: Registry, limits: IntakeConfiguration) -> None:
        self._registry = registry
        self._limits = limits
        self._rebirths = RebirthLimiter(limits.rebirths_per_s)
        self._series_limit = SeriesLimit(
            limits.new_series_per_minute, limits.max_series_per_gateway
        )
        self._topics: dict[str, Topic] = {}
        self._suspects: dict[str, int] = {}
        self.sessions: dict[str, NodeSession] = {}
        self.heard: dict[tuple[str, str | None], int] = {}
        self.work = Work()
        self._aliases = AliasTable()
        self._gathered = Gathered()
        self.messages_total = 0
        self.samples_total = 0

    def take_work(self) -> Work:
        """What was gathered since the last call."""
        self._read_gathered()
        work, self.work = self.work, Work()
        for (gateway, device), time_ms in self.heard.items():
            self._registry.seen(gateway, device, time_ms)
        self.heard.clear()
        return work

    @property
    def pending(self) -> int:
        """How many samples have been gathered."""
        return len(self.work.columns) + self._gathered.samples

    def acknowledging(self) -> frozenset[str]:
        """Gateways that keep their samples until they are acknowledged."""
        return frozenset(g for g, s in self.sessions.items() if s.acknowledges)

    # --- messages

    def take(self, message: Message) -> None:
        """Take one message in. What cannot be read goes to the quarantine; nothing is raised."""
        self.messages_total += 1
        topic = self._topics.get(message.topic)
        try:
            if topic is None:
                topic = self._read_topic(message.topic)
                if topic is None:
                    return
            self._dispatch(topic, message)
        except TopicError as error:
            self._refuse(message, None, f"unknown topic: {_without_name(error)}")
        except PayloadError as error:
            self._refuse(message, topic.gateway if topic else None, str(error))

    def _read_topic(self, text: str) -> Topic | None:
        if text.startswith(f"{NAMESPACE}/STATE/"):
            return None
        topic = parse_topic(text)
        if len(self._topics) >= KNOWN_TOPICS:
            self._topics.clear()
        self._topics[text] = topic
        return topic

    def _dispatch(self, topic: Topic, message: Message) -> None:
        if topic.type == "DDATA" and self._let_wait(topic, message):
            return
        if topic.type in ("NBIRTH", "DBIRTH"):
            self._read_gathered()  # a birth may give aliases another meaning
        match topic.type:
            case "DDATA" | "NDATA":
                self._take_data(topic, message)
            case "NBIRTH":
                self._take_node_birth(topic, message)
            case "DBIRTH":
                self._take_device_birth(topic, message)
            case "NDEATH":
                self._take_node_death(topic, message)
            case "DDEATH":
                self._take_device_death(topic, message)
            case "NCMD" | "DCMD":
                return  # commands, our own among them

    def _refuse(self, message: Message, gateway: str | None, reason: str) -> None:
        self.work.quarantined.append(
            Quarantined(message.time_ms, message.topic, gateway, reason, message.payload)
        )

    def _session(self, topic: Topic, message: Message) -> NodeSession | None:
        """The session of the gateway; None where its id belongs to another group."""
        session = self.sessions.get(topic.gateway)
        if session is None:
            known = self._registry.gateway(topic.gateway)
            if known is not None and known.group != topic.group:
                self._refuse(message, topic.gateway, _taken(topic.gateway, known.group))
                return None
            session = NodeSession(topic.group, topic.gateway, DeviceSession(NODE_DEVICE))
            self.sessions[topic.gateway] = session
        elif session.group != topic.group:
            self._refuse(message, topic.gateway, _taken(topic.gateway, session.group))
            return None
        return session

    # --- births

    def _take_node_birth(self, topic: Topic, message: Message) -> None:
        session = self._session(topic, message)
        if session is None:
            return
        birth = decode_birth(message.payload, self._limits.max_payload_bytes)
        now_ms = message.time_ms
        bdseq = birth.value(names.BDSEQ)
        session.bdseq = int(bdseq) % 256 if isinstance(bdseq, (int, float)) else None
        session.born = True
        session.sequence.restart(birth.seq)
        session.acknowledges = birth.has(names.ACK_THROUGH) and birth.has(names.STORE_NEXT)
        self._suspects.pop(topic.gateway, None)
        station = self._note_station(topic, birth)
        announced = births.read_announced(
            birth, Owner(topic.group, topic.gateway, station, NODE_DEVICE)
        )
        self._note_gateway(session, station, announced, now_ms)
        self._announce(session, session.node, announced, message)
        session.awaited = {d.name for d in session.devices.values() if d.born}
        session.awaited_until_ms = now_ms + AWAIT_DEVICES_MS
        for device in session.devices.values():
            device.born = False
        self._go_online(session, now_ms)
        self._introduce(session, birth)
        self.heard[topic.gateway, None] = now_ms

    def _introduce(self, session: NodeSession, birth: Birth) -> None:
        oldest, upcoming = birth.value(names.STORE_OLDEST), birth.value(names.STORE_NEXT)
        if not session.acknowledges or not isinstance(upcoming, int):
            return
        oldest = oldest if isinstance(oldest, int) else upcoming
        self.work.entries.append(Introduction(session.gateway, oldest, upcoming))

    def _note_station(self, topic: Topic, birth: Birth) -> str:
        value = birth.value(names.STATION_ID)
        # A foreign gateway says nothing of a station: it is one by itself.
        station = value if isinstance(value, str) and value else topic.gateway
        name = birth.value(names.STATION_NAME)
        latitude, longitude = birth.value(names.LATITUDE), birth.value(names.LONGITUDE)
        self._registry.put_station(
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
        self, session: NodeSession, station: str, announced: list[Announced], now_ms: int
    ) -> None:
        self._registry.update_gateway(
            session.gateway,
            group=session.group,
            station=station,
            acknowledges=session.acknowledges,
            born_ms=now_ms,
            last_seen_ms=now_ms,
            bdseq=session.bdseq,
            properties=births.described(announced),
        )
        for a in announced:
            if a.metric.name != names.STORE_OLDEST and names.is_reserved(a.metric.name):
                self._note_node(session, a.metric.name, a.metric.value)

    def _take_device_birth(self, topic: Topic, message: Message) -> None:
        session = self._session(topic, message)
        if session is None or topic.device is None:
            return
        if not session.born:
            self._ask_rebirth(session, message.time_ms, "a device was born before its gateway")
            return
        birth = decode_birth(message.payload, self._limits.max_payload_bytes)
        now_ms = message.time_ms
        self._count_sequence(session, birth.seq, now_ms)
        session.awaited.discard(topic.device)
        device = session.devices.setdefault(topic.device, DeviceSession(topic.device))
        profile, bus = (
            value if isinstance(value := birth.value(name), str) else ""
            for name in (names.PROFILE, names.BUS)
        )
        gateway = self._registry.gateway(topic.gateway)
        station = gateway.station if gateway else topic.gateway
        tags = (f"bus:{bus}",) if bus else ()
        owner = Owner(topic.group, topic.gateway, station, topic.device, profile, tags)
        announced = births.read_announced(birth, owner)
        self._registry.update_device(
            topic.gateway,
            topic.device,
            profile=profile,
            last_seen_ms=now_ms,
            properties=births.described(announced),
        )
        self._announce(session, device, announced, message)
        online = not birth.value(names.HISTORY_ONLY)
        self._set_device(session, topic.device, online, now_ms)
        self.heard[topic.gateway, topic.device] = now_ms

    def _announce(
        self,
        session: NodeSession,
        device: DeviceSession,
        announced: list[Announced],
        message: Message,
    ) -> None:
        refused = 0
        for a in announced:
            if a.series is not None:
                known = self._registry.series_of(a.series.key) is not None
                if not known and not self._series_limit.allow(session.gateway, message.time_ms):
                    a.slot.kind = Kind.REFUSED
                    a.slot.reason = "too many new series"
                    refused += 1
                    continue
                a.slot.series = self._registry.admit(a.series).index
        device.announce([(a.metric.alias, a.slot) for a in announced])
        self._aliases.place(device)
        if refused:
            self._announce_limit(session, device, refused, message.time_ms)
        if not session.acknowledges:
            self._store_born_values(session, announced, message.time_ms)

    def _announce_limit(
        self, session: NodeSession, device: DeviceSession, refused: int, now_ms: int
    ) -> None:
        text = f"{refused} new series of {session.gateway}/{device.name} are over the limit"
        self.work.events.append(
            Event(now_ms, "series_limit", session.group, session.gateway, device.name, text,
                  {"refused": refused})
        )  # fmt: skip

    def _store_born_values(
        self, session: NodeSession, announced: Iterable[Announced], now_ms: int
    ) -> None:
        count = 0
        for a in announced:
            value = a.metric.value
            if a.slot.kind is Kind.SERIES and isinstance(value, (int, float)):
                flag = births.flag(a.metric)
                number, flag = births.finite(float(value), flag)
                self.work.columns.add(
                    a.slot.series,
                    a.metric.time_ms if a.metric.time_ms is not None else now_ms,
                    number * a.slot.factor + a.slot.offset,
                    flag,
                )
                count += 1
        if count:
            self.samples_total += count
            self.work.entries.append(Unnumbered(session.gateway, count))

    # --- deaths

    def _take_node_death(self, topic: Topic, message: Message) -> None:
        session = self._session(topic, message)
        if session is None:
            return
        value = decode_birth(message.payload, self._limits.max_payload_bytes).value(names.BDSEQ)
        if not session.ends(int(value) if isinstance(value, (int, float)) else None):
            return  # the will of a session before this one
        session.born = False
        session.awaited.clear()
        for name in list(session.devices):
            self._set_device(session, name, False, message.time_ms)
        self._set_gateway(session, False, message.time_ms)

    def _take_device_death(self, topic: Topic, message: Message) -> None:
        session = self._session(topic, message)
        if session is None or topic.device is None or not session.born:
            return
        payload = parse(message.payload, self._limits.max_payload_bytes)
        self._count_sequence(
            session, payload.seq if payload.HasField("seq") else None, message.time_ms
        )
        device = session.devices.get(topic.device)
        if device is not None:
            device.born = False
        self._set_device(session, topic.device, False, message.time_ms)

    # --- data

    def _let_wait(self, topic: Topic, message: Message) -> bool:
        """Keep a message in its usual form to read it with others; False for any other message."""
        session = self.sessions.get(topic.gateway)
        if session is None or not session.born or session.group != topic.group:
            return False
        device = session.devices.get(topic.device or "")
        if device is None or not device.plain:
            return False
        if len(message.payload) > self._limits.max_payload_bytes:
            return False
        report = split(message.payload)
        if report is None or (report.unmarked and session.acknowledges):
            return False
        for mark in report.marks:
            slot = device.by_alias.get(mark.alias)
            if slot is None or slot.kind is not Kind.BATCH:
                return False
        self._gathered.add(Waiting(message, session, device, report))
        return True

    def _read_gathered(self) -> None:
        if not self._gathered.waiting:
            return
        batch, read, strange = self._gathered.read(self._aliases)
        self.work.columns.extend(batch)
        self.samples_total += len(batch)
        entries, heard = self.work.entries, self.heard
        for w in read:
            gateway, report, now_ms = w.session.gateway, w.report, w.message.time_ms
            self._count_sequence(w.session, report.seq, now_ms)
            heard[gateway, w.device.name] = now_ms
            entries.extend([Receipt(gateway, m.batch, m.samples) for m in report.marks])
            if report.unmarked:
                entries.append(Unnumbered(gateway, report.unmarked))
        for w in strange:
            self._take_data(self._topics[w.message.topic], w.message)

    def _take_data(self, topic: Topic, message: Message) -> None:
        session = self._session(topic, message)
        if session is None:
            return
        payload = parse(message.payload, self._limits.max_payload_bytes)
        now_ms = message.time_ms
        device = session.device(topic.device)
        if not session.born or device is None or not (device.born or device.by_name):
            self._ask_rebirth(session, now_ms, "data came before the birth")
            return
        self._count_sequence(session, payload.seq if payload.HasField("seq") else None, now_ms)
        self.heard[topic.gateway, topic.device] = now_ms
        sent_ms = payload.timestamp if payload.HasField("timestamp") else now_ms
        before = len(self.work.columns)
        counted, complete = before, True
        refused: dict[str, list[dict[str, Any]]] = {}
        for m in payload.metrics:
            slot = (
                device.by_name.get(m.name) if m.HasField("name") else device.by_alias.get(m.alias)
            )
            if slot is None and names.is_reserved(m.name):
                slot = Slot(Kind.PROPERTY, m.name, m.datatype)
            if slot is None:
                complete = False
            elif slot.kind is Kind.SERIES:
                self._add_sample(m, slot, sent_ms)
            elif slot.kind is Kind.BATCH:
                if not m.is_null and complete:
                    count = len(self.work.columns) - counted
                    self.work.entries.append(Receipt(topic.gateway, m.long_value, count))
                counted, complete = len(self.work.columns), True
            elif slot.kind is Kind.PROPERTY:
                value = metric_value(m, slot.datatype)
                if topic.device is None and names.is_reserved(slot.name):
                    self._note_node(session, slot.name, value)
                else:
                    self._registry.describe(topic.gateway, topic.device, slot.name, value)
            elif slot.reason == "too many new series" and session.acknowledges:
                complete = False
            else:
                refused.setdefault(slot.reason, []).append(self._describe(topic, slot, m, sent_ms))
        self._finish_data(session, message, counted, before, complete=complete)
        for reason, samples in refused.items():
            self._refuse_samples(message, topic.gateway, reason, samples)

    def _add_sample(self, m: Any, slot: Slot, sent_ms: int) -> None:
        sample = sample_of(m, slot.datatype)
        if sample is None:
            return
        time_ms = min(m.timestamp, MAX_TIME_MS) if m.HasField("timestamp") else sent_ms
        self.work.columns.add(
            slot.series, time_ms, sample[0] * slot.factor + slot.offset, sample[1]
        )

    def _finish_data(
        self, session: NodeSession, message: Message, counted: int, before: int, *, complete: bool
    ) -> None:
        rest = len(self.work.columns) - counted
        self.samples_total += len(self.work.columns) - before
        if rest and not session.acknowledges:
            self.work.entries.append(Unnumbered(session.gateway, rest))
        if not complete:
            self._ask_rebirth(session, message.time_ms, "data of a metric without a birth")

    def _describe(self, topic: Topic, slot: Slot, m: Any, sent_ms: int) -> dict[str, Any]:
        sample = sample_of(m, slot.datatype)
        return {
            "series": f"{topic.gateway}/{topic.device or NODE_DEVICE}/{slot.name}",
            "time_ms": min(m.timestamp, MAX_TIME_MS) if m.HasField("timestamp") else sent_ms,
            "value": sample[0] if sample else None,
            "quality": sample[1] if sample else None,
        }

    def _refuse_samples(
        self, message: Message, gateway: str, reason: str, samples: list[dict[str, Any]]
    ) -> None:
        self.work.quarantined.append(
            Quarantined(
                message.time_ms, message.topic, gateway, reason, orjson.dumps(samples), "samples",
                len(samples),
            )
        )  # fmt: skip

    def _note_node(self, session: NodeSession, name: str, value: Any) -> None:
        field = _GATEWAY_FIELDS.get(name)
        if field is not None:
            number = int(value) if isinstance(value, (int, float)) else None
            self._registry.update_gateway(session.gateway, **{field: number})
        elif name == names.STORE_OLDEST and isinstance(value, int):
            self.work.entries.append(Introduction(session.gateway, value, None))
        elif name.startswith(names.DIAGNOSTICS) and isinstance(value, (int, float)):
            device, _, counter = name.removeprefix(names.DIAGNOSTICS).rpartition("/")
            self._registry.count_diagnostic(session.gateway, device, counter, int(value))

    # --- sequence and silence

    def _count_sequence(self, session: NodeSession, seq: int | None, now_ms: int) -> None:
        timeout_ms = int(self._limits.reorder_timeout_s * 1000)
        if session.sequence.take(seq, now_ms, timeout_ms):
            gateway = self._registry.gateway(session.gateway)
            if gateway is not None:
                self._registry.update_gateway(
                    session.gateway, sequence_gaps=gateway.sequence_gaps + 1
                )

    def _ask_rebirth(self, session: NodeSession, now_ms: int, reason: str) -> None:
        if not self._rebirths.allow(session.gateway, now_ms):
            return
        self.work.rebirths.append(Rebirth(session.group, session.gateway))
        gateway = self._registry.gateway(session.gateway)
        if gateway is not None:
            self._registry.update_gateway(
                session.gateway, rebirths_asked=gateway.rebirths_asked + 1
            )
        self.work.events.append(
            Event(now_ms, "rebirth", session.group, session.gateway, None, f"asked: {reason}")
        )

    def forgive(self, gateways: Iterable[str]) -> None:
        """Messages of these gateways were left out on purpose."""
        for name in gateways:
            session = self.sessions.get(name)
            if session is not None:
                session.sequence.forgive()

    def suspect_all(self, now_ms: int, grace_ms: int = 60_000) -> None:
        """The host was away: what it believes of each gateway may be out of date.

        Those that stay silent are asked to introduce themselves, and are offline after ``grace_ms``.
        """
        for session in self.sessions.values():
            session.sequence.forgive()
        for gateway in self._registry.gateways():
            if gateway.online:
                self._suspects[gateway.id] = now_ms + grace_ms

    def tick(self, now_ms: int) -> None:
        """Do what is due: reorder time-outs, devices that were not born again, silent suspects."""
        for session in self.sessions.values():
            if session.sequence.lapsed(now_ms):
                self._ask_rebirth(session, now_ms, "messages were lost on the way")
            if session.awaited and now_ms >= (session.awaited_until_ms or 0):
                for name in session.awaited:
                    self._set_device(session, name, False, now_ms)
                session.awaited = set()
        for name, deadline_ms in list(self._suspects.items()):
            self._question(name, deadline_ms, now_ms)

    def _question(self, name: str, deadline_ms: int, now_ms: int) -> None:
        gateway = self._registry.gateway(name)
        if gateway is None or (gateway.last_seen_ms or 0) > deadline_ms - 60_000:
            del self._suspects[name]
            return
        session = self.sessions.get(name)
        if session is None:
            session = NodeSession(gateway.group, name, DeviceSession(NODE_DEVICE))
            self.sessions[name] = session
        if now_ms < deadline_ms:
            if now_ms > deadline_ms - 55_000:
                self._ask_rebirth(session, now_ms, "nothing heard since the host came back")
            return
        del self._suspects[name]
        session.born = False
        for device in self._registry.devices():
            if device.gateway == name:
                self._set_device(session, device.name, False, now_ms)
        self._set_gateway(session, False, now_ms)

    # --- states

    def _go_online(self, session: NodeSession, now_ms: int) -> None:
        self._set_gateway(session, True, now_ms)

    def _set_gateway(self, session: NodeSession, online: bool, now_ms: int) -> None:
        gateway = self._registry.gateway(session.gateway)
        if gateway is None or gateway.online == online:
            return
        self._registry.update_gateway(session.gateway, online=online, since_ms=now_ms)
        self._tell(session, None, online, now_ms)

    def _set_device(self, session: NodeSession, name: str, online: bool, now_ms: int) -> None:
        device = self._registry.device(session.gateway, name)
        if device is None or device.online == online:
            return
        self._registry.update_device(session.gateway, name, online=online, since_ms=now_ms)
        self._tell(session, name, online, now_ms)

    def _tell(self, session: NodeSession, device: str | None, online: bool, now_ms: int) -> None:
        self.work.transitions.append(
            Transition(session.group, session.gateway, device, online, now_ms)
        )
        state = "online" if online else "offline"
        who = session.gateway if device is None else f"{session.gateway}/{device}"
        kind = state if device is None else f"device_{state}"
        event = Event(now_ms, "online", session.group, session.gateway, device, f"{who} is {state}")
        self.work.events.append(replace(event, kind=kind))  # type: ignore[arg-type]  # one of four


_GATEWAY_FIELDS = {
    names.STORE_BACKLOG: "backlog",
    names.STORE_OLDEST_TIME: "backlog_oldest_ms",
    names.STORE_MEASURED: "samples_measured",
    names.STORE_GIVEN_UP: "samples_given_up",
    names.STORE_NEXT: "next_batch",
}


def _taken(gateway: str, group: str) -> str:
    return f"the gateway id {gateway!r} belongs to group {group!r}"


def _without_name(error: TopicError) -> str:
    return str(error).split(": ", 1)[-1]
