"""Messages between the network thread and the pipeline: bounded, and never blocking the network.

When the pipeline cannot keep up (the store is slow or down), data that the gateway will send again
anyway is left out; births, deaths and data of gateways without acknowledgement go to a file.
Keep-alives go on, because putting never waits for the pipeline.
"""

import threading
import time
from collections import deque

from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.mqtt.overflow_file import OverflowFile

_DATA = ("/DDATA/", "/NDATA/")
# What a queued message costs beside its payload.
_OVERHEAD = 200


class Inbox:
    """A queue of messages of at most ``max_bytes`` in memory; what is beyond goes to ``spill``."""

    def __init__(self, max_bytes: int, spill: OverflowFile | None = None) -> None:
        self._max_bytes = max_bytes
        self._overflow = spill
        self._messages: deque[list[MqttMessage]] = deque()  # as they came together
        self._put_bytes = 0
        self._taken_bytes = 0  # written by the pipeline alone
        self._wake = threading.Event()
        self._will_send_again: frozenset[str] = frozenset()
        self._dropped: set[str] = set()
        self._lock = threading.Lock()
        self.dropped_total = 0
        self.lost_total = 0

    @property
    def pending_bytes(self) -> int:
        """How much waits in memory."""
        return self._put_bytes - self._taken_bytes

    @property
    def overflow_bytes(self) -> int:
        """How much waits in the file."""
        return len(self._overflow) if self._overflow is not None else 0

    def __len__(self) -> int:
        return len(self._messages) or min(1, self.overflow_bytes)

    def put(self, message: MqttMessage) -> bool:
        """Queue a message; False where it was left out for want of room."""
        size = len(message.payload) + _OVERHEAD
        full = self._put_bytes - self._taken_bytes + size > self._max_bytes
        if full or (self._overflow is not None and len(self._overflow)):
            return self._put_elsewhere(message)
        with self._lock:
            self._messages.append([message])
            self._put_bytes += size
        if not self._wake.is_set():
            self._wake.set()
        return True

    def put_all(self, messages: list[MqttMessage]) -> None:
        """Queue several messages in their order."""
        size = _size(messages)
        full = self._put_bytes - self._taken_bytes + size > self._max_bytes
        if full or (self._overflow is not None and len(self._overflow)):
            for message in messages:
                self.put(message)
            return
        with self._lock:
            self._messages.append(messages)
            self._put_bytes += size
        if not self._wake.is_set():
            self._wake.set()

    def _put_elsewhere(self, message: MqttMessage) -> bool:
        """There is no room, or what came before is still in the file."""
        gateway = _gateway_of(message.topic)
        again = gateway in self._will_send_again and any(d in message.topic for d in _DATA)
        if not again and self._overflow is not None and self._overflow.put(message):
            return True
        with self._lock:
            self._dropped.add(gateway)
        self.dropped_total += again
        self.lost_total += not again
        return False

    def take(self, timeout_s: float) -> MqttMessage | None:
        """The next message; None if none comes within ``timeout_s``."""
        messages = self.take_many(timeout_s)
        if not messages:
            return None
        if len(messages) > 1:
            rest = messages[1:]
            self._messages.appendleft(rest)
            self._taken_bytes -= _size(rest)
        return messages[0]

    def take_many(self, timeout_s: float) -> list[MqttMessage]:
        """The next messages, as many as came together; none if none come within ``timeout_s``."""
        if not self._messages and not self._read_back():
            self._wake.clear()
            if not self._messages and (timeout_s <= 0 or not self._wait(timeout_s)):
                return []
        messages = self._messages.popleft()
        self._taken_bytes += _size(messages)
        return messages

    def _read_back(self) -> bool:
        if self._overflow is None or not len(self._overflow):
            return False
        messages = self._overflow.take()
        # Not counted as put: the bytes are counted off as soon as they are taken.
        self._taken_bytes -= _size(messages)
        if messages:
            self._messages.appendleft(messages)
        return bool(messages)

    def _wait(self, timeout_s: float) -> bool:
        end = time.monotonic() + timeout_s
        while not self._messages:
            left = end - time.monotonic()
            if left <= 0 or not self._wake.wait(left):
                return bool(self._messages)
            self._wake.clear()
        return True

    def will_send_again(self, gateways: frozenset[str]) -> None:
        """These gateways keep their data until it is acknowledged."""
        self._will_send_again = gateways

    def take_dropped(self) -> set[str]:
        """Gateways of which messages were left out since the last call."""
        if not self._dropped:
            return set()
        with self._lock:
            shed, self._dropped = self._dropped, set()
        return shed


def _size(messages: list[MqttMessage]) -> int:
    return sum([len(m.payload) for m in messages]) + _OVERHEAD * len(messages)


def _gateway_of(topic: str) -> str:
    parts = topic.split("/", 4)
    return parts[3] if len(parts) > 3 else ""
