"""The clock offset of each gateway, from the time stamps of its messages.

A message is never early: its time stamp less its arrival is the clock's offset less the delay of
the network. The largest difference of a minute is that of the least delayed message.
"""

from typing import Final

import numpy as np

from cloud_ingest.indices.derived import DEVICE, DerivedSample
from cloud_ingest.inventory.inventory import Inventory
from telemetry.batches import Int64
from telemetry.series import SeriesKey
from telemetry.varint import decode_varint

METRIC: Final = "clock_offset"
SAMPLE_EVERY_MS: Final = 60_000
EXAMINE_EVERY_MS: Final = 1_000
"""Of each gateway, at most one message in this time is examined."""
_NEVER: Final = -(1 << 62)
_TIME_STAMP: Final = 0x08  # field 1 of a Sparkplug payload, a varint; it comes first


class ClockOffsets:
    """Follows the messages of all gateways; gives the offset of each clock once a minute."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._next_ms: dict[str, int] = {}
        self._largest_ms: dict[str, int] = {}
        self._names: list[str] = []
        self._largest_ms_of_many: Int64 = np.empty(0, np.int64)  # by index in _names, from batches
        self._sampled_ms = 0

    def note(self, gateway: str, payload: bytes, arrived_ms: int) -> None:
        """Note the time stamp of a message."""
        if arrived_ms < self._next_ms.get(gateway, 0):
            return
        sent_ms = time_stamp(payload)
        if sent_ms is None:
            return
        self._next_ms[gateway] = arrived_ms + EXAMINE_EVERY_MS
        clock_offset_ms = sent_ms - arrived_ms
        self._largest_ms[gateway] = max(
            clock_offset_ms, self._largest_ms.get(gateway, clock_offset_ms)
        )

    def note_many(self, names: list[str], gateway: Int64, clock_offset_ms: Int64) -> None:
        """Note the offsets of many messages: time stamp less arrival.

        ``gateway`` holds indices of ``names``, a list that only grows.
        """
        self._names = names
        if len(names) > len(self._largest_ms_of_many):
            more = np.full(2 * len(names) - len(self._largest_ms_of_many), _NEVER, np.int64)
            self._largest_ms_of_many = np.concatenate([self._largest_ms_of_many, more])
        np.maximum.at(self._largest_ms_of_many, gateway, clock_offset_ms)

    def _take_offsets(self) -> dict[str, int]:
        """The largest offset of each gateway since the last call."""
        offsets, self._largest_ms = self._largest_ms, {}
        for i in np.flatnonzero(self._largest_ms_of_many != _NEVER).tolist():
            name, clock_offset_ms = self._names[i], int(self._largest_ms_of_many[i])
            offsets[name] = max(clock_offset_ms, offsets.get(name, _NEVER))
        self._largest_ms_of_many[:] = _NEVER
        return offsets

    def tick(self, now_ms: int) -> list[DerivedSample]:
        """Once a minute, a sample of ``gateway/index/clock_offset`` for each active gateway."""
        if now_ms < self._sampled_ms + SAMPLE_EVERY_MS:
            return []
        self._sampled_ms = now_ms
        offsets = self._take_offsets()
        self._next_ms.clear()
        return [
            self._sample(gateway, known.group, known.station, clock_offset_ms, now_ms)
            for gateway, clock_offset_ms in offsets.items()
            if (known := self._inventory.gateway(gateway)) is not None
        ]

    def _sample(
        self, gateway: str, group: str, station: str, clock_offset_ms: int, now_ms: int
    ) -> DerivedSample:
        return DerivedSample(
            SeriesKey(gateway, DEVICE, METRIC), group, station, METRIC, SAMPLE_EVERY_MS, now_ms,
            clock_offset_ms / 1000.0, "s",
        )  # fmt: skip


def time_stamp(payload: bytes) -> int | None:
    """The time stamp at the beginning of a Sparkplug payload, in ms; None if there is none."""
    if not payload or payload[0] != _TIME_STAMP:
        return None
    try:
        value, _ = decode_varint(payload, 1)
    except ValueError:
        return None
    return value if value < 1 << 63 else None
