"""Sparkplug B topics: building and parsing."""

from dataclasses import dataclass
from typing import Literal

NAMESPACE = "spBv1.0"

MessageType = Literal["NBIRTH", "NDATA", "NDEATH", "NCMD", "DBIRTH", "DDATA", "DDEATH", "DCMD"]
NODE_TYPES = frozenset({"NBIRTH", "NDATA", "NDEATH", "NCMD"})
DEVICE_TYPES = frozenset({"DBIRTH", "DDATA", "DDEATH", "DCMD"})


class TopicError(ValueError):
    """A topic that is not one of Sparkplug B."""


@dataclass(frozen=True, slots=True)
class Topic:
    """The topic of a message of a gateway (``device`` None) or of a device."""

    group: str
    type: MessageType
    gateway: str
    device: str | None = None

    def __str__(self) -> str:
        base = f"{NAMESPACE}/{self.group}/{self.type}/{self.gateway}"
        return base if self.device is None else f"{base}/{self.device}"


def state_topic(host: str) -> str:
    """The topic on which a host application announces whether it is online."""
    return f"{NAMESPACE}/STATE/{host}"


def parse_topic(text: str) -> Topic:
    """Parse the topic of a message of a gateway or device; raises TopicError."""
    parts = text.split("/")
    if parts[0] != NAMESPACE:
        raise TopicError(f"{text!r}: the namespace is not {NAMESPACE}")
    if len(parts) not in (4, 5) or not all(parts):
        raise TopicError(f"{text!r}: not {NAMESPACE}/group/type/gateway[/device]")
    kind = parts[2]
    if kind in NODE_TYPES and len(parts) == 4:
        return Topic(parts[1], kind, parts[3])  # type: ignore[arg-type]  # membership was checked
    if kind in DEVICE_TYPES and len(parts) == 5:
        return Topic(parts[1], kind, parts[3], parts[4])  # type: ignore[arg-type]  # as above
    raise TopicError(f"{text!r}: {kind!r} is no message type for {len(parts)} levels")
