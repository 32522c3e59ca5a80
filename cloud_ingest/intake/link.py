"""The host application's connection to the broker (Sparkplug 3.0, host behaviour).

One thread owns the connection. Each time it connects it leaves a will "offline", subscribes, and
says "online" with the same time; it says "offline" before it goes on purpose.
"""

import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from cloud_ingest.intake.configuration import BrokerConfiguration
from cloud_ingest.intake.inbox import Inbox
from cloud_ingest.intake.message import Message
from cloud_ingest.intake.shard import Shard
from telemetry.topics import state_topic

_log = structlog.get_logger()

SHORTEST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0
CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class LinkState:
    """Whether the broker is there; ``problem`` says why not."""

    connected: bool
    problem: str
    since_ms: int


class Link:
    """Puts what arrives into ``inbox``; ``publish`` sends commands. Reconnects by itself."""

    def __init__(
        self,
        broker: BrokerConfiguration,
        host: str,
        filters: tuple[str, ...],
        inbox: Inbox,
        *,
        shard: Shard | None = None,
        on_change: Callable[[bool], None] = lambda _online: None,
    ) -> None:
        self._broker = broker
        self._host = host
        self._filters = filters
        self._inbox = inbox
        self._shard = shard or Shard()
        self._announce = self._shard.number == 1  # one worker speaks for the host
        self._on_change = on_change
        self._client: mqtt.Client | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._session_ms = 0
        self.state = LinkState(connected=False, problem="not connected yet", since_ms=_now_ms())

    def start(self) -> None:
        """Begin to connect, and go on until ``stop``."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Say "offline", disconnect, and end the thread."""
        self._stopping.set()
        client = self._client
        if client is not None and self.state.connected:
            if self._announce:
                info = self._publish_state(client, online=False, time_ms=_now_ms())
                _wait_for(info, timeout_s / 2)
            client.disconnect()
        self._thread.join(timeout_s)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a command (QoS 0); without a connection it is dropped, for it is repeated anyway."""
        client = self._client
        if client is not None and self.state.connected:
            client.publish(topic, payload, qos=0)

    # --- the thread

    def _run(self) -> None:
        wait_s = SHORTEST_WAIT_S
        while not self._stopping.is_set():
            self._session_ms = _now_ms()
            client = self._new_client()
            try:
                host, port, _ = self._broker.address
                client.connect(host, port, keepalive=self._broker.keep_alive_s)
                self._client = client
                client.loop_forever(retry_first_connection=False)
            except (OSError, ValueError) as error:
                self._note(connected=False, problem=f"{type(error).__name__}: {error}")
            except Exception as error:  # noqa: BLE001  # told below
                # A defect must not silence the host for good: it is told, and the link made anew.
                _log.exception("the connection to the broker failed")
                self._note(connected=False, problem=f"{type(error).__name__}: {error}")
            else:
                wait_s = SHORTEST_WAIT_S
            self._client = None
            self._stopping.wait(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _new_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id(),
            clean_session=True,
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.suppress_exceptions = False
        if self._broker.username is not None:
            client.username_pw_set(self._broker.username, self._broker.password())
        if self._broker.address[2]:
            client.tls_set_context(self._tls())
        if self._announce:
            client.will_set(
                state_topic(self._host),
                _state(online=False, time_ms=self._session_ms),
                qos=1,
                retain=True,
            )
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._arrived
        client.on_disconnect = self._disconnected
        return client

    def _client_id(self) -> str:
        name = self._broker.client_id or f"quantrac-host-{self._host}"
        return f"{name}-{self._shard.name}" if self._shard.name else name

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._broker.ca_file)
        if self._broker.cert_file is not None:
            context.load_cert_chain(self._broker.cert_file, self._broker.key_file)
        return context

    def _connected(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any
    ) -> None:
        if reason.is_failure:
            self._note(connected=False, problem=f"the broker refused: {reason}")
            client.disconnect()
            return
        wanted = [(f, 1) for f in self._filters]
        if self._announce and "spBv1.0/#" not in self._filters:
            wanted.insert(0, (state_topic(self._host), 1))
        client.subscribe(wanted)

    def _subscribed(
        self, client: mqtt.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _props: Any
    ) -> None:
        refused = [f for f, r in zip(self._filters, reasons, strict=False) if r.is_failure]
        if refused:
            _log.error("the broker refuses a subscription", filters=refused)
        if self._announce:
            self._publish_state(client, online=True, time_ms=self._session_ms)
        self._note(connected=True, problem="")

    def _arrived(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return  # no topic that MQTT allows
        if self._announce and topic == state_topic(self._host):
            self._defend_state(client, message)
            return
        if self._shard.takes(topic):
            self._inbox.put(Message(topic, bytes(message.payload), _now_ms()))

    def _defend_state(self, client: mqtt.Client, message: mqtt.MQTTMessage) -> None:
        """Somebody (an old will) said that this host is offline: say again that it is not."""
        if self._stopping.is_set() or not self.state.connected:
            return
        try:
            said = json.loads(message.payload)
        except ValueError:
            said = {}
        if not (isinstance(said, dict) and said.get("online") is True):
            self._publish_state(client, online=True, time_ms=self._session_ms)

    def _disconnected(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any
    ) -> None:
        self._note(connected=False, problem=f"disconnected: {reason}")

    def _publish_state(
        self, client: mqtt.Client, *, online: bool, time_ms: int
    ) -> mqtt.MQTTMessageInfo:
        return client.publish(
            state_topic(self._host), _state(online=online, time_ms=time_ms), qos=1, retain=True
        )

    def _note(self, *, connected: bool, problem: str) -> None:
        before = self.state
        if (before.connected, before.problem) == (connected, problem):
            return
        since_ms = before.since_ms if before.connected == connected else _now_ms()
        self.state = LinkState(connected, problem, since_ms)
        if connected != before.connected:
            if connected:
                _log.info("connected to the broker", broker=self._broker.address[:2])
            elif not self._stopping.is_set():
                _log.warning("broker lost", problem=problem)
            self._on_change(connected)


def _state(*, online: bool, time_ms: int) -> bytes:
    return json.dumps({"online": online, "timestamp": time_ms}, separators=(",", ":")).encode()


def _wait_for(info: mqtt.MQTTMessageInfo, timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while not info.is_published() and time.monotonic() < end:
        time.sleep(0.01)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
