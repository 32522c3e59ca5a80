"""When gateways and devices last sent a message, collected until the inventory needs it."""

from collections.abc import Mapping

import numpy as np

from telemetry.batches import Int64

Sender = tuple[str, str | None]
"""A gateway and a device; the device None stands for the gateway's own messages."""


class LastSeen:
    """Times of the last messages. Batches of a large fleet follow each other faster than reads.

    Not thread-safe: the inventory calls it under its lock.
    """

    def __init__(self) -> None:
        self._by_sender: dict[Sender, int] = {}
        self._senders: list[Sender] = []
        self._times_ms: Int64 = np.empty(0, np.int64)  # by index in _senders; 0: not seen
        self._any = False

    def note(self, seen: Mapping[Sender, int]) -> None:
        """Note messages of these senders."""
        self._by_sender.update(seen)
        self._any |= bool(seen)

    def note_many(self, senders: list[Sender], number: Int64, time_ms: Int64) -> None:
        """Note many messages in the order in which they arrived.

        ``number`` holds indices of ``senders``, a list that only grows.
        """
        self._senders = senders
        if len(senders) > len(self._times_ms):
            more = np.zeros(2 * len(senders) - len(self._times_ms), np.int64)
            self._times_ms = np.concatenate([self._times_ms, more])
        self._times_ms[number] = time_ms
        self._any = True

    def take(self) -> dict[Sender, int]:
        """The last time of each sender since the previous call."""
        if not self._any:
            return {}
        seen, self._by_sender, self._any = self._by_sender, {}, False
        for number in np.flatnonzero(self._times_ms).tolist():
            sender = self._senders[number]
            seen[sender] = max(int(self._times_ms[number]), seen.get(sender, 0))
        self._times_ms[:] = 0
        return seen
