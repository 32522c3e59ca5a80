"""What the ingest benchmarks are measured against: bare loops into the same stores, and the usual way."""

import contextlib
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
from influxdb_client.client.write.point import Point
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.ingest.gateway_flood import FloodGateway, Line
from cloud_ingest.intake.sparkplug.protobuf_messages import Payload
from cloud_ingest.stores.embedded.store import FLUSH_ROWS, EmbeddedStore
from cloud_ingest.stores.influxdb.client import Access, InfluxClient
from cloud_ingest.stores.influxdb.line_protocol import lines, prefix
from telemetry import mqtt_packets
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey
from telemetry.time.clock import utc_now_ms
from tests.servers import InfluxDB, Mosquitto, require

Load = tuple[str, int, int, int, int, int]
# name, gateways, metrics, reports of a gateway, samples of a report, milliseconds between samples
COMMIT = 10_000
SETTLED_MS = 2 * 86_400_000  # by then every day of the samples is over


@contextlib.contextmanager
def influxdb(folder: Path) -> Iterator[InfluxDB]:
    folder.mkdir(parents=True)
    server = InfluxDB(require("influxd", "influxdb"), folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[Mosquitto]:
    folder.mkdir(parents=True, exist_ok=True)
    made = Mosquitto(require("mosquitto", "mosquitto"), folder)
    made.start("max_queued_messages 0\nmax_queued_bytes 0\n")
    try:
        yield made
    finally:
        made.stop()


def settle(store: EmbeddedStore) -> float:
    """Let a store bring all it has into its final form; the seconds that takes."""
    began = time.perf_counter()
    store.flush()
    store.maintain(utc_now_ms() + SETTLED_MS)
    return time.perf_counter() - began


def rows(load: Load, start_ms: int | None = None) -> tuple[list[Series], list[SampleBatch]]:
    """The series and samples of a load, in commits; they end now, or begin at ``start_ms``."""
    _, gateways, metrics, reports, samples, step_ms = load
    count, rounds = gateways * metrics, reports * samples // metrics
    series = [
        Series(i, SeriesKey(f"flood-2-{i // metrics:05d}", "d", f"m{i % metrics}"), "flood",
               "s", "pm2_5", "ug/m3")
        for i in range(count)
    ]  # fmt: skip
    if start_ms is None:
        start_ms = utc_now_ms() - rounds * step_ms
    index = np.tile(np.arange(count, dtype=np.int32), rounds)
    time_ms = np.repeat(start_ms + step_ms * np.arange(rounds), count)
    value = 20.0 + np.arange(len(index)) % 11 / 10
    quality = np.ones(len(index), dtype=np.uint8)
    whole = SampleBatch.of(index, time_ms, value, quality)
    places = np.arange(len(index))
    return series, [whole.select(places[i : i + COMMIT]) for i in range(0, len(index), COMMIT)]


def bare_store(folder: Path, load: Load, start_ms: int | None = None) -> tuple[float, float]:
    """Rows a second of a loop that does nothing but write: to the journal, and until all is done.

    The second has the store write parts of as many rows as it does in the service.
    """
    series, batches = rows(load, start_ms)
    count = sum(map(len, batches))
    rates = []
    for every in (count + 1, FLUSH_ROWS):
        store = EmbeddedStore(folder / str(every), flush_rows=every)
        store.register(series)
        began, waiting = time.perf_counter(), 0
        for batch in batches:
            store.write(batch)
            waiting += len(batch)
            if waiting >= every:
                store.maintain(utc_now_ms())
                waiting = 0
        if every == FLUSH_ROWS:
            settle(store)
        rates.append(count / (time.perf_counter() - began))
        store.close()
    return rates[0], rates[1]


def bare_influx(url: str, load: Load) -> float:
    """Rows a second of a loop that posts line protocol which was made before."""
    series, batches = rows(load)
    prefixes = [prefix(s) for s in series]
    ready = ["\n".join(lines(batch, prefixes)).encode() for batch in batches]
    client = InfluxClient(Access(url))
    began = time.perf_counter()
    for text in ready:
        client.write("quantrac", text)
    return sum(map(len, batches)) / (time.perf_counter() - began)


def usual_way(folder: Path, load: Load, reports: int) -> float:
    """A paho callback that turns each sample into a Point and posts a batch of 5,000 as it fills."""
    with influxdb(folder / "influx") as server, broker(folder / "broker") as b:
        urllib.request.urlopen(f"{server.url}/query", data=b"q=CREATE%20DATABASE%20q")
        return _write_points(f"{server.url}/write?db=q&precision=ns", b.port, load, reports)


def _write_points(url: str, port: int, load: Load, reports: int) -> float:
    _, gateways, _, _, samples, _ = load
    wanted, done = gateways * reports * samples, threading.Event()
    points: list[Point] = []
    written = 0

    def send() -> None:
        nonlocal written
        text = "\n".join(p.to_line_protocol() for p in points).encode()
        urllib.request.urlopen(url, data=text)
        written += len(points)
        points.clear()
        if written >= wanted:
            done.set()

    def arrived(_client: Any, _data: Any, message: Any) -> None:
        gateway = message.topic.split("/")[3]
        for m in Payload.FromString(message.payload).metrics:
            if m.HasField("double_value"):
                points.append(
                    Point("pm2_5").tag("gateway", gateway).tag("metric", f"m{m.alias}")
                    .field("value", m.double_value).field("quality", 1).time(m.timestamp * 1_000_000)
                )  # fmt: skip
        if len(points) >= 5000 or written + len(points) >= wanted:
            send()

    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = arrived
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe("spBv1.0/+/DDATA/#")
    time.sleep(0.5)
    began = time.monotonic()
    _publish_all(port, load, reports)
    done.wait(60)
    seconds = time.monotonic() - began
    client.disconnect()
    client.loop_stop()
    return written / seconds


def _publish_all(port: int, load: Load, reports: int) -> None:
    _, gateways, metrics, _, samples, _ = load
    start_ms = utc_now_ms() - reports * 1000
    fleet = [FloodGateway(f"g{i}", metrics, samples, start_ms, 1000) for i in range(gateways)]
    line = Line(port)
    for _ in range(reports):
        line.send(b"".join(mqtt_packets.publish(*g.report()) for g in fleet))
