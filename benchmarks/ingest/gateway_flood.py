"""Many gateways at once, as fast as the host acknowledges: what the ingest benchmarks are fed by.

A process of its own, over raw sockets, so that what is measured is the host. Run as
``python -m benchmarks.ingest.gateway_flood PORT GATEWAYS METRICS REPORTS SAMPLES STEP_MS PREFIX PID`` it
prints the seconds from its first report until the last one was acknowledged, how many samples it sent,
and the CPU seconds that process PID spent meanwhile.
"""

import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from cloud_ingest.intake.sparkplug.protobuf_messages import Payload
from telemetry import mqtt_packets
from telemetry.mqtt_packets import Parser, Publish
from telemetry.sparkplug import names
from telemetry.time.clock import utc_now_ms

WINDOW = 32  # reports of a gateway that may wait for their acknowledgement, as at our edge
QUANTITIES = ("pm2_5", "air_temperature", "pm10", "no2", "o3", "so2")  # no alert at 20


@dataclass
class FloodGateway:
    """One gateway's messages; ``acknowledged`` is the highest number that the host confirmed."""

    name: str
    metrics: int
    samples: int
    start_ms: int
    step_ms: int
    first: int = 1
    seq: int = 1
    sent: int = 0
    acknowledged: int = 0

    def births(self) -> Iterator[tuple[str, bytes]]:
        """The NBIRTH and the DBIRTH: topic and payload."""
        node = Payload(timestamp=self.start_ms, seq=0)
        for name, value in (("bdSeq", 0), (names.ACK_THROUGH, 0), (names.STORE_OLDEST, self.first),
                            (names.STORE_NEXT, self.first)):  # fmt: skip
            node.metrics.add(name=name, datatype=8, long_value=value)
        yield f"spBv1.0/flood/NBIRTH/{self.name}", node.SerializeToString()
        device = Payload(timestamp=self.start_ms, seq=1)
        for i in range(self.metrics):
            m = device.metrics.add(name=f"m{i}", alias=i + 1, datatype=10, is_null=True)
            m.properties.keys.extend([names.QUANTITY, names.INTERVAL])
            quantity = QUANTITIES[i % len(QUANTITIES)]
            m.properties.values.add(type=12, string_value=quantity)
            m.properties.values.add(type=4, long_value=1000)
        device.metrics.add(name=names.STORE_BATCH, alias=120, datatype=8, is_null=True)
        yield f"spBv1.0/flood/DBIRTH/{self.name}/d", device.SerializeToString()

    def report(self) -> tuple[str, bytes]:
        """The next report: topic and payload."""
        number = self.first + self.sent
        self.sent += 1
        self.seq = (self.seq + 1) % 256
        payload = Payload(timestamp=self.start_ms, seq=self.seq)
        rounds = self.samples // self.metrics
        for r in range(rounds):
            at = self.start_ms + ((number - 1) * rounds + r) * self.step_ms
            for i in range(self.metrics):
                payload.metrics.add(
                    alias=i + 1, timestamp=at, double_value=20.0 + (i * 7 + number + r) % 11 / 10
                )
        payload.metrics.add(
            alias=120, timestamp=self.start_ms, is_transient=True, long_value=number
        )
        return f"spBv1.0/flood/DDATA/{self.name}/d", payload.SerializeToString()


class Line:
    """A raw MQTT connection that hears acknowledgements."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(mqtt_packets.connect("flood", 0))
        self._socket.sendall(mqtt_packets.subscribe(1, ["spBv1.0/+/NCMD/+"], qos=0))
        self._parser = Parser(Publish)

    def send(self, data: bytes) -> None:
        """Send packets."""
        self._socket.settimeout(60)
        self._socket.sendall(data)

    def acknowledgements(self, timeout_s: float) -> Iterator[tuple[str, int]]:
        """What the host confirmed: gateway and number."""
        self._socket.settimeout(timeout_s)
        try:
            data = self._socket.recv(1 << 18)
        except TimeoutError:
            return
        for packet in self._parser.feed(data, now_ms=0):
            if isinstance(packet, Publish):
                gateway = packet.topic.rsplit("/", 1)[-1]
                for m in Payload.FromString(packet.payload).metrics:
                    if m.name == names.ACK_THROUGH:
                        yield gateway, m.long_value


def main(
    port: int,
    gateways: int,
    metrics: int,
    reports: int,
    samples: int,
    step_ms: int,
    prefix: int,
    pid: int,
) -> None:
    """Send ``reports`` of each gateway, their samples ``step_ms`` apart, ending about now."""
    start_ms = utc_now_ms() - reports * (samples // metrics) * step_ms
    fleet = {
        f"flood-{prefix}-{i:05d}": FloodGateway(
            f"flood-{prefix}-{i:05d}", metrics, samples, start_ms, step_ms
        )
        for i in range(gateways)
    }
    line = Line(port)
    for gateway in fleet.values():
        line.send(b"".join(mqtt_packets.publish(*m) for m in gateway.births()))
    answered: set[str] = set()
    while len(answered) < gateways:  # each birth is answered with an acknowledgement
        answered |= {name for name, _ in line.acknowledgements(5)}
    prepared = prepare(list(fleet.values()), reports)
    watched = psutil.Process(pid)
    cpu_s = -_cpu_s(watched)
    began = time.monotonic()
    open_names = set(fleet)
    while open_names:
        for name in list(open_names):
            gateway = fleet[name]
            until = min(reports, gateway.acknowledged + WINDOW)
            if gateway.sent < until:
                line.send(b"".join(prepared[name][gateway.sent : until]))
                gateway.sent = until
        for name, through in line.acknowledgements(1):
            fleet[name].acknowledged = max(fleet[name].acknowledged, through)
            if fleet[name].acknowledged >= reports:
                open_names.discard(name)
    seconds = time.monotonic() - began
    cpu_s += _cpu_s(watched)
    print(seconds, gateways * reports * (samples // metrics) * metrics, cpu_s)


def prepare(fleet: list[FloodGateway], reports: int) -> dict[str, list[bytes]]:
    """The packets of all reports by gateway. What differs between gateways is only the topic."""
    first = fleet[0]
    topic, payloads = "", []
    for _ in range(reports):
        topic, payload = first.report()
        payloads.append(payload)
    first.sent = 0
    return {
        g.name: [
            mqtt_packets.publish(topic.replace(first.name, g.name), payload) for payload in payloads
        ]
        for g in fleet
    }


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
