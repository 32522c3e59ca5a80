"""The host application's connection to the broker (Sparkplug 3.0, host behaviour).

One thread owns the connection. Each time it connects, it sets the will "offline", subscribes, and
publishes "online" with the same time. Before it disconnects on purpose, it publishes "offline".
"""

import contextlib
import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from cloud_ingest.intake.configuration import BrokerConfiguration
from cloud_ingest.intake.mqtt.inbox import Inbox
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.mqtt.shard import Shard
from telemetry import mqtt_packets as packets
from telemetry.mqtt_packets import PacketError, Parser, Publish, Reply, Will
from telemetry.sparkplug.topics import state_topic
from telemetry.time.clock import utc_now_ms

_log = structlog.get_logger()

SHORTEST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 5.0
SEND_TIMEOUT_S: Final = 10.0
_BLOCK: Final = 1 << 18
_MUCH: Final = 1 << 16
_GATHER_S: Final = 0.005
_SUBSCRIPTION: Final = 1
_STATE: Final = 2  # packet ids: one subscription, one state under way at a time


class LinkLost(Exception):  # noqa: N818  # named by what happened
    """The connection to the broker is lost; the message says why."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """Whether the broker is connected; ``problem`` says why not."""

    connected: bool
    problem: str
    since_ms: int


class HostLink:
    """Puts arriving messages into ``inbox`` and sends commands. Reconnects by itself."""

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
        self._state_topic = state_topic(host)
        self._host = host
        self._filters = filters
        self._inbox = inbox
        self._shard = shard or Shard()
        self._announce = self._shard.number == 1  # only one worker publishes the host's state
        self._on_change = on_change
        self._socket: socket.socket | None = None
        self._sending = threading.Lock()
        self._sent_s = 0.0
        self._asked_s: float | None = None
        self._stopping = threading.Event()
        self._state_heard = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._session_ms = 0
        self.state = LinkState(connected=False, problem="not connected yet", since_ms=utc_now_ms())

    def start(self) -> None:
        """Start the thread, which connects and reconnects until ``stop``."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Publish "offline", disconnect, and end the thread."""
        self._stopping.set()
        if self.state.connected:
            with contextlib.suppress(LinkLost):
                if self._announce:
                    self._state_heard.clear()
                    self._say_state(online=False, time_ms=utc_now_ms())
                    self._state_heard.wait(timeout_s / 2)
                self._send(packets.DISCONNECT_PACKET)
        self._hang_up()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a command (QoS 0). Without a connection it is dropped: commands are repeated anyway."""
        if self.state.connected:
            with contextlib.suppress(LinkLost):
                self._send(packets.publish(topic, payload))

    def publish_all(self, commands: Sequence[tuple[str, bytes]]) -> None:
        """Send several commands in one write, each a topic and a payload; see ``publish``."""
        if self.state.connected:
            with contextlib.suppress(LinkLost):
                self._send(b"".join([packets.publish(*command) for command in commands]))

    # --- the thread

    def _run(self) -> None:
        wait_s = SHORTEST_WAIT_S
        while not self._stopping.is_set():
            try:
                self._connect()
                wait_s = SHORTEST_WAIT_S
                self._listen()
            except (LinkLost, PacketError, OSError, ValueError) as error:
                self._note(connected=False, problem=str(error) or type(error).__name__)
            except Exception as error:  # noqa: BLE001  # logged with its traceback, shown by /health
                # A defect must not disconnect the host for ever: it is logged, and the link reconnects.
                _log.exception("broker_connection_failed")
                self._note(connected=False, problem=f"{type(error).__name__}: {error}")
            self._hang_up()
            self._stopping.wait(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _connect(self) -> None:
        self._session_ms = utc_now_ms()
        host, port, tls = self._broker.address
        line = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * _BLOCK)
        if tls:
            line = self._tls().wrap_socket(line, server_hostname=host)
        line.settimeout(SEND_TIMEOUT_S)
        self._socket, self._asked_s = line, None
        will = Will(self._state_topic, _state(online=False, time_ms=self._session_ms), retain=True)
        self._send(
            packets.connect(
                self._client_id(),
                self._broker.keep_alive_s,
                will if self._announce else None,
                self._broker.username,
                self._broker.password(),
            )
        )

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._broker.ca_file)
        if self._broker.cert_file is not None:
            context.load_cert_chain(self._broker.cert_file, self._broker.key_file)
        return context

    def _client_id(self) -> str:
        name = self._broker.client_id or f"quantrac-host-{self._host}"
        return f"{name}-{self._shard.name}" if self._shard.name else name

    def _listen(self) -> None:
        """Receive until the connection ends."""
        line, parser, began_s = self._socket, Parser(MqttMessage), time.monotonic()
        assert line is not None
        while True:
            data = self._receive(line)
            if data:
                self._take_in(parser.feed(data, utc_now_ms()))
                if len(data) < _MUCH and len(self._inbox):
                    # The pipeline is busy: let more bytes arrive, or this thread wakes for every few
                    # messages and competes with the pipeline for the interpreter lock.
                    self._stopping.wait(_GATHER_S)
            now_s = time.monotonic()
            self._keep_alive(now_s)
            if not self.state.connected and now_s - began_s > CONNECT_TIMEOUT_S:
                raise LinkLost("the broker does not answer")

    def _receive(self, line: socket.socket) -> bytes:
        pending = line.pending() if isinstance(line, ssl.SSLSocket) else 0
        if not pending and not select.select([line], [], [], 0.5)[0]:
            if self._stopping.is_set():
                raise LinkLost("stopped")
            return b""
        try:
            data = line.recv(_BLOCK)
        except TimeoutError:
            return b""  # TLS: no complete record yet
        if not data:
            raise LinkLost("the broker closed the connection")
        return data

    def _take_in(self, found: Iterable[MqttMessage | Publish | Reply]) -> None:
        """Put the messages into the inbox together; answer all other packets."""
        messages: list[MqttMessage] = []
        for packet in found:
            if type(packet) is MqttMessage:
                self._sort(packet, messages)
            elif type(packet) is Publish:
                self._sort(MqttMessage(packet.topic, packet.payload, packet.time_ms), messages)
                self._send(packets.puback(packet.packet_id))
            elif isinstance(packet, Reply):
                self._answer(packet)
        if messages:
            self._inbox.put_all(messages)

    def _sort(self, message: MqttMessage, messages: list[MqttMessage]) -> None:
        if message.topic == self._state_topic:
            self._defend_state(message.payload)
        elif self._shard.takes(message.topic):
            messages.append(message)

    def _answer(self, packet: Reply) -> None:
        if packet.kind == packets.CONNACK:
            if code := packet.return_code:
                reason = packets.REFUSALS.get(code, f"code {code}")
                raise LinkLost(f"the broker refused: {reason}")
            wanted = list(self._filters)
            if self._announce and "spBv1.0/#" not in wanted:
                wanted.insert(0, self._state_topic)
            self._send(packets.subscribe(_SUBSCRIPTION, wanted))
        elif packet.kind == packets.SUBACK:
            if any(code & 0x80 for code in packet.body[2:]):
                _log.error("subscription_refused", filters=self._filters)
            if self._announce:
                self._say_state(online=True, time_ms=self._session_ms)
            self._note(connected=True, problem="")
        elif packet.kind == packets.PUBACK:
            self._state_heard.set()
        elif packet.kind == packets.PINGRESP:
            self._asked_s = None

    def _keep_alive(self, now_s: float) -> None:
        limit_s = self._broker.keep_alive_s
        if self._asked_s is not None and now_s - self._asked_s > limit_s:
            raise LinkLost("the broker does not answer any more")
        if self._asked_s is None and now_s - self._sent_s > limit_s / 2:
            self._asked_s = now_s
            self._send(packets.PINGREQ_PACKET)

    def _defend_state(self, payload: bytes) -> None:
        """An old will said that this host is offline: publish "online" again."""
        if not self._announce or self._stopping.is_set() or not self.state.connected:
            return
        try:
            said = json.loads(payload)
        except ValueError:
            said = {}
        if not (isinstance(said, dict) and said.get("online") is True):
            self._say_state(online=True, time_ms=self._session_ms)

    # --- sending, from any thread

    def _say_state(self, *, online: bool, time_ms: int) -> None:
        payload = _state(online=online, time_ms=time_ms)
        self._send(packets.publish(self._state_topic, payload, packet_id=_STATE, retain=True))

    def _send(self, data: bytes) -> None:
        line = self._socket
        if line is None:
            raise LinkLost("not connected")
        try:
            with self._sending:
                line.sendall(data)
        except OSError as error:
            raise LinkLost(f"cannot send: {error}") from error
        self._sent_s = time.monotonic()

    def _hang_up(self) -> None:
        line, self._socket = self._socket, None
        if line is not None:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def _note(self, *, connected: bool, problem: str) -> None:
        before = self.state
        if (before.connected, before.problem) == (connected, problem):
            return
        since_ms = before.since_ms if before.connected == connected else utc_now_ms()
        self.state = LinkState(connected, problem, since_ms)
        if connected != before.connected:
            if connected:
                _log.info("broker_connected", broker="{}:{}".format(*self._broker.address[:2]))
            elif not self._stopping.is_set():
                _log.warning("broker_lost", problem=problem)
            self._on_change(connected)


def _state(*, online: bool, time_ms: int) -> bytes:
    return json.dumps({"online": online, "timestamp": time_ms}, separators=(",", ":")).encode()
