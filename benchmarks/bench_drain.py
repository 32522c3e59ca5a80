"""How fast a backlog goes from an outbox into the store, and how late a live sample is meanwhile.

One gateway (outbox and uplink as in the agent), mosquitto, and the cloud service as a process of
its own with the embedded store. Reference: a loop that writes the same samples into the same store.
Both go on until the store owes nothing (benchmarks/ingest_references.py).

``python -m benchmarks.bench_drain --samples 5000000`` does it with a backlog of that size.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.ingest_references import Load, bare_store, settle
from benchmarks.result import Result
from cloud_ingest.stores.embedded.store import EmbeddedStore
from edge_agent.outbox import Outbox, Report
from edge_agent.uplink import (
    BrokerAddress,
    DeviceDescription,
    MetricDescription,
    NodeDescription,
    Uplink,
    UplinkSettings,
)
from telemetry.samples import Sample
from tests.servers import Mosquitto, free_port, wait_until

DEVICES, METRICS = 5, 20
SAMPLES = 1_000_000
WEEK_MS = 7 * 86_400_000


def run(samples: int = SAMPLES) -> list[Result]:
    """Drain a backlog; report the rate beside the store's own and the age of live samples."""
    start_ms = time.time_ns() // 1_000_000 - WEEK_MS
    folder = Path(tempfile.mkdtemp(prefix="quantrac-drain-"))
    try:
        seconds, live = _drain(folder, samples // METRICS, start_ms)
        left = EmbeddedStore(folder / "data" / "samples")
        owed_s = settle(left)
        left.close()
        rounds = samples // (DEVICES * METRICS)
        load: Load = ("drain", DEVICES, METRICS, rounds, METRICS, 1000)
        journal, bare = bare_store(folder / "bare", load, start_ms)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    size = f"{samples / 1e6:g} million samples"
    return [
        Result("drain", f"backlog of {size}, from outbox until the store owes nothing",
               samples / (seconds + owed_s), "samples/s",
               "bare loop until the store owes nothing", bare, 0.5),
        Result("drain", f"backlog of {size}, from outbox to acknowledgement", samples / seconds,
               "samples/s", "bare loop that leaves all rows in the journal", journal),
        Result("drain-live", f"age of a live sample in the API behind {size}, worst", live, "s",
               "allowed", 2.0, 1.0, higher_is_better=False),
    ]  # fmt: skip


def _drain(folder: Path, reports: int, start_ms: int) -> tuple[float, float]:
    """Seconds until the backlog is acknowledged, and the age of the latest live sample."""
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
        _fill(outbox, reports, start_ms)
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
    seconds = 0.0
    while True:
        now_ms = time.time_ns() // 1_000_000
        outbox.put([Report("d0", (Sample("m0", now_ms, 1.0),))])
        worst = max(worst, _age_in_api(port, now_ms))
        status = outbox.status()
        if status.ack_through >= first.next_batch - 1 and not seconds:
            seconds = time.perf_counter() - start
        if status.depth_samples == 0:
            return seconds, worst


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


def _fill(outbox: Outbox, reports: int, start_ms: int) -> None:
    for k in range(0, reports, 1000):
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    for result in run(parser.parse_args().samples):
        print(f"{result.what}: {result.value:,.2f} {result.unit}; {result.reference}: "
              f"{result.reference_value:,.2f}; ratio {result.ratio:.3f} target {result.target}")  # fmt: skip
