"""A message as it came by MQTT."""

from typing import Literal, NamedTuple


class MqttMessage(NamedTuple):
    """What came by MQTT, and when (UTC ms). ``replayed``: it comes from the quarantine."""

    topic: str
    payload: bytes
    time_ms: int
    replayed: Literal["", "message", "samples"] = ""
