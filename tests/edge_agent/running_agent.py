"""An agent in a process of its own, with two lines of simulated meters."""

import json
import struct
import subprocess
import sys
from pathlib import Path

from tests.edge_agent.acquisition.slaves import PtySlave
from tests.servers import wait_until

PROFILE = """\
id: test-meter
manufacturer: Test
model: Meter
domain: power
protocol: modbus
limits: {max_registers: 60, gap: 8, timeout: 120ms}
metrics:
  - {name: voltage, quantity: voltage, unit: V, address: 0, type: uint16, scale: 0.1, valid: [0, 500]}
  - {name: power, quantity: active_power, unit: W, address: 4, type: float32}
source: made up for tests
"""


def words(voltage: int = 2315) -> dict[int, int]:
    high, low = struct.unpack(">HH", struct.pack(">f", 500.0))
    return {0: voltage, 1: 0, 2: 0, 3: 0, 4: high, 5: low}


class Gateway:
    """A gateway.yaml with two lines, and the commands on it."""

    def __init__(self, folder: Path, broker: str) -> None:
        self.folder = folder
        self.broker = broker
        self.first = PtySlave({1: words()})
        self.second = PtySlave({1: words(), 2: words()})
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "meter.yaml").write_text(PROFILE)
        self.path = folder / "gateway.yaml"
        self.log = folder / "agent.log"
        self.write(self.text())

    def text(self, interval: str = "200ms", unit: int = 1, gateway: str = "gw-1") -> str:
        return f"""\
gateway: {gateway}
group: test
station: {{id: s, name: S, latitude: 10, longitude: 106}}
broker: {{url: "{self.broker}"}}
confirm: standard
outbox: {{path: ./outbox.db}}
buses:
  - name: first
    serial: {{port: {self.first.port}, baudrate: 115200}}
    devices:
      - {{name: steady, profile: ./meter.yaml, unit: 1, interval: 100ms}}
  - name: second
    serial: {{port: {self.second.port}, baudrate: 115200}}
    devices:
      - {{name: other, profile: ./meter.yaml, unit: {unit}, interval: {interval}}}
"""

    def write(self, text: str) -> None:
        self.path.write_text(text, encoding="utf-8")

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "quantrac", "edge", *words, "--config", str(self.path)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def start(self) -> subprocess.Popen[bytes]:
        log = self.log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "quantrac", "edge", "run", "--config", str(self.path)],
            stdout=log, stderr=log,
        )  # fmt: skip
        return self.process

    def status(self) -> dict[str, object]:
        done = self.command("status", "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout)
        return found

    def logged(self, text: str) -> bool:
        return text in self.log.read_text()

    def measuring(self) -> None:
        wait_until(lambda: len(self.first.requests) > 3, "the first bus is read")

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)
        self.first.close()
        self.second.close()
