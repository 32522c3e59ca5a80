"""Starts all processes, waits for samples, keeps them running, and stops them."""

import getpass
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import structlog

from quantrac.demo.api import Api
from quantrac.demo.processes import StartFailed, Supervisor

_log = structlog.get_logger()

READY_TIMEOUT_S = 90.0
DRAIN_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 4.0
STATIONS = 3
"""The number of stations in the scenario; more gateways repeat them."""


@dataclass(frozen=True, slots=True)
class Count:
    """The number of samples that a gateway measured and that are stored."""

    gateway: str
    measured: int
    stored: int

    @property
    def equal(self) -> bool:
        """True if no sample is missing or stored twice."""
        return self.measured == self.stored


class Demo:
    """The running demonstration, a context manager: ``with Demo(...) as demo: demo.start()``."""

    def __init__(self, folder: Path, port: int, gateways: int) -> None:
        self._folder = folder
        self._port = port
        self._gateways = gateways
        self._stop_asked = False
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        self._supervisor = Supervisor(folder / "logs")
        self._configurations: list[Path] = []
        self.api = Api(port)

    @property
    def logs(self) -> Path:
        """The folder of the log files."""
        return self._folder / "logs"

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._supervisor.stop(STOP_TIMEOUT_S)

    def _ask_to_stop(self, *_: object) -> None:
        self._stop_asked = True

    @property
    def stop_asked(self) -> bool:
        """True after Ctrl-C or a TERM signal."""
        return self._stop_asked

    def start(self) -> None:
        """Start broker, cloud, simulated devices and one edge agent for each station."""
        broker_port = free_port()
        self._start_broker(broker_port)
        self._start_cloud(broker_port)
        self._start_simulators(broker_port)
        for path in self._configurations:
            name = f"edge-{path.stem}"
            self._supervisor.start(name, _quantrac("edge", "run", "--config", str(path)))

    def _start_broker(self, port: int) -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        self._external_broker = program is not None
        if program is None:
            return
        configuration = self._folder / "mosquitto.conf"
        # As root it would change its user, and then no longer end with its parent.
        configuration.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
            f"max_packet_size 1048576\nuser {getpass.getuser()}\n"
        )
        self._supervisor.start("broker", [program, "-c", str(configuration)])
        self._wait_for_port(port, "broker")

    def _start_cloud(self, broker_port: int) -> None:
        broker = (
            f"{{url: 'mqtt://127.0.0.1:{broker_port}'}}"
            if self._external_broker
            else f"{{embedded: {{port: {broker_port}}}}}"
        )
        configuration = self._folder / "cloud.yaml"
        configuration.write_text(
            f"broker: {broker}\n"
            "host: quantrac\n"
            "store: {kind: embedded, path: ./store}\n"
            "database: sqlite:///./quantrac.db\n"
            f"web: {{host: 127.0.0.1, port: {self._port}}}\n"
            "rules: [library/vn-air, library/device-health, library/demo]\n"
            "notify: []\n"
        )
        self._supervisor.start("cloud", _quantrac("cloud", "run", "--config", str(configuration)))

    def _start_simulators(self, broker_port: int) -> None:
        wire = self._folder / "wire"
        options = ["--dir", str(wire), "--stations", str(self._gateways)]
        url = f"mqtt://127.0.0.1:{broker_port}"
        made = subprocess.run(
            _quantrac("sim", "gateways", "demo", *options, "--broker", url),
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise StartFailed(f"the gateways could not be described:\n{made.stderr.strip()}")
        self._configurations = sorted(wire.glob("*.yaml"))
        truth = ["--truth", str(self._folder / "truth.csv")]
        self._supervisor.start("simulators", _quantrac("sim", "run", "demo", *options, *truth))

    def _wait_for_port(self, port: int, name: str) -> None:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        self._give_up(name)

    def _give_up(self, name: str) -> None:
        child = self._supervisor.children[name]
        raise StartFailed(
            f"{name} does not come up. Its log ({child.log_file}) ends:\n{child.log_tail()}"
        )

    def wait_until_ready(self) -> bool:
        """Return True once samples of every gateway can be read; False if stopped before."""
        end = time.monotonic() + READY_TIMEOUT_S
        for _ in self._watch():
            if len(self.api.gateways_with_samples()) >= len(self._configurations):
                return True
            for child in self._supervisor.children.values():
                if child.restarts >= 3:
                    self._give_up(child.name)
            if time.monotonic() > end:
                missing = self.api.gateways_with_samples()
                raise StartFailed(
                    f"no samples of every gateway within {READY_TIMEOUT_S:.0f} s (seen: "
                    f"{', '.join(sorted(missing)) or 'none'}). The logs are in {self.logs}"
                )
        return False

    def keep_running(self, seconds: float | None) -> None:
        """Keep everything running for ``seconds``, or until Ctrl-C."""
        end = None if seconds is None else time.monotonic() + seconds
        for _ in self._watch():
            if end is not None and time.monotonic() >= end:
                return

    def drain(self) -> bool:
        """Stop measuring and deliver the outboxes; False if an agent did not end in time."""
        agents = [c for c in self._supervisor.children.values() if c.name.startswith("edge-")]
        end = time.monotonic() + DRAIN_TIMEOUT_S
        asked: set[int] = set()
        while time.monotonic() < end and not self._stop_asked:
            for agent in agents:
                process = agent.process
                if process is None or agent.ends:
                    continue
                if process.poll() == 0 and process.pid in asked:
                    agent.ends = True
                elif agent.running and process.pid not in asked and _is_up(agent.started_s):
                    asked.add(process.pid)
                    agent.send(signal.SIGUSR1)
            if all(a.ends for a in agents):
                return True
            self._supervisor.restart_dead(time.monotonic())
            time.sleep(0.1)
        return False

    def counts(self) -> list[Count]:
        """Measured and stored samples of each gateway, sorted by gateway."""
        stored = self.api.stored() or {}
        counts = []
        for path in self._configurations:
            answer = subprocess.run(
                _quantrac("edge", "status", "--config", str(path), "--json"),
                capture_output=True,
                text=True,
                check=False,
            )
            status = json.loads(answer.stdout or "{}")
            gateway = str(status.get("gateway", path.stem))
            measured = int(status.get("measured_total", -1))
            counts.append(Count(gateway, measured, stored.get(gateway, 0)))
        return sorted(counts, key=lambda c: c.gateway)

    def _watch(self) -> Iterator[None]:
        while not self._stop_asked:
            self._supervisor.restart_dead(time.monotonic())
            yield
            time.sleep(0.2)


def _is_up(started_s: float) -> bool:
    """True if an agent has run long enough to handle signals."""
    return time.monotonic() - started_s > 3.0


def _quantrac(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "quantrac", *arguments]


def free_port() -> int:
    """A free TCP port of this machine."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextmanager
def demo_folder(wanted: Path | None) -> Iterator[Path]:
    """The folder of the demonstration: ``wanted``, or a temporary one."""
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="quantrac-demo-", ignore_cleanup_errors=True) as name:
        yield Path(name)
