"""A simulated day of 20 stations at one sample a second, through the whole system.

Simulator, broker (mosquitto), and cloud (intake, quality, embedded store, rules) each run in their
own process; the clock stops when the simulator has the cloud's confirmation that everything is
stored. The samples in the store are counted afterwards.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.result import Result

STATIONS = 20
LIMIT_S = 20.0
_PROFILE = """\
id: bench-level
manufacturer: Bench
model: Level
domain: water
protocol: modbus
metrics:
  - {name: temperature, quantity: air_temperature, unit: Cel, address: 0, type: int16, scale: 0.01, valid: [-40, 80]}
source: made up for this benchmark
"""
_SCENARIO = """\
scenario: bench-day
title: A day of twenty stations
start: now-25h
speed: 0
duration: 24h
count: 20
publish: {step: 1s, per_message: 600, window: 64}
stations:
  - id: s
    name: S
    latitude: 10.98
    longitude: 106.65
    gateway: bd-s-001
    buses:
      - {name: b, serial: {}, devices: [{name: d, profile: ./level.yaml}]}
"""


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _wait_for(port: int, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on {port}")


def _stored(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/gateways?exact=true") as reply:
        return sum(g["samples_stored"] for g in json.load(reply)["items"])


@dataclass(frozen=True, slots=True)
class _Day:
    """What one run took: seconds on the clock, and seconds of CPU of simulator and cloud."""

    seconds: float
    simulator_cpu_s: float
    cloud_cpu_s: float
    measured: int
    stored: int
    said: str


def _run(folder: Path) -> _Day:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        raise RuntimeError("mosquitto is not installed")
    mqtt, web = _free_port(), _free_port()
    (folder / "mosquitto.conf").write_text(
        f"listener {mqtt} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
        "max_queued_messages 100000\n"
    )
    (folder / "cloud.yaml").write_text(
        f"broker: {{url: 'mqtt://127.0.0.1:{mqtt}'}}\nhost: quantrac\n"
        "store: {kind: embedded, path: ./store}\ndatabase: sqlite:///./quantrac.db\n"
        f"web: {{host: 127.0.0.1, port: {web}}}\nrules: [library/demo]\nnotify: []\n"
    )
    (folder / "level.yaml").write_text(_PROFILE)
    (folder / "day.yaml").write_text(_SCENARIO)
    quantrac = [sys.executable, "-m", "quantrac"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    log = (folder / "log").open("w")
    running = [subprocess.Popen([program, "-c", str(folder / "mosquitto.conf")], stderr=log)]
    try:
        _wait_for(mqtt)
        cloud = [*quantrac, "cloud", "run", "--config", str(folder / "cloud.yaml")]
        running.append(subprocess.Popen(cloud, stderr=log, stdout=log, env=environment))
        _wait_for(web)
        time.sleep(1.0)
        watched = psutil.Process(running[-1].pid)
        before = sum(watched.cpu_times()[:2])
        children = os.times().children_user + os.times().children_system
        began = time.monotonic()
        simulator = subprocess.run(
            [*quantrac, "sim", "run", str(folder / "day.yaml"), "--dir", str(folder),
             "--broker", f"mqtt://127.0.0.1:{mqtt}"],
            capture_output=True, text=True, check=True, env=environment, timeout=300,
        )  # fmt: skip
        seconds = time.monotonic() - began
        said = simulator.stdout.strip().splitlines()[-1]
        found = re.search(r"([\d,]+) samples .* ([\d,]+) confirmed", said)
        if found is None:
            raise RuntimeError(f"the simulator said: {said}")
        cloud_cpu_s = sum(watched.cpu_times()[:2]) - before
        simulator_cpu_s = os.times().children_user + os.times().children_system - children
        measured = int(found.group(1).replace(",", ""))
        return _Day(seconds, simulator_cpu_s, cloud_cpu_s, measured, _stored(web), said)
    finally:
        for process in reversed(running):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def run() -> list[Result]:
    """One run, from starting the simulator to the last confirmation."""
    with tempfile.TemporaryDirectory() as folder:
        day = _run(Path(folder))
    if day.measured != day.stored or day.measured != STATIONS * 86_400:
        raise RuntimeError(f"measured {day.measured:,}, stored {day.stored:,}: {day.said}")
    return [
        Result(
            "time_compression",
            f"a day of {STATIONS} stations at 1 sample/s ({day.measured:,} samples) until all is stored",
            day.seconds, "s", "the limit asked for", LIMIT_S, 1.0, higher_is_better=False,
        ),
        Result(
            "time_compression_cpu", "CPU of the cloud for that day, beside the simulator's",
            day.cloud_cpu_s, "s", "simulator", day.simulator_cpu_s, None, higher_is_better=False,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    for result in run():
        print(result, f"ratio {result.ratio:.2f}")
