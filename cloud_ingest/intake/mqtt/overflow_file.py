"""A file for messages that do not fit into memory and that nobody sends again."""

import struct
import threading
from pathlib import Path
from typing import Final, Literal

from cloud_ingest.intake.mqtt.message import MqttMessage

_HEAD: Final = struct.Struct(
    ">QBQHI"
)  # time, form and item of a replay, lengths of topic and payload
_FORMS: Final[tuple[Literal["", "message", "samples"], ...]] = ("", "message", "samples")
_READ_BYTES: Final = 4_000_000


class OverflowFile:
    """A file of at most ``max_bytes``, read back in the order of writing. It starts empty."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w+b", buffering=0)
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._read_at = 0
        self._write_at = 0

    def __len__(self) -> int:
        """How many bytes are not read back yet."""
        return self._write_at - self._read_at

    def put(self, message: MqttMessage) -> bool:
        """Write a message; False if the file is full or the disk refuses it."""
        topic = message.topic.encode()
        form = _FORMS.index(message.replayed)
        head = _HEAD.pack(message.time_ms, form, message.item, len(topic), len(message.payload))
        record = head + topic + message.payload
        with self._lock:
            if self._write_at + len(record) > self._max_bytes:
                return False
            try:
                self._file.seek(self._write_at)
                self._file.write(record)
            except OSError:
                return False
            self._write_at += len(record)
            return True

    def take(self) -> list[MqttMessage]:
        """The oldest messages, about four megabytes of them; none if the file is empty."""
        with self._lock:
            if self._read_at == self._write_at:
                return []
            self._file.seek(self._read_at)
            data = self._file.read(min(_READ_BYTES, self._write_at - self._read_at))
            found, at = self._split(data)
            if not found:  # one message larger than _READ_BYTES
                self._file.seek(self._read_at)
                data = self._file.read(self._write_at - self._read_at)
                found, at = self._split(data)
            self._read_at += at
            if self._read_at == self._write_at:
                self._read_at = self._write_at = 0
                self._file.truncate(0)
            return found

    def _split(self, data: bytes) -> tuple[list[MqttMessage], int]:
        found, at = [], 0
        while at + _HEAD.size <= len(data):
            time_ms, form, item, topic, payload = _HEAD.unpack_from(data, at)
            end = at + _HEAD.size + topic + payload
            if end > len(data):
                break
            middle = at + _HEAD.size + topic
            text = data[at + _HEAD.size : middle].decode()
            found.append(MqttMessage(text, data[middle:end], time_ms, _FORMS[form], item))
            at = end
        return found, at

    def close(self) -> None:
        """Close the file."""
        self._file.close()
