"""What a Sparkplug edge node must do on the wire. Rule names are the rows of docs/sparkplug.md."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from telemetry.sparkplug import DataType, Metric, Payload, PayloadError, decode
from telemetry.sparkplug.topics import NAMESPACE, Topic, TopicError, parse_topic
from tests.conformance.spy import Packet

CLOCK_MS = 60_000
_PROPERTY_TYPES = {*range(1, 16), 20, 21}


@dataclass(slots=True)
class Report:
    """``held``: how often each rule was seen to hold; ``broken``: how it was broken."""

    held: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[str, str]] = field(default_factory=list)

    def rule(self, name: str, ok: object, why: str = "") -> None:
        """Note that a rule held, or was broken and why."""
        if ok:
            self.held[name] += 1
        else:
            self.broken.append((name, why))

    @property
    def broken_rules(self) -> set[str]:
        """Names of the rules that were broken."""
        return {name for name, _ in self.broken}


@dataclass(slots=True)
class _Session:
    bdseq: int | None = None
    connected: bool = False
    published: int = 0
    born: bool = False
    seq: int = -1
    filters: dict[str, int] = field(default_factory=dict)
    names: dict[str, set[str]] = field(default_factory=dict)
    aliases: dict[int, tuple[str, str]] = field(default_factory=dict)
    dead: bool = False
    rebirth_asked: bool = False
    host_online: bool = False
    last_ms: dict[tuple[str, object], int] = field(default_factory=dict)


def check_edge(packets: Sequence[Packet], *, host: str | None = None) -> Report:
    """Check everything that one edge node sent; ``host``: the host application it waits for."""
    report = Report()
    sessions: dict[int, _Session] = {}
    last_bdseq: int | None = None
    for packet in packets:
        session = sessions.setdefault(packet.connection, _Session())
        if not packet.up:
            _received(packet, session, host)
            continue
        if packet.kind == "CONNECT":
            bdseq = _connect(packet, session, report)
            if last_bdseq is not None and bdseq is not None:
                report.rule("E11", bdseq == (last_bdseq + 1) % 256, f"{last_bdseq} then {bdseq}")
            last_bdseq = bdseq if bdseq is not None else last_bdseq
        elif packet.kind == "SUBSCRIBE":
            session.filters.update(packet.filters)
        elif packet.kind == "PUBLISH":
            _published(packet, session, report, host)
        elif packet.kind == "DISCONNECT" and session.born:
            by_will = packet.reason == 4
            report.rule("E40", session.dead or by_will, "DISCONNECT without NDEATH")
    return report


def _received(packet: Packet, session: _Session, host: str | None) -> None:
    if packet.kind == "CONNACK":
        session.connected = True
    elif packet.kind == "PUBLISH" and host and packet.topic == f"{NAMESPACE}/STATE/{host}":
        session.host_online = b"true" in packet.payload
    elif packet.kind == "PUBLISH" and "/NCMD/" in packet.topic:
        command = decode(packet.payload)
        if any(m.name == "Node Control/Rebirth" and m.value is True for m in command.metrics):
            session.rebirth_asked = True


def _connect(packet: Packet, session: _Session, report: Report) -> int | None:
    report.rule("E7", packet.clean and packet.expiry_s == 0, "no clean session")
    report.rule("E10", packet.has_will, "CONNECT without will")
    if not packet.has_will:
        return None
    report.rule("E10", packet.qos == 1, f"will QoS {packet.qos}")
    report.rule("E10", not packet.retain, "will retained")
    report.rule("E10", "/NDEATH/" in packet.topic, f"will topic {packet.topic}")
    try:
        will = decode(packet.payload)
    except PayloadError as error:
        report.rule("E10", ok=False, why=str(error))
        return None
    bdseq = will.metric("bdSeq")
    report.rule(
        "E11", bdseq is not None and bdseq.datatype is DataType.INT64, "will bdSeq no Int64"
    )
    report.rule("E12", len(will.metrics) == 1 and will.seq is None, "will holds more than bdSeq")
    session.bdseq = bdseq.value if bdseq is not None else None
    return session.bdseq


def _published(packet: Packet, session: _Session, report: Report, host: str | None) -> None:
    try:
        topic = parse_topic(packet.topic)
    except TopicError as error:
        report.rule("E1", ok=False, why=str(error))
        return
    report.rule("E1", ok=True)
    report.rule("E5", ok=True)
    report.rule("E9", session.connected, "published before CONNACK")
    report.rule(
        "E8", session.published or topic.type in ("NBIRTH", "NDEATH"), f"{topic.type} first"
    )
    session.published += 1
    try:
        payload = decode(packet.payload)
    except PayloadError as error:
        report.rule("P0", ok=False, why=str(error))
        return
    if topic.type == "NDEATH":
        _ndeath(packet, payload, session, report)
        return
    report.rule("E19" if topic.type == "NBIRTH" else "E29" if topic.type == "DBIRTH" else "E34",
                packet.qos == 0 and not packet.retain, f"{topic.type} QoS {packet.qos}")  # fmt: skip
    stamp = {"NBIRTH": "E21", "DBIRTH": "E30"}.get(topic.type, "E35")
    near = (
        payload.timestamp_ms is not None and abs(payload.timestamp_ms - packet.time_ms) < CLOCK_MS
    )
    report.rule(stamp, near, f"{topic.type} timestamp {payload.timestamp_ms}")
    _sequence(topic, payload, session, report)
    if topic.type == "NBIRTH":
        _nbirth(topic, payload, session, report, host)
    elif topic.type == "DBIRTH":
        report.rule("E27", ok=True)
        report.rule("E28", session.born, "DBIRTH before NBIRTH")
        _birth_metrics(topic.device or "", payload, session, report)
    elif topic.type == "DDEATH":
        report.rule("E33", topic.device in session.names, "DDEATH of a device that was not born")
        session.names.pop(topic.device or "", None)
        gone = [a for a, (device, _) in session.aliases.items() if device == topic.device]
        for alias in gone:
            del session.aliases[alias]
    elif topic.type in ("NDATA", "DDATA"):
        _data(topic, payload, session, report)
    else:
        report.rule("E33", ok=False, why=f"an edge node sends no {topic.type}")


def _sequence(topic: Topic, payload: Payload, session: _Session, report: Report) -> None:
    report.rule("E32", payload.seq is not None, f"{topic.type} without seq")
    if topic.type == "NBIRTH":
        report.rule("E20", payload.seq == 0, f"NBIRTH seq {payload.seq}")
    elif payload.seq is not None:
        expected = (session.seq + 1) % 256
        report.rule(
            "E32", payload.seq == expected, f"{topic.type} seq {payload.seq}, not {expected}"
        )
    session.seq = payload.seq if payload.seq is not None else session.seq


def _ndeath(packet: Packet, payload: Payload, session: _Session, report: Report) -> None:
    bdseq = payload.metric("bdSeq")
    report.rule("E12", len(payload.metrics) == 1 and payload.seq is None, "NDEATH more than bdSeq")
    same = bdseq is not None and bdseq.value == session.bdseq
    report.rule("E40", same, f"NDEATH bdSeq {bdseq and bdseq.value}, session {session.bdseq}")
    report.rule("E40", packet.qos == 1 and not packet.retain, f"NDEATH QoS {packet.qos}")
    session.dead = True


def _nbirth(
    topic: Topic, payload: Payload, session: _Session, report: Report, host: str | None
) -> None:
    ncmd = f"{NAMESPACE}/{topic.group}/NCMD/{topic.gateway}"
    dcmd = f"{NAMESPACE}/{topic.group}/DCMD/{topic.gateway}/+"
    report.rule("E13", session.filters.get(ncmd) == 1, "NCMD not subscribed with QoS 1")
    if dcmd in session.filters:
        report.rule("E14", session.filters[dcmd] == 1, "DCMD subscribed without QoS 1")
    if host:
        report.rule("E15", session.host_online, "NBIRTH although the host is not online")
        state = f"{NAMESPACE}/STATE/{host}"
        report.rule("E17", session.filters.get(state) == 1, "STATE not subscribed with QoS 1")
    report.rule("E18", ok=True)
    bdseq = payload.metric("bdSeq")
    ok = bdseq is not None and bdseq.datatype is DataType.INT64 and bdseq.value == session.bdseq
    report.rule("E24", ok, f"NBIRTH bdSeq {bdseq}, will {session.bdseq}")
    rebirth = payload.metric("Node Control/Rebirth")
    ok = (
        rebirth is not None and rebirth.datatype is DataType.BOOLEAN
        and rebirth.value is False and rebirth.alias is None
    )  # fmt: skip
    report.rule("E25", ok, "no Node Control/Rebirth")
    if session.rebirth_asked and session.born:
        report.rule("E26", ok=True)
        session.rebirth_asked = False
    session.born = True
    session.names.clear()
    session.aliases.clear()
    _birth_metrics("", payload, session, report)


def _birth_metrics(device: str, payload: Payload, session: _Session, report: Report) -> None:
    gone = [a for a, (owner, _) in session.aliases.items() if owner == device]
    for alias in gone:
        del session.aliases[alias]
    names = session.names[device] = set()
    value_rule = "E31" if device else "E23"
    for metric in payload.metrics:
        report.rule("P1", metric.name, "a metric of a birth without name")
        name = metric.name or ""
        report.rule("E6", name.lower() not in {n.lower() for n in names}, f"{name!r} twice")
        names.add(name)
        if metric.alias is not None:
            known = session.aliases.get(metric.alias)
            report.rule("P2", known is None, f"alias {metric.alias} is {known} and {name!r}")
            report.rule("P3", metric.name, "an alias without name in a birth")
            session.aliases[metric.alias] = (device, name)
        report.rule("P5", metric.timestamp_ms, f"{name!r} without timestamp in a birth")
        report.rule("P6", metric.datatype, f"{name!r} without type in a birth")
        has = metric.value is not None
        report.rule(value_rule, has != metric.is_null, f"{name!r} has neither value nor null")
        _properties(metric, report, birth=True)


def _data(topic: Topic, payload: Payload, session: _Session, report: Report) -> None:
    device = topic.device or ""
    report.rule("E37", session.born, f"{topic.type} before NBIRTH")
    report.rule("E33", device in session.names, f"data of {device!r}, which was not born")
    report.rule("E36", payload.metrics, "data without metrics")
    names = session.names.get(device, set())
    last_ms = 0
    for metric in payload.metrics:
        if metric.alias is None:
            known = metric.name in names
            aliased = (device, metric.name) in session.aliases.values()
            report.rule("P4", not aliased, f"{metric.name!r} has an alias and comes by name")
        else:
            report.rule("P4", metric.name is None, f"{metric.name!r} with name and alias")
            known = session.aliases.get(metric.alias, ("", ""))[0] == device and (
                metric.alias in session.aliases
            )
        rule = "E31" if device else "E22"
        report.rule(rule, known, f"{metric.name or metric.alias} was in no birth of {device!r}")
        report.rule("P5", metric.timestamp_ms, "a metric of data without timestamp")
        report.rule("P6", metric.datatype is None, "a metric of data with its type")
        _properties(metric, report, birth=False)
        if not metric.is_historical and metric.timestamp_ms:
            report.rule("E38", metric.timestamp_ms >= last_ms, "values out of the order of time")
            last_ms = metric.timestamp_ms


def _properties(metric: Metric, report: Report, *, birth: bool) -> None:
    for name, value in metric.properties.items():
        report.rule("P7", ok=True)
        if birth:
            report.rule("P8", value.datatype in _PROPERTY_TYPES, f"property {name!r} without type")
        if name == "Quality":
            ok = value.datatype is DataType.INT32 and value.value in (0, 192, 500)
            report.rule("P9", ok, f"Quality {value}")
