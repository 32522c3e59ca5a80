"""What a Sparkplug host application must do on the wire. Rule names as in docs/sparkplug.md."""

import json
from collections.abc import Sequence

from telemetry.sparkplug import DataType, PayloadError, decode
from telemetry.sparkplug.topics import NAMESPACE, TopicError, parse_topic
from tests.conformance.edge_rules import CLOCK_MS, Report
from tests.conformance.spy import Packet


def check_host(packets: Sequence[Packet], host: str) -> Report:
    """Check everything that a host application sent."""
    report = Report()
    state = f"{NAMESPACE}/STATE/{host}"
    for connection in sorted({p.connection for p in packets}):
        sent = [p for p in packets if p.connection == connection]
        _check_session(sent, state, report)
    return report


def _check_session(packets: Sequence[Packet], state: str, report: Report) -> None:
    connect = next((p for p in packets if p.kind == "CONNECT"), None)
    if connect is None:
        return
    report.rule("H2", connect.clean and connect.expiry_s == 0, "no clean session")
    report.rule("H3", connect.has_will and connect.topic == state, f"will on {connect.topic!r}")
    report.rule("H3", connect.qos == 1 and connect.retain, "will not QoS 1 and retained")
    will = _state(connect.payload)
    near = will is not None and abs(will[1] - connect.time_ms) < CLOCK_MS
    report.rule(
        "H4", will is not None and will[0] is False and near, f"will says {connect.payload!r}"
    )
    published = [p for p in packets if p.up and p.kind == "PUBLISH"]
    if published:
        before = packets[: packets.index(published[0])]
        filters = {f: q for p in before if p.kind == "SUBSCRIBE" for f, q in p.filters}
        covers = filters.get(f"{NAMESPACE}/#") == 1 or filters.get(state) == 1
        report.rule("H5", covers, f"subscribed before the first message: {filters}")
        first = published[0]
        ok = first.topic == state and first.qos == 1 and first.retain
        report.rule("H6", ok, f"first message to {first.topic!r}")
        birth = _state(first.payload)
        ok = birth is not None and birth[0] is True and will is not None and birth[1] == will[1]
        report.rule("H7", ok, f"birth {first.payload!r}, will {connect.payload!r}")
        report.rule("H1", ok)
    for packet in published[1:]:
        _check_message(packet, state, report)
    ending = next((p for p in packets if p.up and p.kind == "DISCONNECT"), None)
    if ending is not None and published:
        last = _state(published[-1].payload) if published[-1].topic == state else None
        ok = (
            last is not None
            and last[0] is False
            and published[-1].qos == 1
            and published[-1].retain
        )
        near = last is not None and abs(last[1] - ending.time_ms) < CLOCK_MS
        report.rule("H9", ok and near, "left without saying that it is offline")


def _check_message(packet: Packet, state: str, report: Report) -> None:
    if packet.topic == state:
        report.rule("H1", _state(packet.payload) is not None, f"state {packet.payload!r}")
        return
    try:
        topic = parse_topic(packet.topic)
        command = decode(packet.payload)
    except (TopicError, PayloadError) as error:
        report.rule("H15", ok=False, why=str(error))
        return
    report.rule("H15", topic.type in ("NCMD", "DCMD"), f"a host sends no {topic.type}")
    report.rule("H15", packet.qos == 0 and not packet.retain, f"{topic.type} QoS {packet.qos}")
    report.rule("H15", command.timestamp_ms, f"{topic.type} without timestamp")
    report.rule("H15", command.seq is None, f"{topic.type} with seq")
    report.rule("H15", command.metrics, f"{topic.type} without metrics")
    for metric in command.metrics:
        report.rule("H16", metric.name or metric.alias, "a command to nobody")
        if metric.name == "Node Control/Rebirth":
            ok = topic.type == "NCMD" and metric.value is True
            ok = ok and metric.datatype in (None, DataType.BOOLEAN)
            report.rule("H17", ok, f"rebirth as {metric}")


def _state(payload: bytes) -> tuple[bool, int] | None:
    try:
        state = json.loads(payload)
        online, timestamp = state["online"], state["timestamp"]
    except (ValueError, KeyError, TypeError):
        return None
    if type(online) is not bool or type(timestamp) is not int or len(state) != 2:
        return None
    return online, timestamp
