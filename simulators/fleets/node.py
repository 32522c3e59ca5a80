"""One gateway of a fleet: session, sequence numbers, reports without acknowledgement. No I/O."""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from simulators.fleets import payloads
from simulators.fleets.payloads import NodeProperties, StoreState
from simulators.fleets.shape import GatewayShape
from simulators.fleets.template import SEQUENCE
from telemetry import mqtt_packets
from telemetry.mqtt_packets import Publish, Reply, Will
from telemetry.sparkplug import PayloadError
from telemetry.sparkplug.topics import Topic, state_topic

RETRY_MS = 10_000
LONGEST_RETRY_MS = 300_000
HOLE_MS = 1_000
KEEPALIVE_S = 60


class Phase(Enum):
    """The state of the session of a gateway."""

    OFFLINE = 0
    CONNECTING = 1
    SUBSCRIBING = 2
    WAITING = 3
    """Connected, but the host is not online."""
    ONLINE = 4
    """Born: data may be sent."""


@dataclass(slots=True)
class Batch:
    """A report without acknowledgement: its device, time and values."""

    number: int
    device: int
    time_ms: int
    values: bytes
    count: int
    sent_ms: int = 0
    waits_ms: int = RETRY_MS
    mark: int = 0


@dataclass(slots=True)
class Counts:
    """Counters of a gateway or of a fleet."""

    messages: int = 0
    measured: int = 0
    confirmed: int = 0
    evicted: int = 0
    sent_again: int = 0
    lost_on_purpose: int = 0
    births: int = 0
    rebirths: int = 0
    connects: int = 0
    connections_lost: int = 0
    refused: int = 0


