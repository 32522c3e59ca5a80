"""One MQTT connection through paho, driven by the caller's own loop."""

import select
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from edge_agent.uplink.actions import Publish
from edge_agent.uplink.description import BrokerAddress

_TCP_NOTSENT_LOWAT = 25
_UNSENT_BYTES = 16_384
"""The most unsent bytes in the kernel: a live report waits behind no more than this."""
_CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker took the connection."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The broker confirmed a subscription."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message arrived."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone, or was refused."""

    reason: str


Event = Accepted | Subscribed | Received | Lost


class MqttLink:
    """A connection to ``broker`` as ``client_id``; ``will`` is its last will.

    Connects at once. Raises OSError if the broker cannot be reached; then CONNECT was not sent.
    """

    def __init__(
        self, broker: BrokerAddress, client_id: str, will: Publish, keepalive_s: int
    ) -> None:
        self._events: list[Event] = []
        self._lost = False
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id, clean_session=True,
            protocol=mqtt.MQTTv311, reconnect_on_failure=False,
        )  # fmt: skip
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.will_set(will.topic, will.payload, will.qos, retain=False)
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password())
        if broker.tls:
            client.tls_set(
                None if broker.ca_file is None else str(broker.ca_file),
                None if broker.cert_file is None else str(broker.cert_file),
                None if broker.key_file is None else str(broker.key_file),
                tls_version=ssl.PROTOCOL_TLS_CLIENT,
            )
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        self._client = client
        client.connect(broker.host, broker.port, keepalive_s)
        self._tune()

    def _tune(self) -> None:
        raw = self._client.socket()
        if not isinstance(raw, socket.socket):
            return
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000)
            raw.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT_BYTES)

    # -- paho's callbacks ----------------------------------------------------------------------

    def _on_connect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        self._events.append(
            Lost(f"the broker refused the connection: {reason}")
            if reason.is_failure
            else Accepted()
        )

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        self._lost = True
        self._events.append(Lost(_why(str(reason))))

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._events.append(Received(message.topic, bytes(message.payload)))

    def _on_subscribe(
        self, _client: mqtt.Client, _data: Any, _mid: int, reasons: list[Any], _properties: Any
    ) -> None:
        refused = [str(r) for r in reasons if r.is_failure]
        self._events.append(
            Lost(f"subscription refused: {refused[0]}") if refused else Subscribed()
        )

    # -- for the loop --------------------------------------------------------------------------

    @property
    def is_clear(self) -> bool:
        """Whether everything published so far was handed to the kernel."""
        return not self._client.want_write()

    def publish(self, message: Publish) -> None:
        """Send a message, without waiting for a receipt."""
        self._client.publish(message.topic, message.payload, message.qos, retain=False)

    def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe with QoS 1."""
        self._client.subscribe([(topic, 1) for topic in topics])

    def poll(self, timeout_s: float, wake: socket.socket) -> list[Event]:
        """Read and write for at most ``timeout_s``, or until ``wake`` is readable."""
        raw = self._client.socket()
        if raw is not None and not self._events:
            pending = isinstance(raw, ssl.SSLSocket) and raw.pending() > 0
            writing = [raw] if self._client.want_write() else []
            readable, writable, _ = select.select(
                [raw, wake], writing, [], 0 if pending else timeout_s
            )
            if pending or raw in readable:
                self._note(self._client.loop_read())
            if writable and self._client.socket() is not None:
                self._note(self._client.loop_write())
            if self._client.socket() is not None:
                self._note(self._client.loop_misc())
        if self._client.socket() is None and not self._lost:
            self._lost = True
            self._events.append(Lost("the connection ended"))
        events, self._events = self._events, []
        return events

    def _note(self, code: MQTTErrorCode) -> None:
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS and not self._lost:
            self._lost = True
            self._events.append(Lost(_why(mqtt.error_string(code))))

    def finish(self, timeout_s: float, wake: socket.socket) -> None:
        """Send what is pending, then DISCONNECT, within ``timeout_s``."""
        end = time.monotonic() + timeout_s
        while not self.is_clear and not self._lost and time.monotonic() < end:
            self.poll(0.05, wake)
        if not self._lost:
            self._client.disconnect()
            while not self.is_clear and not self._lost and time.monotonic() < end:
                self.poll(0.05, wake)
        self.close()

    def close(self) -> None:
        """Close the socket without DISCONNECT."""
        raw = self._client.socket()
        if raw is not None:
            raw.close()


def _why(reason: str) -> str:
    """Paho's reason in words for people; it has none for a connection that the broker closed."""
    return "the broker closed the connection" if reason == "Unspecified error" else reason
