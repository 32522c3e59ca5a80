"""How fast samples go from MQTT to their acknowledgement, against the bare stores and the usual way.

The way of a sample here: mosquitto, the whole service in one process (decode, quality control,
rules, detectors, store, ledger), acknowledgement. The references, in the same run: a loop that only
writes the same rows in commits of 10,000 into the same store; and a paho callback that makes an
``influxdb_client.Point`` of each sample and writes them to a real InfluxDB (1.x takes its line
protocol at /write; the client's own /api/v2/write it does not have).

With the embedded store both run until it owes nothing: every sample in a sorted part, every day
closed with its minutes, hours and days. A loop that stops at the journal shows what the disk takes
for seconds, not what the store takes for hours; that figure is printed without a target.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.ingest.ingest_references import (
    COMMIT,
    Load,
    bare_influx,
    bare_store,
    broker,
    influxdb,
    settle,
    usual_way,
)
from benchmarks.result import Result
from cloud_ingest.configuration import CloudConfiguration, in_folder
from cloud_ingest.stores import StoreConfiguration
from cloud_ingest.stores.embedded.files.folder import store_folder as samples_folder
from cloud_ingest.stores.embedded.store import EmbeddedStore
from tests.servers import free_port

LIVE: Load = ("20 samples a message, live", 200, 20, 1200, 20, 200)
BACKLOG: Load = ("1,000 samples a message, a backlog", 50, 20, 120, 1000, 1000)
INFLUX: Load = ("1,000 samples a message into InfluxDB 1.x", 50, 20, 48, 1000, 1000)
RULES = ["library/demo", "library/device-health"]


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = [*_embedded(folder, LIVE), *_embedded(folder, BACKLOG), *_influx(folder)]
        ours = results[0].value
        results.append(
            Result(
                "ingest", "MQTT to acknowledged commit, 20 samples a message", ours, "samples/s",
                "paho callback writing influxdb_client Points",
                usual_way(folder / "usual", LIVE, 60), target=5.0,
            )
        )  # fmt: skip
    return results


def _embedded(folder: Path, load: Load) -> Iterator[Result]:
    what = load[0]
    count, seconds, cpu_s, owed_s = ingest(folder / f"ours-{load[4]}", load)
    journal, bare = bare_store(folder / f"bare-{load[4]}", load)
    yield Result(
        "ingest", f"MQTT to acknowledged commit, {what}; beside the journal alone",
        count / seconds, "samples/s", "bare loop that leaves all rows in the journal", journal,
    )  # fmt: skip
    yield Result(
        "ingest", f"MQTT until the store owes nothing, {what}", count / (seconds + owed_s),
        "samples/s", f"bare loop until the store owes nothing, commits of {COMMIT}", bare,
        target=0.5,
    )  # fmt: skip
    cpu_us = cpu_s / count * 1e6
    yield Result("ingest", f"CPU of the service, {what}", cpu_us, "us/sample", "-", cpu_us,
                 higher_is_better=False)  # fmt: skip


def _influx(folder: Path) -> Iterator[Result]:
    with influxdb(folder / "influx") as server:
        count, seconds, _, _ = ingest(
            folder / "ours-influx", INFLUX, {"kind": "influxdb", "url": server.url}
        )
        bare = bare_influx(server.url, INFLUX)
    yield Result(
        "ingest", f"MQTT to acknowledged commit, {INFLUX[0]}", count / seconds, "samples/s",
        f"posting ready-made text, commits of {COMMIT}", bare, target=0.9,
    )  # fmt: skip


@contextlib.contextmanager
def service(
    folder: Path, url: str, store: dict[str, Any] | None = None
) -> Iterator[tuple[str, int]]:
    port = free_port()
    configuration = {
        "broker": {"url": url}, "store": store or {"kind": "embedded", "path": "data"},
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
        yield base, process.pid
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
    prefix: int,
    pid: int,
) -> tuple[float, int, float]:
    """Seconds from the first report to the last acknowledgement, samples, CPU seconds of ``pid``."""
    arguments = map(str, (port, gateways, metrics, reports, samples, step_ms, prefix, pid))
    out = subprocess.run(
        [sys.executable, "-m", "benchmarks.ingest.gateway_flood", *arguments],
        check=True, capture_output=True, text=True, timeout=120,
    ).stdout  # fmt: skip
    seconds, count, cpu_s = out.split()
    return float(seconds), int(count), float(cpu_s)


def ingest(
    folder: Path, load: Load, store: dict[str, Any] | None = None
) -> tuple[int, float, float, float]:
    """Samples, seconds until all are acknowledged, the service's CPU seconds, what is owed then.

    The last is how long the store needs by itself to bring everything into its final form.
    """
    _, gateways, metrics, reports, samples, step_ms = load
    with broker(folder) as b, service(folder, b.url, store) as (base, pid):
        flood(b.port, gateways, metrics, 2, samples, step_ms, 1, pid)  # first rules, warm caches
        seconds, count, cpu_s = flood(b.port, gateways, metrics, reports, samples, step_ms, 0, pid)
        stored = _stored(base)
        assert stored >= count, f"{stored} of {count} stored"
    if store is not None:
        return count, seconds, cpu_s, 0.0
    left = EmbeddedStore(
        samples_folder(
            StoreConfiguration.model_validate({"kind": "embedded", "path": folder / "data"})
        )
    )
    owed_s = settle(left)
    left.close()
    return count, seconds, cpu_s, owed_s


def _stored(base: str) -> int:
    total: int = 0
    cursor = ""
    while True:
        url = f"{base}/gateways?exact=true&limit=1000{cursor}"
        body: Any = json.load(urllib.request.urlopen(url))
        total += sum(g["samples_stored"] for g in body["items"])
        if body["next"] is None:
            return total
        cursor = f"&cursor={body['next']}"


if __name__ == "__main__":
    for result in run():
        print(f"{result.what}: {result.value:,.2f} {result.unit}; {result.reference}: "
              f"{result.reference_value:,.2f}; ratio {result.ratio:.3f} target {result.target}")  # fmt: skip
