"""How far the gateways' clocks are off, from the time that each of their messages carries.

A message is never early: its time stamp less its arrival is the clock's offset less the delay of
the network. The largest difference of a minute is that of the least delayed message.
"""

from collections.abc import Mapping
from typing import Final

from cloud_ingest.indices.derived import DEVICE, DerivedSample
from cloud_ingest.registry import Registry
from telemetry.series import SeriesKey

METRIC: Final = "clock_offset"
TELL_EVERY_MS: Final = 60_000
LISTEN_EVERY_MS: Final = 1_000
"""Messages of a gateway that come sooner after one another are not looked at."""
_NEVER: Final = -(1 << 62)
_TIME_STAMP: Final = 0x08  # field 1 of a Sparkplug payload, a varint; it comes first


class Clocks:
    """Hears the messages of all gateways; once a minute tells how far each clock is off."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._next_ms: dict[str, int] = {}
        self._best_ms: dict[str, int] = {}
        self._told_ms = 0

    def hear(self, gateway: str, payload: bytes, arrived_ms: int) -> None:
        """Take in when a message says that it was sent."""
        if arrived_ms < self._next_ms.get(gateway, 0):
            return
        sent_ms = time_stamp(payload)
        if sent_ms is None:
            return
        self._next_ms[gateway] = arrived_ms + LISTEN_EVERY_MS
        offset_ms = sent_ms - arrived_ms
        self._best_ms[gateway] = max(offset_ms, self._best_ms.get(gateway, offset_ms))

    def hear_offsets(self, offset_ms: Mapping[str, int]) -> None:
        """Take in by how much messages of each gateway seem to come before they were sent."""
        best = self._best_ms
        for gateway, offset in offset_ms.items():
            if offset > best.get(gateway, _NEVER):
                best[gateway] = offset

    def tick(self, now_ms: int) -> list[DerivedSample]:
        """Once a minute: a sample of ``gateway/index/clock_offset`` for each gateway that was heard."""
        if now_ms < self._told_ms + TELL_EVERY_MS:
            return []
        self._told_ms = now_ms
        heard, self._best_ms = self._best_ms, {}
        self._next_ms.clear()
        return [
            self._sample(gateway, known.group, known.station, offset_ms, now_ms)
            for gateway, offset_ms in heard.items()
            if (known := self._registry.gateway(gateway)) is not None
        ]

    def _sample(
        self, gateway: str, group: str, station: str, offset_ms: int, now_ms: int
    ) -> DerivedSample:
        return DerivedSample(
            SeriesKey(gateway, DEVICE, METRIC), group, station, METRIC, TELL_EVERY_MS, now_ms,
            offset_ms / 1000.0, "s",
        )  # fmt: skip


def time_stamp(payload: bytes) -> int | None:
    """The time that a Sparkplug payload begins with, in ms; None where it begins otherwise."""
    if not payload or payload[0] != _TIME_STAMP:
        return None
    value = 0
    for place, byte in enumerate(payload[1:11]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value if value < 1 << 63 else None
    return None
