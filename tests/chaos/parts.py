"""The system under destruction: simulated meters, agents, a broker and the cloud, each a process."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Self

from edge_agent.outbox import OutboxError, OutboxStatus, read_status
from telemetry.time.clock import utc_now_ms
from tests.chaos.proxy import Proxy
from tests.servers import InfluxDB, accepts, free_port, require, wait_until

GROUP = "chaos"

_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
static volatile long *shift;
int clock_gettime(clockid_t id, struct timespec *t) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) {
    real = dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("CHAOS_CLOCK");
    int fd = path ? open(path, O_RDONLY) : -1;
    if (fd >= 0) shift = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);
  }
  int r = real(id, t);
  if (r == 0 && id == CLOCK_REALTIME && shift) t->tv_sec += *shift;
  return r;
}
"""


class Process:
    """A program that can be killed and started again; its output goes to ``log``."""

    def __init__(self, name: str, arguments: list[str], log: Path) -> None:
        self.name = name
        self._arguments = arguments
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] = {}

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments, stdout=log, stderr=log, env=os.environ | self.environment
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self, timeout_s: float = 15.0) -> int | None:
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return None


class Agent:
    """One gateway: its process, its line to the broker, its disk, its clock."""

    def __init__(self, name: str, folder: Path, broker: int, modbus: int) -> None:
        self.name = name
        self.folder = folder
        folder.mkdir()
        self.line = Proxy(broker)
        self.disk = folder / "disk"
        self.disk.mkdir()
        self.has_own_disk = _mount(self.disk)
        self.outbox = self.disk / "outbox.db"
        configuration = folder / "gateway.yaml"
        devices = "\n".join(
            f"      - {{name: meter{unit}, profile: eastron-sdm120, unit: {unit}, interval: {ms}ms}}"
            for unit, ms in ((1, 200), (2, 300))
        )
        configuration.write_text(
            f"gateway: {name}\ngroup: {GROUP}\nstation: {{id: {name}, name: {name}, latitude: 11, "
            f"longitude: 106}}\nbroker: {{url: 'mqtt://127.0.0.1:{self.line.port}'}}\nhost: quantrac\n"
            f"outbox: {{path: {self.outbox}, max_bytes: 200000000}}\nbuses:\n  - name: cabinet\n"
            f"    tcp: {{host: 127.0.0.1, port: {modbus}}}\n    devices:\n{devices}\n"
        )
        self.process = Process(
            f"agent {name}", _quantrac("edge", "run", "--config", str(configuration)),
            folder / "agent.log",
        )  # fmt: skip
        self.kills: list[int] = []
        """When it, or in the end what it measures, was stopped."""
        self.shift_s = 0
        self._clock = folder / "clock"
        self._clock.write_bytes(bytes(8))

    def use_shim(self, shim: Path) -> None:
        """Let the agent's wall clock be stepped."""
        self.process.environment = {"LD_PRELOAD": str(shim), "CHAOS_CLOCK": str(self._clock)}

    def step_clock(self, shift_s: int) -> None:
        self.shift_s = shift_s
        with self._clock.open("r+b") as file:
            file.write(shift_s.to_bytes(8, "little", signed=True))

    def fill_disk(self) -> None:
        with contextlib.suppress(OSError), (self.disk / "ballast").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 20))

    def free_disk(self) -> None:
        (self.disk / "ballast").unlink(missing_ok=True)

    def status(self) -> OutboxStatus | None:
        with contextlib.suppress(OutboxError):
            return read_status(self.outbox)
        return None

    def close(self) -> None:
        self.process.kill()
        self.line.close()
        if self.has_own_disk:
            subprocess.run(["umount", "-l", str(self.disk)], check=False)


