"""How fast samples go from MQTT to their acknowledgement, against the bare store and the usual way.

The way of a sample here: mosquitto, the whole service in one process (decode, quality control,
rules, store, ledger), acknowledgement. The references, in the same run: a loop that only writes the
same rows into the same store in commits of 10,000, and a paho callback that makes an
``influxdb_client.Point`` of each sample and writes them to a real InfluxDB (1.x takes its line
protocol at /write; the client's own /api/v2/write it does not have).
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
import psutil
from influxdb_client import Point

from benchmarks.result import Result
from cloud_ingest.configuration import CloudConfiguration, in_folder
from cloud_ingest.intake.messages import Payload
from cloud_ingest.stores.embedded.store import EmbeddedStore
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey
from tests.servers import InfluxDB, Mosquitto, free_port, require

Load = tuple[str, int, int, int, int, int]
# name, gateways, metrics, reports of a gateway, samples of a report, milliseconds between samples
LIVE: Load = ("20 samples a message, live", 200, 20, 100, 20, 200)
BACKLOG: Load = ("1,000 samples a message, a backlog", 50, 20, 20, 1000, 1000)
RULES = ["library/demo", "library/device-health"]
COMMIT = 10_000


def run() -> list[Result]:
    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for load in (LIVE, BACKLOG):
            what, gateways, metrics, reports, samples, _ = load
            ours, cpu_us = ingest(folder / str(samples), load)
            bare = bare_store(
                folder / f"bare-{samples}", gateways * metrics, reports * samples // metrics
            )
            results.append(
                Result(
                    "ingest", f"MQTT to acknowledged commit, {what}", ours, "samples/s",
                    f"bare store loop, commits of {COMMIT}", bare, target=0.5,
                )
            )  # fmt: skip
            results.append(
                Result("ingest", f"CPU of the service, {what}", cpu_us, "us/sample", "-", cpu_us,
                       higher_is_better=False)
            )  # fmt: skip
        _, gateways, metrics, _, samples, _ = LIVE
        ours = next(r.value for r in results if "20 samples" in r.what)
        results.append(
            Result(
                "ingest", "MQTT to acknowledged commit, 20 samples a message", ours, "samples/s",
                "paho callback writing influxdb_client Points",
                usual_way(folder / "usual", gateways, metrics, 60, samples), target=5.0,
            )
        )  # fmt: skip
    return results


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[Mosquitto]:
    folder.mkdir(parents=True, exist_ok=True)
    made = Mosquitto(require("mosquitto", "mosquitto"), folder)
    made.start("max_queued_messages 0\nmax_queued_bytes 0\n")
    try:
        yield made
    finally:
        made.stop()


@contextlib.contextmanager
def service(folder: Path, url: str) -> Iterator[tuple[str, psutil.Process]]:
    port = free_port()
    configuration = {
        "broker": {"url": url}, "store": {"kind": "embedded", "path": "data"},
        "web": {"port": port}, "rules": RULES,
        "intake": {"new_series_per_minute": 1_000_000, "rebirths_per_s": 1000},
    }  # fmt: skip
    in_folder(CloudConfiguration.model_validate(configuration), folder)
    file = folder / "cloud.yaml"
    file.write_text(json.dumps(configuration))
    log = (folder / "cloud.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "quantrac", "cloud", "run", "--config", str(file)],
        stdout=log, stderr=log,
    )  # fmt: skip
    base = f"http://127.0.0.1:{port}/api/v1"
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if urllib.request.urlopen(f"{base}/health").status == 200:
                    break
            time.sleep(0.1)
        yield base, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(10)


def flood(
    port: int,
    gateways: int,
    metrics: int,
    reports: int,
    samples: int,
    step_ms: int,
    prefix: int = 0,
) -> tuple[float, int]:
    """Seconds from the first report to the last acknowledgement, and how many samples."""
    arguments = map(str, (port, gateways, metrics, reports, samples, step_ms, prefix))
    out = subprocess.run(
        [sys.executable, "-m", "benchmarks.gateway_flood", *arguments],
        check=True, capture_output=True, text=True, timeout=120,
    ).stdout  # fmt: skip
    began, ended, count = out.split()
    return float(ended) - float(began), int(count)


def ingest(folder: Path, load: Load) -> tuple[float, float]:
    """Samples a second, and CPU microseconds of the service for each."""
    _, gateways, metrics, reports, samples, step_ms = load
    with broker(folder) as b, service(folder, b.url) as (base, process):
        flood(b.port, gateways, metrics, 2, samples, step_ms, 1)  # births, first rules, warm caches
        before = process.cpu_times()
        seconds, count = flood(b.port, gateways, metrics, reports, samples, step_ms)
        after = process.cpu_times()
        stored = _stored(base)
        assert stored >= count, f"{stored} of {count} stored"
    cpu_s = after.user + after.system - before.user - before.system
    return count / seconds, cpu_s / count * 1e6


def _stored(base: str) -> int:
    total, cursor = 0, ""
    while True:
        url = f"{base}/gateways?exact=true&limit=1000{cursor}"
        body: Any = json.load(urllib.request.urlopen(url))
        total += sum(g["samples_stored"] for g in body["items"])
        if body["next"] is None:
            return total
        cursor = f"&cursor={body['next']}"


def bare_store(folder: Path, series: int, rounds: int) -> float:
    """Rows a second of a loop that does nothing but write."""
    store = EmbeddedStore(folder)
    store.register(
        [Series(i, SeriesKey(f"g{i}", "d", "m"), "g", "s", "pm2_5", "ug/m3") for i in range(series)]
    )
    start_ms = time.time_ns() // 1_000_000 - rounds * 1000
    index = np.tile(np.arange(series, dtype=np.int32), rounds)
    time_ms = np.repeat(start_ms + 1000 * np.arange(rounds), series)
    value = 20.0 + np.arange(len(index)) % 11 / 10
    quality = np.ones(len(index), dtype=np.uint8)
    batches = [
        SampleBatch.of(index[i : i + COMMIT], time_ms[i : i + COMMIT], value[i : i + COMMIT], quality[i : i + COMMIT])
        for i in range(0, len(index), COMMIT)
    ]  # fmt: skip
    began = time.perf_counter()
    for batch in batches:
        store.write(batch)
    seconds = time.perf_counter() - began
    store.close()
    return len(index) / seconds


def usual_way(folder: Path, gateways: int, metrics: int, reports: int, samples: int) -> float:
    """A paho callback that turns each sample into a Point and posts a batch of 5,000 as it fills."""
    folder.mkdir(parents=True)
    influx = InfluxDB(require("influxd", "influxdb"), folder)
    influx.start()
    urllib.request.urlopen(f"{influx.url}/query", data=b"q=CREATE%20DATABASE%20q")
    wanted, done, points = gateways * reports * samples, threading.Event(), []
    written = 0

    def send() -> None:
        nonlocal written
        text = "\n".join(p.to_line_protocol() for p in points).encode()
        urllib.request.urlopen(f"{influx.url}/write?db=q&precision=ns", data=text)
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

    with broker(folder) as b:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.on_message = arrived
        client.connect("127.0.0.1", b.port)
        client.loop_start()
        client.subscribe("spBv1.0/+/DDATA/#")
        time.sleep(0.5)
        began = time.monotonic()
        _publish_all(b.port, gateways, metrics, reports, samples)
        done.wait(60)
        seconds = time.monotonic() - began
        client.disconnect()
        client.loop_stop()
    influx.stop()
    return written / seconds


def _publish_all(port: int, gateways: int, metrics: int, reports: int, samples: int) -> None:
    from benchmarks.gateway_flood import FloodGateway, Line, publish  # noqa: PLC0415  # only here

    start_ms = time.time_ns() // 1_000_000 - reports * 1000
    fleet = [FloodGateway(f"g{i}", metrics, samples, start_ms, 1000) for i in range(gateways)]
    line = Line(port)
    for _ in range(reports):
        line.send(b"".join(publish(*g.report()) for g in fleet))


if __name__ == "__main__":
    for result in run():
        print(f"{result.what}: {result.value:,.2f} {result.unit}; {result.reference}: "
              f"{result.reference_value:,.2f}; ratio {result.ratio:.3f} target {result.target}")  # fmt: skip
