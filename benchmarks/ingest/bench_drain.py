"""How fast a backlog goes from an outbox into the store, and how late a live sample is meanwhile.

One gateway (outbox and uplink as in the agent), mosquitto, and the cloud service as a process of
its own with the embedded store. Reference: a loop that writes the same samples into the same store.
Both go on until the store owes nothing (benchmarks/ingest/ingest_references.py).

After an outage a gateway goes on measuring: all its metrics report live each second, and the
backlog behind them is late data, which is judged from the store once it has settled; how long that
takes is told too. Beside it stands the worst case: the gateway's sensors have fallen silent but
for one, so that the rules and detectors take the whole backlog in as it comes.

``python -m benchmarks.ingest.bench_drain --samples 1000000`` does it with a smaller backlog.
"""

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.ingest.ingest_references import Load, bare_store, settle
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
from telemetry.time.clock import utc_now_ms
from tests.servers import Mosquitto, free_port, wait_until

DEVICES, METRICS = 5, 20
SAMPLES = 5_000_000
WEEK_MS = 7 * 86_400_000


def run(samples: int = SAMPLES) -> list[Result]:
    """Drain a backlog; report the rate beside the store's own and the age of live samples."""
    start_ms = utc_now_ms() - WEEK_MS
    folder = Path(tempfile.mkdtemp(prefix="quantrac-drain-"))
    try:
        on = _drain(folder / "on", samples // METRICS, start_ms, measuring=True)
        silent = _drain(folder / "silent", samples // METRICS, start_ms, measuring=False)
        rounds = samples // (DEVICES * METRICS)
        load: Load = ("drain", DEVICES, METRICS, rounds, METRICS, 1000)
        journal, bare = bare_store(folder / "bare", load, start_ms)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    size = f"{samples / 1e6:g} million samples"
    return [
        Result("drain", f"backlog of {size}, from outbox until the store owes nothing",
               samples / (on.acknowledged_s + on.owed_s), "samples/s",
               "bare loop until the store owes nothing", bare, 0.5),
        Result("drain", f"backlog of {size}, from outbox to acknowledgement",
               samples / on.acknowledged_s, "samples/s",
               "bare loop that leaves all rows in the journal", journal),
        Result("drain-judged", f"backlog of {size}, until the rules have judged it too",
               on.judged_s, "s", "drained", on.acknowledged_s, higher_is_better=False),
        Result("drain-silent", f"backlog of {size} and no live data, until the store owes nothing",
               samples / (silent.acknowledged_s + silent.owed_s), "samples/s",
               "bare loop until the store owes nothing", bare),
        Result("drain-live", f"age of a live sample in the API behind {size}, worst",
               max(on.live_s, silent.live_s), "s", "allowed", 2.0, 1.0, higher_is_better=False),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Drained:
    """Seconds until all was acknowledged and judged, what the store owed then, the worst live age."""

    acknowledged_s: float
    judged_s: float
    live_s: float
    owed_s: float = 0.0


def _drain(folder: Path, reports: int, start_ms: int, *, measuring: bool) -> _Drained:
    folder.mkdir()
    found = _watched(folder, reports, start_ms, measuring=measuring)
    left = EmbeddedStore(folder / "data" / "samples")
    owed_s = settle(left)
    left.close()
    return replace(found, owed_s=owed_s)


def _watched(folder: Path, reports: int, start_ms: int, *, measuring: bool) -> _Drained:
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
        wait_until(lambda: uplink.state.delivering, "the cloud is there")
        return _watch(outbox, port, folder / "data" / "quantrac.db", measuring=measuring)
    finally:
        uplink.stop()
        outbox.close()
        cloud.terminate()
        cloud.wait(20)
        broker.stop()


def _watch(outbox: Outbox, port: int, database: Path, *, measuring: bool) -> _Drained:
    start = time.perf_counter()
    first = outbox.status()
    worst = measured_s = seconds = 0.0
    while not seconds or outbox.status().depth_samples:
        now_ms = utc_now_ms()
        outbox.put([Report("d0", (Sample("m0", now_ms, 1.0),))])
        if measuring and time.perf_counter() - measured_s >= 1:
            measured_s = time.perf_counter()
            outbox.put([_report(device, now_ms, measured_s) for device in range(DEVICES)])
        worst = max(worst, _age_in_api(port, now_ms))
        if outbox.status().ack_through >= first.next_batch - 1 and not seconds:
            seconds = time.perf_counter() - start
    if measuring:
        wait_until(lambda: not _unjudged(database), "late data is judged", timeout_s=900)
    return _Drained(seconds, time.perf_counter() - start, worst)


def _unjudged(database: Path) -> int:
    """How many series have late data that no rule has judged."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM late_data").fetchone()
    return int(count)


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
                _report(i % DEVICES, start_ms + i // DEVICES * 1000 + i % DEVICES, i * 0.01)
                for i in range(k, k + 1000)
            ]
        )


def _report(device: int, time_ms: int, value: float) -> Report:
    return Report(f"d{device}", tuple(Sample(f"m{j}", time_ms, value + j) for j in range(METRICS)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    for result in run(parser.parse_args().samples):
        print(f"{result.what}: {result.value:,.2f} {result.unit}; {result.reference}: "
              f"{result.reference_value:,.2f}; ratio {result.ratio:.3f} target {result.target}")  # fmt: skip