class EdgeNode:
    """A conforming Sparkplug edge node; its methods return bytes to be sent to the broker."""

    __slots__ = (
        "about", "acknowledged", "bd_seq", "counts", "dead", "evicted", "gateway", "group", "heads", "host",
        "host_since", "limit", "measured", "next_batch", "phase", "seq", "shape", "sub_id", "through",
        "waiting", "wants_close",
    )  # fmt: skip

    def __init__(
        self,
        group: str,
        gateway: str,
        shape: GatewayShape,
        *,
        host: str | None,
        acknowledged: bool,
        first_batch: int,
        about: NodeProperties,
        counts: Counts,
        limit: int = 1000,
        bd_seq: int = 0,
    ) -> None:
        self.group = group
        self.gateway = gateway
        self.shape = shape
        self.host = host
        self.acknowledged = acknowledged
        self.about = about
        self.counts = counts
        self.limit = limit
        self.phase = Phase.OFFLINE
        self.bd_seq = bd_seq - 1
        self.seq = 0
        self.next_batch = first_batch
        self.through = first_batch - 1
        self.waiting: deque[Batch] = deque()
        self.heads: dict[tuple[int, int], bytes] = {}
        self.host_since = -1
        self.sub_id = 1
        self.wants_close = False
        self.dead: set[int] = set()
        self.measured = 0
        self.evicted = 0

    @property
    def is_online(self) -> bool:
        """True if data may be sent."""
        return self.phase is Phase.ONLINE

    def connect(self, now_ms: int) -> bytes:
        """The CONNECT of a new connection."""
        self.phase = Phase.CONNECTING
        self.wants_close = False
        self.bd_seq = (self.bd_seq + 1) % 256
        self.host_since = -1
        will = payloads.node_death(self.bd_seq, now_ms)
        return mqtt_packets.connect(self.gateway, KEEPALIVE_S, Will(self._topic("NDEATH"), will))

    def lost(self) -> None:
        """The connection is lost; reports without acknowledgement will be sent again."""
        self.phase = Phase.OFFLINE
        for batch in self.waiting:
            batch.sent_ms = 0
            batch.waits_ms = RETRY_MS

    def received(self, packet: Publish | Reply, now_ms: int) -> bytes:
        """Answer a packet of the broker."""
        if isinstance(packet, Publish):
            ack = mqtt_packets.puback(packet.packet_id) if packet.packet_id else b""
            return ack + self._published(packet, now_ms)
        if packet.kind == mqtt_packets.CONNACK:
            return self._connected(packet.return_code)
        if packet.kind == mqtt_packets.SUBACK and self.phase is Phase.SUBSCRIBING:
            self.phase = Phase.WAITING
            return self.births(now_ms) if self.host is None else b""
        return b""

    def births(self, now_ms: int) -> bytes:
        """NBIRTH and all DBIRTHs; data may follow."""
        self.phase = Phase.ONLINE
        self.counts.births += 1
        self.seq = 0
        birth = payloads.node_birth(self.bd_seq, now_ms, self._store_state(), self.about)
        out = [mqtt_packets.publish(self._topic("NBIRTH"), birth)]
        living = [d for d in range(len(self.shape.devices)) if d not in self.dead]
        out += [self.device_birth(d, now_ms) for d in living]
        self.counts.messages += len(out)
        return b"".join(out)

    def status(self, now_ms: int) -> bytes:
        """NDATA with the number of samples measured and waiting."""
        payload = payloads.node_status(now_ms, self.next_seq(), self._store_state())
        self.counts.messages += 1
        return mqtt_packets.publish(self._topic("NDATA"), payload)

    def device_birth(self, device: int, now_ms: int) -> bytes:
        """DBIRTH of one device."""
        self.dead.discard(device)
        payload = payloads.device_birth(
            self.shape, device, now_ms, self.next_seq(), acknowledged=self.acknowledged
        )
        return mqtt_packets.publish(self._topic("DBIRTH", device), payload)

    def device_death(self, device: int, now_ms: int) -> bytes:
        """DDEATH of one device; it has no birth until it is alive again."""
        self.dead.add(device)
        return mqtt_packets.publish(
            self._topic("DDEATH", device), payloads.device_death(now_ms, self.next_seq())
        )

    def disconnect(self, now_ms: int) -> bytes:
        """NDEATH and DISCONNECT, for an intended end of the session."""
        connected = self.phase is not Phase.OFFLINE and self.phase is not Phase.CONNECTING
        death = self.status(now_ms) if self.is_online else b""
        if connected:
            payload = payloads.node_death(self.bd_seq, now_ms)
            death += mqtt_packets.publish(self._topic("NDEATH"), payload, packet_id=7)
        self.wants_close = True
        return death + mqtt_packets.DISCONNECT_PACKET

    def next_seq(self) -> int:
        """The sequence number of the next message."""
        self.seq = (self.seq + 1) & 0xFF
        return self.seq

    def take_batch(
        self, device: int, time_ms: int, values: bytes, count: int, mark: int = 0
    ) -> int:
        """Keep a new report until it is acknowledged; returns its batch number."""
        number = self.next_batch
        self.next_batch += 1
        self.waiting.append(Batch(number, device, time_ms, values, count, mark=mark))
        if len(self.waiting) > self.limit:
            lost = self.waiting.popleft().count
            self.evicted += lost
            self.counts.evicted += lost
        return number

    def data(self, device: int, payload: bytes) -> bytes:
        """A data message from a payload without its sequence number (see template.DataTemplate)."""
        end = SEQUENCE[self.next_seq()]
        size = len(payload) + len(end)
        head = self.heads.get((device, size))
        if head is None:
            head = mqtt_packets.publish_head(self._topic("DDATA", device), size)
            self.heads[(device, size)] = head
        self.counts.messages += 1
        return head + payload + end

    def due_for_sending(self, now_ms: int, most: int) -> Iterator[Batch]:
        """At most ``most`` reports that must be sent or repeated now, oldest first."""
        given = 0
        for batch in self.waiting:
            if batch.sent_ms and now_ms - batch.sent_ms < batch.waits_ms:
                continue
            if batch.sent_ms:
                self.counts.sent_again += 1
                batch.waits_ms = min(batch.waits_ms * 2, LONGEST_RETRY_MS)
            batch.sent_ms = now_ms
            given += 1
            yield batch
            if given >= most:
                return

    def drop_sent(self, batches: Iterable[Batch]) -> None:
        """Drop reports that were sent, if delivery is not acknowledged."""
        numbers = {b.number for b in batches}
        self.waiting = deque(b for b in self.waiting if b.number not in numbers)

    def _connected(self, code: int) -> bytes:
        if code:
            self.counts.refused += 1
            self.wants_close = True
            return b""
        self.counts.connects += 1
        self.phase = Phase.SUBSCRIBING
        filters = (
            *((state_topic(self.host),) if self.host else ()),
            self._topic("NCMD"),
            str(Topic(self.group, "DCMD", self.gateway, "+")),
        )
        return mqtt_packets.subscribe(self.sub_id, filters)

    def _published(self, packet: Publish, now_ms: int) -> bytes:
        if self.host is not None and packet.topic == state_topic(self.host):
            return self._host_state_received(packet.payload, now_ms)
        if packet.topic == self._topic("NCMD"):
            return self._command_received(packet.payload, now_ms)
        return b""

    def _host_state_received(self, payload: bytes, now_ms: int) -> bytes:
        try:
            state = json.loads(payload)
            online, since = state["online"] is True, int(state["timestamp"])
        except (ValueError, KeyError, TypeError):
            return b""
        if since < self.host_since:
            return b""
        self.host_since = since
        if online and self.phase is Phase.WAITING:
            return self.births(now_ms)
        if not online and self.phase is Phase.ONLINE:
            return self.disconnect(now_ms)
        return b""

    def _command_received(self, payload: bytes, now_ms: int) -> bytes:
        try:
            command = payloads.read_command(payload)
        except PayloadError:
            return b""
        if command.ack_through is not None:
            self._take_acknowledgement(command.ack_through, now_ms)
        if command.rebirth and self.phase is Phase.ONLINE:
            self.counts.rebirths += 1
            return self.births(now_ms)
        return b""

    def shorten_retries(self, retry_ms: int) -> None:
        """Repeat reports sooner, before the fleet stops."""
        for batch in self.waiting:
            batch.waits_ms = min(batch.waits_ms, retry_ms)

    def _take_acknowledgement(self, through: int, now_ms: int) -> None:
        head = self.waiting[0] if self.waiting else None
        if head is not None and through == self.through and now_ms - head.sent_ms > HOLE_MS:
            head.sent_ms = 0  # the host repeats its acknowledgement: it misses the next report
        if not self.through < through < self.next_batch:
            return
        self.through = through
        while self.waiting and self.waiting[0].number <= through:
            self.counts.confirmed += self.waiting.popleft().count

    def _store_state(self) -> StoreState:
        oldest = self.waiting[0] if self.waiting else None
        return StoreState(
            self.acknowledged, self.through, oldest.number if oldest else self.next_batch,
            self.next_batch, sum(b.count for b in self.waiting),
            oldest.time_ms if oldest else None, self.measured, self.evicted,
        )  # fmt: skip

    def _topic(self, kind: str, device: int | None = None) -> str:
        name = None if device is None else self.shape.devices[device].name
        return str(Topic(self.group, kind, self.gateway, name))  # type: ignore[arg-type]  # ours are right
