"""An MQTT message as it arrived."""

from typing import Literal, NamedTuple


class MqttMessage(NamedTuple):
    """A message and its time of arrival (UTC ms).

    ``replayed``: its form, if it is replayed from quarantine; ``item`` is its number there.
    """

    topic: str
    payload: bytes
    time_ms: int
    replayed: Literal["", "message", "samples"] = ""
    item: int = 0
