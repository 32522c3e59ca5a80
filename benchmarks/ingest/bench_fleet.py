"""Messages a second published by one simulated fleet, beside paho-mqtt's publish loop.

Both send to the same mosquitto. Ours measures, encodes and sends 20 metrics a message over a
connection for each gateway; paho sends one ready-made payload of the same size over a single
connection, at QoS 0.
"""

import asyncio
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.result import Result
from simulators.fleets.fleet import Fleet
from simulators.scenarios.model import Scenario
from telemetry.time.clock import utc_now_ms

_GATEWAYS = 1000
_MESSAGES = 30_000
_ROUNDS = 3


def _start_broker(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        raise RuntimeError("mosquitto is not installed")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = int(s.getsockname()[1])
    configuration = folder / "mosquitto.conf"
    configuration.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([program, "-c", str(configuration)], stderr=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.05)
    raise RuntimeError("mosquitto does not answer")


def _paho(port: int, payload: bytes) -> tuple[float, float]:
    """Messages a second and CPU microseconds a message."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    began, cpu = time.perf_counter(), time.process_time()
    info = None
    for _ in range(_MESSAGES):
        info = client.publish("spBv1.0/fleet/DDATA/fleet-00001/d1", payload)
    assert info is not None
    info.wait_for_publish(30)
    seconds = time.perf_counter() - began
    cpu = time.process_time() - cpu
    client.disconnect()
    client.loop_stop()
    return _MESSAGES / seconds, cpu / _MESSAGES * 1e6


async def _fleet(port: int, rounds: int) -> tuple[list[tuple[float, float]], int]:
    scenario = Scenario.model_validate(
        {
            "scenario": "bench", "title": "bench", "group": "fleet", "host": None,
            "fleet": {"gateways": _GATEWAYS, "interval": "1h", "ramp_up": "0ms", "acknowledged": False},
        }
    )  # fmt: skip
    assert scenario.fleet is not None
    fleet = Fleet(scenario, scenario.fleet, f"mqtt://127.0.0.1:{port}")
    began = time.monotonic()
    while fleet.online < _GATEWAYS:
        fleet.tick(utc_now_ms(), time.monotonic() - began, measuring=False)
        await asyncio.sleep(0.05)
    size = len(fleet.nodes[0].data(0, b"\0" * fleet._live[0].size))  # noqa: SLF001  # for paho's payload
    everybody = np.arange(_GATEWAYS)
    results = []
    for _ in range(rounds):
        before, cpu, start = fleet.counts.messages, time.process_time(), time.perf_counter()
        while fleet.counts.messages - before < _MESSAGES:
            for part in np.array_split(everybody, 10):
                fleet.measure(part, utc_now_ms())
                await asyncio.sleep(0)
        while any(  # noqa: ASYNC110  # sockets give no event when they are drained
            link and link.transport and link.transport.get_write_buffer_size()
            for link in fleet.links
        ):
            await asyncio.sleep(0.001)
        sent = fleet.counts.messages - before
        seconds = time.perf_counter() - start
        results.append((sent / seconds, (time.process_time() - cpu) / sent * 1e6))
    for link in fleet.links:
        if link is not None:
            link.leave(utc_now_ms())
    await asyncio.sleep(0.1)
    return results, size


def run() -> list[Result]:
    """Interleaved rounds, medians."""
    with tempfile.TemporaryDirectory() as folder:
        broker, port = _start_broker(Path(folder))
        try:
            ours: list[tuple[float, float]] = []
            theirs: list[tuple[float, float]] = []
            for _ in range(_ROUNDS):
                found, size = asyncio.run(_fleet(port, 1))
                ours += found
                theirs.append(_paho(port, b"\x42" * (size - 45)))
        finally:
            broker.kill()
            broker.wait()
    median = statistics.median
    return [
        Result(
            "fleet", f"messages of 20 metrics, measured, encoded and sent by {_GATEWAYS:,} gateways",
            median(r for r, _ in ours), "1/s", "paho-mqtt publish loop (ready-made payload)",
            median(r for r, _ in theirs), 0.7,
        ),
        Result(
            "fleet_cpu", "CPU of the process for a message", median(c for _, c in ours), "us",
            "paho-mqtt publish loop (ready-made payload)", median(c for _, c in theirs), 1.43,
            higher_is_better=False,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    for result in run():
        print(result, f"ratio {result.ratio:.2f}")
