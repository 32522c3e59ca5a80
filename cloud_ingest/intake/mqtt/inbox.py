"""The queue between the network thread and the pipeline: bounded, and never blocking.

When the pipeline cannot keep up (the store is slow or down), data that the gateway sends again
anyway is dropped; births, deaths and data of gateways without acknowledgement go to a file. Putting
never waits for the pipeline, so the network thread continues to answer keep-alives.
"""

import threading
import time
from collections import deque

from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.mqtt.overflow_file import OverflowFile

_DATA = ("/DDATA/", "/NDATA/")
# Memory of a queued message beside its payload.
_OVERHEAD = 200


class Inbox:
    """A queue of messages of at most ``max_bytes`` in memory; more goes to ``overflow``."""

    def __init__(self, max_bytes: int, overflow: OverflowFile | None = None) -> None:
        self._max_bytes = max_bytes
        self._overflow = overflow
        self._messages: deque[list[MqttMessage]] = deque()  # as they were put together
        self._put_bytes = 0
        self._taken_bytes = 0  # only the pipeline writes it
        self._wake = threading.Event()
        self._will_send_again: frozenset[str] = frozenset()
        self._dropped: set[str] = set()
        self._lock = threading.Lock()
        self.dropped_total = 0
        self.lost_total = 0

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait in memory."""
        return self._put_bytes - self._taken_bytes

    @property
    def overflow_bytes(self) -> int:
        """Bytes that wait in the overflow file."""
        return len(self._overflow) if self._overflow is not None else 0

    def __len__(self) -> int:
        return len(self._messages) or min(1, self.overflow_bytes)

    def put(self, message: MqttMessage) -> bool:
        """Queue a message; False if there was no room and it was dropped."""
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
        """Queue several messages in order."""
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
        """No room in memory, or earlier messages are still in the file: use the file, or drop."""
        gateway = _gateway_of(message.topic)
        again = (
            not message.replayed
            and gateway in self._will_send_again
            and any(d in message.topic for d in _DATA)
        )
        if not again and self._overflow is not None and self._overflow.put(message):
            return True
        if message.replayed:  # it stays in quarantine: nothing is lost
            return False
        with self._lock:
            self._dropped.add(gateway)
        self.dropped_total += again
        self.lost_total += not again
        return False

    def take_many(self, timeout_s: float) -> list[MqttMessage]:
        """The next messages that were put together; none if none arrive within ``timeout_s``."""
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
        # They were never counted as put, so their bytes balance here what take_many subtracts.
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
        """Set which gateways keep their data until it is acknowledged."""
        self._will_send_again = gateways

    def take_dropped(self) -> set[str]:
        """Gateways of which messages were dropped since the last call."""
        if not self._dropped:
            return set()
        with self._lock:
            dropped, self._dropped = self._dropped, set()
        return dropped


def _size(messages: list[MqttMessage]) -> int:
    return sum([len(m.payload) for m in messages]) + _OVERHEAD * len(messages)


def _gateway_of(topic: str) -> str:
    parts = topic.split("/", 4)
    return parts[3] if len(parts) > 3 else ""
