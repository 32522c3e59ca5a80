"""What a sample costs as the fleet grows: CPU for each million samples, and memory for each series.

The same number of samples from 10, 100, 1,000 and 10,000 gateways of five series each goes through
the pipeline (decode, quality control, rules, embedded store, ledger), each fleet in a process of
its own. The network is left out: its cost is a message's, whoever sends it.
"""

import gc
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.gateway_flood import FloodGateway
from benchmarks.result import Result
from cloud_ingest.configuration import CloudConfiguration, in_folder
from cloud_ingest.intake.message import Message
from cloud_ingest.service import Service

FLEETS = (10, 100, 1_000, 10_000)
METRICS = 5
SAMPLES = 100_000
RULES = ["library/demo", "library/device-health"]


def run() -> list[Result]:
    measured = [_measure(gateways) for gateways in FLEETS]
    smallest = measured[0]["cpu_s"]
    results = [
        Result(
            "ingest_scale", f"CPU a million samples, {gateways:,} gateways", m["cpu_s"], "s",
            f"{FLEETS[0]} gateways", smallest, target=1.2, higher_is_better=False,
        )
        for gateways, m in zip(FLEETS, measured, strict=True)
    ]  # fmt: skip
    largest = measured[-1]
    results.append(
        Result("ingest_scale", f"memory a series, {FLEETS[-1] * METRICS:,} series",
               largest["bytes_per_series"], "B", "what the design allows", 1000.0, target=1.0,
               higher_is_better=False)
    )  # fmt: skip
    return results


def _measure(gateways: int) -> dict[str, float]:
    out = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_ingest_scale", str(gateways)],
        check=True, capture_output=True, text=True, timeout=170,
    ).stdout  # fmt: skip
    return dict(json.loads(out.splitlines()[-1]))


def measure_here(gateways: int) -> dict[str, float]:
    """CPU seconds for a million samples, and bytes for a series, of one fleet."""
    reports = SAMPLES // (gateways * METRICS)
    with tempfile.TemporaryDirectory() as folder:
        service = Service(_configuration(Path(folder)))
        service.alerts.start(time.time_ns() // 1_000_000)
        start_ms = time.time_ns() // 1_000_000 - 60_000
        step_ms = max(1, 50_000 // reports)
        fleet = [
            FloodGateway(f"g{i:05d}", METRICS, METRICS, start_ms, step_ms) for i in range(gateways)
        ]
        gc.collect()
        before = psutil.Process().memory_info().rss
        for gateway in fleet:
            _feed(service, gateway.births())
        _drain(service)
        _feed(service, (g.report() for g in fleet))  # the first sample of each series
        _drain(service)
        gc.collect()
        grown = psutil.Process().memory_info().rss - before
        messages = [g.report() for _ in range(reports) for g in fleet]
        cpu = time.process_time()
        for at in range(0, len(messages), 4000):
            _feed(service, messages[at : at + 4000])
            _drain(service)
        cpu = time.process_time() - cpu
        stored = sum(service.ledger.samples_stored(g.name) for g in fleet)
        assert stored == (reports + 1) * gateways * METRICS, stored
        service.store.close()
    return {
        "cpu_s": cpu / (len(messages) * METRICS) * 1e6,
        "bytes_per_series": grown / (gateways * METRICS),
    }


def _configuration(folder: Path) -> CloudConfiguration:
    return in_folder(
        CloudConfiguration.model_validate(
            {
                "broker": {"url": "mqtt://127.0.0.1:1"}, "rules": RULES,
                "store": {"kind": "embedded", "path": "data"},
                "intake": {"new_series_per_minute": 10_000_000, "queue_bytes": 1_000_000_000,
                           "batch_ms": 10_000},
            }
        ),
        folder,
    )  # fmt: skip


def _feed(service: Service, messages: object) -> None:
    now_ms = time.time_ns() // 1_000_000
    for topic, payload in messages:  # type: ignore[attr-defined]
        service.inbox.put(Message(topic, payload, now_ms))


def _drain(service: Service) -> None:
    while len(service.inbox):
        message = service.inbox.take(0)
        while message is not None and service.receiver.pending < 50_000:
            service.receiver.take(message)
            message = service.inbox.take(0)
        if message is not None:
            service.receiver.take(message)
        service.pipeline.commit_gathered()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure_here(int(sys.argv[1]))))
    else:
        for result in run():
            print(f"{result.what}: {result.value:,.2f} {result.unit} (ratio {result.ratio:.2f})")
