"""An edge agent with simulated Modbus TCP devices and a broker, to be measured from outside."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_agent.outbox import read_status

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process used in a span: samples delivered, CPU seconds, peak of memory."""

    samples: int
    cpu_s: float
    seconds: float
    rss_mb: float
    rss_growth_mb: float


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def write_gateway(
    folder: Path, devices: int, metrics: int, interval: str, server: int, broker: int, buses: int
) -> Path:
    """A gateway.yaml with so many devices of so many metrics, spread over some connections."""
    rows = "".join(
        f"  - {{name: m{i}, quantity: voltage, unit: mV, address: {i}, type: uint16, scale: 0.1, valid: [0, 1000]}}\n"
        for i in range(metrics)
    )
    (folder / "bench.yaml").write_text(
        "id: bench\nmanufacturer: B\nmodel: B\ndomain: power\nprotocol: modbus\nsource: made up\n"
        f"metrics:\n{rows}"
    )
    text = (
        "gateway: bench\ngroup: bench\nstation: {id: s, name: S, latitude: 10, longitude: 106}\n"
        f"broker: {{url: 'mqtt://127.0.0.1:{broker}'}}\nconfirm: standard\nbuses:\n"
    )
    for bus in range(buses):
        text += f"  - name: b{bus}\n    tcp: {{host: 127.0.0.1, port: {server}}}\n    devices:\n"
        for i in range(bus, devices, buses):
            text += f"      - {{name: d{i}, profile: ./bench.yaml, unit: {i + 1}, interval: {interval}}}\n"
    path = folder / "gateway.yaml"
    path.write_text(text)
    return path


@contextlib.contextmanager
def devices_and_broker() -> Iterator[tuple[int, int]]:
    """Simulated devices and a mosquitto; their ports."""
    program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        raise RuntimeError("mosquitto is not installed")
    server, broker = free_port(), free_port()
    quiet = subprocess.DEVNULL
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.edge.modbus_devices", "tcp", str(server)]
        ),
        subprocess.Popen([program, "-p", str(broker)], stdout=quiet, stderr=quiet),
    ]
    try:
        for port in (server, broker):
            while not _accepts(port):
                time.sleep(0.02)
        yield server, broker
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


def measure_agent(
    *,
    devices: int,
    metrics: int,
    interval: str,
    seconds: float,
    buses: int = 1,
    warm_s: float = 4.0,
) -> Usage:
    """Run an agent for a while and measure it once it has settled."""
    with devices_and_broker() as (server, broker), tempfile.TemporaryDirectory() as folder:
        outbox = Path(folder, "outbox.db")
        path = write_gateway(Path(folder), devices, metrics, interval, server, broker, buses)
        command = [sys.executable, "-m", "quantrac", "edge", "run", "--config", str(path)]
        with Path(folder, "log").open("wb") as log:
            agent = subprocess.Popen([*command, "--log-level", "warning"], stderr=log)
        try:
            time.sleep(warm_s)
            before, cpu, began, rss = (
                _delivered(outbox),
                cpu_s(agent.pid),
                time.monotonic(),
                rss_mb(agent.pid),
            )
            peak = rss
            while time.monotonic() < began + seconds:
                time.sleep(0.25)
                peak = max(peak, rss_mb(agent.pid))
            used, took = cpu_s(agent.pid) - cpu, time.monotonic() - began
            samples = _delivered(outbox) - before
            return Usage(samples, used, took, peak, rss_mb(agent.pid) - rss)
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait(20)


def _delivered(outbox: Path) -> int:
    """Samples that have gone through the outbox to the broker."""
    status = read_status(outbox)
    return status.measured_total - status.depth_samples
