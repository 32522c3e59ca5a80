"""What a sample costs as the fleet grows: CPU for each million samples, and memory for each series.

The same number of samples, 20 a message, from 10, 100, 1,000 and 10,000 gateways of five series
each goes through the pipeline (decode, quality control, rules, detectors, embedded store, ledger,
acknowledgements), each fleet in a process of its own, after each gateway has sent its births and
its first reports. The network is left out: its cost is a message's, whoever sends it. Memory is
measured twice: what ingest keeps of a series, and that together with what rules and detectors keep.

Messages come as fast as they are taken, as after an outage, so that a sample's own price is told
apart from that of a commit for a few samples, of which a small fleet makes more for each sample.
Every fleet begins and ends with all samples in parts and in the ledger and pays for its own: each
sample is written to a part once, each report entered once. Without that the largest fleet paid for
the reports of its warm-up too (400,000 samples in parts, a turn of the ledger), all others for none,
and a third of what the small ones sent was in no part when the clock stopped.

``python -m benchmarks.ingest.bench_ingest_scale --plot docs/images/scaling.svg`` draws what it measured;
``--messages 160000`` measures longer.
"""

import argparse
import ctypes
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from benchmarks.ingest.gateway_flood import FloodGateway
from benchmarks.ingest.scaling_plot import draw
from benchmarks.result import Result
from cloud_ingest.configuration import CloudConfiguration, in_folder
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.partition import DEFAULT_PARTITION
from cloud_ingest.service import Service
from cloud_ingest.stores.embedded.store import EmbeddedStore
from cloud_ingest.stores.protocol import SampleStore
from telemetry.batches import SampleBatch
from telemetry.series import Series
from telemetry.time.clock import utc_now_ms

FLEETS = (10, 100, 1_000, 10_000)
METRICS = 5
STATIONS, OF_A_STATION = 2_500, 20  # as many series in all as the largest fleet
SAMPLES = 20
MESSAGES = 40_000
WARM_UP = 2
ROUNDS = 2
RULES = ["library/demo", "library/device-health"]


def run() -> list[Result]:
    return results(measure())


def measure() -> dict[str, Any]:
    """CPU seconds for a million samples by fleet, and bytes a series without and with judging."""
    return {
        "cpu": measure_cpu(),
        "ingest": float(_in_a_process("memory", STATIONS)),
        "small": float(_in_a_process("memory", FLEETS[-1])),
        "everything": float(_in_a_process("memory-of-all", STATIONS)),
    }


def measure_cpu(messages: int = MESSAGES) -> dict[int, float]:
    """CPU seconds for a million samples by number of gateways, from so many messages."""
    cpu: dict[int, float] = {}
    for _ in range(ROUNDS):  # the best counts: other programs only ever add
        for gateways in FLEETS:
            seconds = float(_in_a_process("cpu", gateways, messages))
            cpu[gateways] = min(seconds, cpu.get(gateways, seconds))
    return cpu


def results(measured: dict[str, Any]) -> list[Result]:
    found = cpu_results(measured["cpu"])

    def memory(what: str, value: float, target: float | None = None) -> Result:
        return Result("ingest_scale", f"memory a series, {what}", value, "B",
                      "what the design allows", 1000.0, target, higher_is_better=False)  # fmt: skip

    fleet = f"{STATIONS:,} gateways of {OF_A_STATION}"
    found.append(memory(f"ingest, {fleet}", measured["ingest"], 1.0))
    found.append(memory(f"ingest, {FLEETS[-1]:,} gateways of {METRICS}", measured["small"]))
    found.append(memory(f"with rules and detectors, {fleet}", measured["everything"]))
    return found


def cpu_results(cpu: dict[int, float]) -> list[Result]:
    return [
        Result("ingest_scale", f"CPU a million samples, {gateways:,} gateways", seconds, "s",
               f"{FLEETS[0]} gateways", cpu[FLEETS[0]], target=1.2, higher_is_better=False)
        for gateways, seconds in cpu.items()
    ]  # fmt: skip


def _in_a_process(what: str, gateways: int, messages: int = MESSAGES) -> str:
    command = [sys.executable, "-m", "benchmarks.ingest.bench_ingest_scale", "--measure", what]
    return subprocess.run(
        [*command, str(gateways), "--messages", str(messages)],
        check=True, capture_output=True, text=True, timeout=170,
    ).stdout.splitlines()[-1]  # fmt: skip