class System:
    """Everything, started; a context manager."""

    def __init__(self, folder: Path, agents: int, seed: int, store: str = "embedded") -> None:
        self.folder = folder
        self.database: InfluxDB | None = None
        self.store = {"kind": "embedded", "path": str(folder / "data")}
        if store == "influxdb":
            (folder / "influxdb").mkdir()
            self.database = InfluxDB(require("influxd", "influxdb"), folder / "influxdb")
            self.store = {"kind": "influxdb", "url": self.database.url, "bucket": "quantrac"}
        self.truth = folder / "truth.csv"
        self.api = free_port()
        broker_port = free_port()
        self._broker_port = broker_port
        (folder / "broker.conf").write_text(
            f"listener {broker_port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
        )
        self.broker = Process(
            "broker", [require("mosquitto", "mosquitto"), "-c", str(folder / "broker.conf")],
            folder / "broker.log",
        )  # fmt: skip
        self.cloud_line = Proxy(broker_port)
        (folder / "cloud.yaml").write_text(
            f"broker: {{url: 'mqtt://127.0.0.1:{self.cloud_line.port}', keep_alive_s: 5}}\n"
            f"store: {json.dumps(self.store)}\nweb: {{port: {self.api}}}\n"
        )
        self.cloud = Process(
            "cloud", _quantrac("cloud", "run", "--config", str(folder / "cloud.yaml")),
            folder / "cloud.log",
        )  # fmt: skip
        modbus = [free_port() for _ in range(agents)]
        names = [f"chaos-{i + 1}" for i in range(agents)]
        (folder / "scenario.yaml").write_text(_scenario(names, modbus, seed))
        self.simulator = Process(
            "simulator",
            _quantrac("sim", "run", str(folder / "scenario.yaml"), "--dir", str(folder / "sim"),
                      "--truth", str(self.truth)),
            folder / "sim.log",
        )  # fmt: skip
        self.modbus = modbus
        self.agents = [
            Agent(n, folder / n, broker_port, p) for n, p in zip(names, modbus, strict=True)
        ]
        self.can_step_clocks = self._make_shim()

    def __enter__(self) -> Self:
        if self.database is not None:
            self.database.start()
        self.broker.start()
        self.simulator.start()
        wait_until(lambda: accepts(self._broker_port), "the broker listens")
        self.cloud.start()
        wait_until(lambda: all(accepts(p) for p in self.modbus), "the meters answer")
        for agent in self.agents:
            agent.process.start()
        wait_until(lambda: self.newest_ms() > 0, "samples arrive")
        return self

    def __exit__(self, *_: object) -> None:
        for agent in self.agents:
            agent.close()
        for process in (self.simulator, self.cloud, self.broker):
            process.kill()
        self.cloud_line.close()
        if self.database is not None:
            self.database.kill()

    def newest_ms(self) -> int:
        """The time of the newest sample that the API shows, over all agents the oldest of these."""
        try:
            url = f"http://127.0.0.1:{self.api}/api/v1/latest?limit=1000"
            with urllib.request.urlopen(url, timeout=2) as reply:
                items = json.load(reply)["items"]
        except (OSError, ValueError):
            return 0
        newest: dict[str, int] = {}
        for item in items:
            gateway = item["series"].split("/")[0]
            newest[gateway] = max(newest.get(gateway, 0), _as_ms(item["time_ms"]))
        return min(newest.values()) if len(newest) == len(self.agents) else 0

    def drain(self, timeout_s: float) -> bool:
        """Stop measuring (the simulator goes) and wait until every outbox is empty."""
        self.simulator.stop()
        for agent in self.agents:  # what it was asked for at that moment was not answered in full
            agent.kills.append(utc_now_ms())
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            states = [a.status() for a in self.agents]
            if all(s is not None and s.depth_samples == 0 for s in states):
                return True
            time.sleep(0.25)
        return False

    def _make_shim(self) -> bool:
        compiler = shutil.which("cc")
        if compiler is None:
            return False
        source, shim = self.folder / "clock.c", self.folder / "clock.so"
        source.write_text(_SHIM)
        done = subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", str(shim), str(source), "-ldl"],
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            return False
        for agent in self.agents:
            agent.use_shim(shim)
        return True


def _as_ms(value: object) -> int:
    return int(value) if isinstance(value, int) else 0


def _quantrac(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "quantrac", *arguments]


def _scenario(names: list[str], ports: list[int], seed: int) -> str:
    stations = "".join(
        f"  - id: {name}\n    name: {name}\n    latitude: 11.0\n    longitude: 106.6\n"
        f"    gateway: {name}\n    buses:\n      - name: cabinet\n        tcp: {{port: {port}}}\n"
        "        devices:\n"
        "          - {name: meter1, profile: eastron-sdm120, unit: 1, interval: 200ms}\n"
        "          - {name: meter2, profile: eastron-sdm120, unit: 2, interval: 300ms}\n"
        for name, port in zip(names, ports, strict=True)
    )
    return (
        f"scenario: chaos\ntitle: Meters to destroy\nabout: Modbus TCP meters.\nseed: {seed}\n"
        f"group: {GROUP}\nstations:\n{stations}"
    )


def _mount(place: Path) -> bool:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)],
        capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0
