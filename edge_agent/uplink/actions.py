"""The actions that a session returns, and the time that it is given."""

from dataclasses import dataclass

from telemetry.sparkplug import DataType, Metric, Payload, encode, names
from telemetry.sparkplug.topics import Topic


@dataclass(frozen=True, slots=True)
class Moment:
    """The present time by the monotonic clock and in UTC."""

    monotonic_s: float
    wall_ms: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Subscribe to these topics with QoS 1. The receipt is the event ``subscribed``."""

    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish, never retained."""

    topic: str
    payload: bytes
    qos: int = 0


@dataclass(frozen=True, slots=True)
class ConfirmReports:
    """The outbox may delete everything up to this batch."""

    through: int


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End the connection; with ``walk_on`` go on to the next broker, if there is one."""

    reason: str
    walk_on: bool = False


Action = Subscribe | Publish | ConfirmReports | Disconnect


def death(group: str, gateway: str, bdseq: int, now_ms: int) -> Publish:
    """The NDEATH of a session: its will, and its last message when it ends on purpose."""
    metric = Metric(names.BDSEQ, None, now_ms, DataType.INT64, bdseq)
    topic = str(Topic(group, "NDEATH", gateway))
    return Publish(topic, encode(Payload(now_ms, (metric,))), 1)