class _Fleet:
    """Gateways and the service that they feed, in this process."""

    def __init__(
        self,
        folder: Path,
        gateways: int,
        reports: int,
        metrics: int,
        samples: int,
        *,
        judged: bool,
    ) -> None:
        self.service = Service(_configuration(folder))
        if judged:
            self.service.alerts.start(utc_now_ms())
        else:
            partitions = self.service.pipeline.partitions
            partitions[DEFAULT_PARTITION] = replace(
                partitions[DEFAULT_PARTITION], alerts=_NoAlerts()
            )
        rounds = samples // metrics
        start_ms = utc_now_ms() - (reports + WARM_UP) * rounds * 1000
        self.gateways = [
            FloodGateway(f"g{i:05d}", metrics, samples, start_ms, 1000) for i in range(gateways)
        ]

    def feed(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Put messages through the pipeline as they would come from the broker."""
        inbox, now_ms = self.service.inbox, utc_now_ms()
        rest = (MqttMessage(topic, payload, now_ms) for topic, payload in messages)
        while some := list(islice(rest, 500)):
            inbox.put_all(some)
            if inbox.pending_bytes > 10_000_000:
                self._drain()
        self._drain()

    def _drain(self) -> None:
        while len(self.service.inbox):
            self.service.pipeline.step()

    def settle(self) -> None:
        """Go on until every sample is in a part and in the ledger, and acknowledged."""
        self.service.pipeline.step()  # nothing waits any more: what the ledger put off is entered
        store = self.service.store
        assert isinstance(store, EmbeddedStore)
        store.flush()

    def stored(self) -> int:
        """How many samples are in the ledger."""
        ledger = self.service.ledger
        return sum(ledger.samples_stored(g.name) for g in self.gateways)

    def introduce(self) -> None:
        """Every gateway's births, and its first reports."""
        self.feed(message for gateway in self.gateways for message in gateway.births())
        for _ in range(WARM_UP):
            self.feed(self.round())

    def round(self) -> list[tuple[str, bytes]]:
        """The next report of every gateway; only topics differ."""
        first = self.gateways[0]
        topic, payload = first.report()
        return [(topic.replace(first.name, g.name), payload) for g in self.gateways]


def cpu_seconds(gateways: int, how_many: int) -> float:
    """CPU seconds for a million samples, measured with so many messages."""
    reports = how_many // gateways
    with tempfile.TemporaryDirectory() as folder:
        fleet = _Fleet(Path(folder), gateways, reports, METRICS, SAMPLES, judged=True)
        fleet.introduce()
        rounds = [fleet.round() for _ in range(reports)]
        messages = [message for one in rounds for message in one]
        fleet.settle()
        gc.collect()
        cpu = time.process_time()
        fleet.feed(messages)
        fleet.settle()
        cpu = time.process_time() - cpu
        assert fleet.stored() == (reports + WARM_UP) * gateways * SAMPLES
        fleet.service.store.close()
    return cpu / (len(messages) * SAMPLES) * 1e6


def bytes_per_series(gateways: int, *, judged: bool) -> float:
    """How much the memory of the process grows for each series that it comes to know."""
    metrics = OF_A_STATION if gateways == STATIONS else METRICS
    with tempfile.TemporaryDirectory() as folder:
        fleet = _Fleet(Path(folder), gateways, 0, metrics, metrics, judged=judged)
        everybody = fleet.gateways
        fleet.gateways = [FloodGateway(f"w{i}", metrics, metrics, g.start_ms, 1000)
                          for i, g in enumerate(everybody[:20])]  # fmt: skip
        fleet.introduce()
        fleet.gateways = everybody
        store = fleet.service.store
        known, before = len(fleet.service.inventory), _memory(store)
        fleet.introduce()
        known, grown = len(fleet.service.inventory) - known, _memory(store) - before
        fleet.service.store.close()
    return grown / known


def _memory(store: SampleStore) -> int:
    """What the process holds, without samples that wait to become a part, or what it gave back."""
    assert isinstance(store, EmbeddedStore)
    store.flush()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(psutil.Process().memory_info().rss)


class _NoAlerts:
    """In place of rules and detectors: nothing is judged."""

    def register(self, series: Sequence[Series]) -> None:
        """Nothing to know."""

    def process(self, _batch: SampleBatch, _now_ms: int) -> tuple[()]:
        return ()

    def tick(self, _now_ms: int) -> tuple[()]:
        return ()

    def set_online(self, *_: object) -> None:
        """Nobody to tell."""

    def set_broker_online(self, *_: object) -> None:
        """Nobody to tell."""


def _configuration(folder: Path) -> CloudConfiguration:
    return in_folder(
        CloudConfiguration.model_validate(
            {
                "broker": {"url": "mqtt://127.0.0.1:1"}, "rules": RULES,
                "store": {"kind": "embedded", "path": "data"},
                "intake": {"new_series_per_minute": 10_000_000, "queue_bytes": 1_000_000_000,
                           "batch_ms": 250},
            }
        ),
        folder,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--messages", type=int, help="only CPU, from so many messages")
    parser.add_argument("--measure", nargs=2)
    given = parser.parse_args()
    if given.measure:
        what, gateways = given.measure[0], int(given.measure[1])
        if what == "cpu":
            print(cpu_seconds(gateways, given.messages))
        else:
            print(bytes_per_series(gateways, judged=what != "memory"))
        return
    measured = {"cpu": measure_cpu(given.messages)} if given.messages else measure()
    for result in cpu_results(measured["cpu"]) if given.messages else results(measured):
        print(f"{result.what}: {result.value:,.2f} {result.unit} (ratio {result.ratio:.2f})")
    if given.plot:
        given.plot.write_text(draw(measured["cpu"]), encoding="utf-8")


if __name__ == "__main__":
    main()
