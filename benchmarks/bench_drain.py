"""How fast a backlog goes from an outbox into the store, and how late a live sample is meanwhile.

One gateway (outbox and uplink as in the agent), mosquitto, and the cloud service as a process of
its own with the embedded store. Reference: the same store filled with the same samples directly.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np

from benchmarks.result import Result
from cloud_ingest.stores import StoreConfiguration, open_store
from edge_agent.outbox import Outbox, Report
from edge_agent.uplink import (
    BrokerAddress,
    DeviceDescription,
    MetricDescription,
    NodeDescription,
    Uplink,
    UplinkSettings,
)
from telemetry.batches import SampleBatch
from telemetry.samples import Sample
from telemetry.series import Series, SeriesKey
from tests.servers import Mosquitto, free_port, wait_until

DEVICES, METRICS, REPORTS = 5, 20, 50_000
SAMPLES = METRICS * REPORTS
STORE_BATCH = 50_000


def run() -> list[Result]:
    """Drain a million samples; report the rate beside the store's own and the age of live samples."""
    folder = Path(tempfile.mkdtemp(prefix="quantrac-drain-"))
    try:
        drained, live = _drain(folder)
        direct = _direct(folder / "direct")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    bare = Result("drain", "backlog from outbox to store", drained, "samples/s",
                  "the store's bulk insert", direct, 0.5)  # fmt: skip
    late = Result("drain-live", "age of a live sample in the API while draining, worst", live, "s",
                  "allowed", 2.0, 1.0, higher_is_better=False)  # fmt: skip
    return [bare, late]


def _direct(folder: Path) -> float:
    store = open_store(StoreConfiguration(kind="embedded", path=folder))
    series = [
        Series(i, SeriesKey("gw", f"d{i // METRICS}", f"m{i % METRICS}"), "g", "s", "laeq", "dB[A]")
        for i in range(DEVICES * METRICS)
    ]
    store.register(series)
    start = time.perf_counter()
    n = STORE_BATCH // len(series)
    for k in range(SAMPLES // STORE_BATCH):
        times = 1_780_000_000_000 + 1000 * np.repeat(np.arange(k * n, (k + 1) * n), len(series))
        store.write(
            SampleBatch.of(
                np.tile(np.arange(len(series)), n), times, np.random.default_rng(k).normal(size=len(times)),
                np.full(len(times), 2),
            )
        )  # fmt: skip
    rate = SAMPLES / (time.perf_counter() - start)
    store.close()
    return rate


def _drain(folder: Path) -> tuple[float, float]:
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise RuntimeError("mosquitto is not installed")
    (folder / "broker").mkdir()
    broker = Mosquitto(program, folder / "broker")
    broker.start()
    port = free_port()
    (folder / "cloud.yaml").write_text(
        f"broker: {{url: {broker.url}}}\nstore: {{kind: embedded, path: ./data}}\n"
        f"web: {{port: {port}}}\ndatabase: sqlite:///./data/quantrac.db\n"
    )
    log = (folder / "cloud.log").open("wb")
    cloud = subprocess.Popen(
        [sys.executable, "-m", "quantrac", "cloud", "run", "--config", str(folder / "cloud.yaml")],
        stdout=log, stderr=log,
    )  # fmt: skip
    outbox = Outbox(folder / "outbox.db")
    uplink = Uplink(
        UplinkSettings("g", "gw", (BrokerAddress(broker.url),), "quantrac"), outbox, _node()
    )
    try:
        _fill(outbox)
        uplink.start()
        for device in range(DEVICES):
            uplink.device_online(f"d{device}")
        wait_until(lambda: uplink.state.delivering, 30, "the cloud is there")
        return _watch(outbox, port)
    finally:
        uplink.stop()
        outbox.close()
        cloud.terminate()
        cloud.wait(20)
        broker.stop()


def _watch(outbox: Outbox, port: int) -> tuple[float, float]:
    start = time.perf_counter()
    first = outbox.status()
    worst = 0.0
    rate = 0.0
    while True:
        now_ms = time.time_ns() // 1_000_000
        outbox.put([Report("d0", (Sample("m0", now_ms, 1.0),))])
        worst = max(worst, _age_in_api(port, now_ms))
        status = outbox.status()
        if status.ack_through >= first.next_batch - 1 and not rate:
            rate = first.depth_samples / (time.perf_counter() - start)
        if status.depth_samples == 0:
            return rate, worst


def _age_in_api(port: int, time_ms: int) -> float:
    url = f"http://127.0.0.1:{port}/api/v1/latest?limit=1000"
    while True:
        with urllib.request.urlopen(url, timeout=10) as reply:
            items = json.load(reply)["items"]
        newest = max((i["time_ms"] for i in items if str(i["series"]).endswith("d0/m0")), default=0)
        age = time.time() - time_ms / 1000
        if newest >= time_ms or age > 20:
            return age
        time.sleep(0.05)


def _node() -> NodeDescription:
    metrics = tuple(MetricDescription(f"m{i}", "laeq", "dB[A]", 1000) for i in range(METRICS))
    return NodeDescription(tuple(DeviceDescription(f"d{i}", metrics) for i in range(DEVICES)))


def _fill(outbox: Outbox) -> None:
    start_ms = time.time_ns() // 1_000_000 - 7 * 86_400_000
    for k in range(0, REPORTS, 1000):
        outbox.put(
            [
                Report(
                    f"d{i % DEVICES}",
                    tuple(
                        Sample(f"m{j}", start_ms + i // DEVICES * 1000 + i % DEVICES, i * 0.01 + j)
                        for j in range(METRICS)
                    ),
                )
                for i in range(k, k + 1000)
            ]
        )
