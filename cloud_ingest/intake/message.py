"""A message as it came by MQTT."""

from typing import NamedTuple


class Message(NamedTuple):
    """What came by MQTT, and when (UTC ms)."""

    topic: str
    payload: bytes
    time_ms: int
