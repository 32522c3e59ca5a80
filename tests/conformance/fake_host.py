"""A host application for tests: publishes its state, confirms reports, sends commands."""

import json
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from telemetry.sparkplug import DataType, Metric, Payload, decode, encode, names
from telemetry.sparkplug.topics import state_topic
from telemetry.time.clock import utc_now_ms


class FakeHost:
    """Collects messages; confirms every report at once unless ``confirms`` is False."""

    def __init__(self, port: int, group: str, gateway: str, host: str = "quantrac") -> None:
        self.confirms = True
        self.messages: list[tuple[str, Payload]] = []
        self._host = host
        self._command_topic = f"spBv1.0/{group}/NCMD/{gateway}"
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._batches: set[int] = set()
        self._through = 0
        self._ready = threading.Event()
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe(f"spBv1.0/{group}/#", 1)
        self._ready.wait(60)

    def say(self, online: bool, timestamp: int | None = None, host: str | None = None) -> int:
        """Publish STATE; returns its timestamp."""
        stamp = utc_now_ms() if timestamp is None else timestamp
        payload = json.dumps({"online": online, "timestamp": stamp})
        topic = state_topic(self._host if host is None else host)
        self._client.publish(topic, payload, 1, retain=True).wait_for_publish(5)
        return stamp

    def command(self, name: str, datatype: DataType, value: object) -> None:
        """Write a metric of the gateway."""
        now = utc_now_ms()
        metric = Metric(name, None, now, datatype, value)
        self._client.publish(self._command_topic, encode(Payload(now, (metric,))))

    def of(self, kind: str) -> list[Payload]:
        """Messages of one type."""
        return [p for t, p in list(self.messages) if f"/{kind}/" in t]

    def values(self) -> list[tuple[int, float]]:
        """Time and value of every sample that arrived."""
        return [
            (m.timestamp_ms or 0, m.value)
            for p in self.of("DDATA") + self.of("NDATA")
            for m in p.metrics
            if isinstance(m.value, float)
        ]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        payload = decode(message.payload)
        self.messages.append((message.topic, payload))
        if "/NBIRTH/" in message.topic:
            oldest = payload.metric(names.STORE_OLDEST)
            self._through = max(self._through, (oldest.value if oldest else 1) - 1)
        found = [m.value for m in payload.metrics if m.is_transient and type(m.value) is int]
        self._batches.update(found)
        while self._through + 1 in self._batches:
            self._through += 1
        if found and self.confirms:
            self.command(names.ACK_THROUGH, DataType.UINT64, self._through)
