"""The whole system on one machine, as its users start it: real broker, real wires, real page."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from telemetry.time.clock import utc_now_ms
from tests.servers import free_port, wait_until

READY_S = 200.0
WITHOUT_MOSQUITTO = (
    "import sys, quantrac.demo.run as run; run.shutil.which = lambda *a, **k: None; "
    "from quantrac.cli import main; main(sys.argv[1:])"
)


class RunningDemo:
    """A demonstration in a process of its own."""

    def __init__(self, folder: Path, *options: str, mosquitto: bool = True) -> None:
        self.port = free_port()
        self.folder = folder
        program = ["-m", "quantrac"] if mosquitto else ["-c", WITHOUT_MOSQUITTO]
        arguments = ["demo", "--port", str(self.port), "--data", str(folder), *options]
        self._output = (folder.parent / "demo.out").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    @property
    def output(self) -> str:
        return Path(self._output.name).read_text()

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self.output
            return f"Quantrac is ready: http://127.0.0.1:{self.port}" in self.output

        wait_until(ready, "the demonstration says that it is ready", timeout_s=READY_S)

    def get(self, path: str) -> dict[str, object]:
        url = f"http://127.0.0.1:{self.port}/api/v1{path}"
        with urllib.request.urlopen(url, timeout=5) as reply:
            answer: dict[str, object] = json.load(reply)
        return answer

    def parts(self) -> dict[str, psutil.Process]:
        """The demonstration's processes by what they are."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            line = ""
            with contextlib.suppress(psutil.Error):
                line = " ".join(child.cmdline())
            for name, mark in (
                ("broker", "mosquitto"),
                ("cloud", "cloud run"),
                ("simulators", "sim run"),
                ("edge", "edge run"),
            ):
                if mark in line:
                    found[name] = child
        return found

    def leftovers(self) -> list[str]:
        """Processes that still mention the demonstration's folder."""
        lines = []
        for process in psutil.process_iter(["pid", "cmdline"]):
            line = " ".join(process.info["cmdline"] or [])
            if str(self.folder) in line and process.pid not in (self.process.pid, os.getpid()):
                lines.append(line)
        return lines

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for line in self.leftovers():
            with contextlib.suppress(subprocess.SubprocessError):
                subprocess.run(["pkill", "-9", "-f", line[:80]], check=False)
        self._output.close()


@contextlib.contextmanager
def running(folder: Path, *options: str, mosquitto: bool = True) -> Iterator[RunningDemo]:
    demo = RunningDemo(folder, *options, mosquitto=mosquitto)
    try:
        yield demo
    finally:
        demo.end()


def counts(output: str) -> dict[str, tuple[int, int, str]]:
    rows = re.findall(r"^(bd-\S+)\s+(\d+)\s+(\d+)\s+(.*)$", output, re.MULTILINE)
    return {gateway: (int(m), int(s), verdict) for gateway, m, s, verdict in rows}


def delivers_since(demo: RunningDemo, time_ms: int) -> bool:
    """Whether each station has a stored sample that was measured after ``time_ms``."""
    with contextlib.suppress(OSError):
        newest: dict[object, int] = {}
        for item in demo.get("/latest?limit=1000")["items"]:  # type: ignore[attr-defined]
            newest[item["gateway"]] = max(newest.get(item["gateway"], 0), item["time_ms"])
        return len(newest) == 3 and min(newest.values()) > time_ms
    return False


@pytest.mark.slow
@pytest.mark.mosquitto
@pytest.mark.timeout(600)
def test_whatever_is_killed_what_was_measured_is_stored_once(tmp_path: Path) -> None:
    with running(tmp_path / "demo", "--run-for", "60") as demo:
        demo.wait_until_ready()
        for name in ("edge", "cloud", "broker", "simulators"):
            before_ms = utc_now_ms()
            wait_until(
                lambda ms=before_ms: delivers_since(demo, ms), f"data before {name} is killed"
            )
            victim = demo.parts()[name]
            victim.send_signal(signal.SIGKILL)
            wait_until(
                lambda name=name, pid=victim.pid: (
                    (again := demo.parts().get(name)) is not None and again.pid != pid
                ),
                f"{name} is started again",
            )
        assert demo.process.wait(400) == 0, demo.output
        table = counts(demo.output)
        assert sorted(table) == ["bd-da-002", "bd-mp-003", "bd-tdm-001"]
        assert all(m == s > 50 and verdict == "equal" for m, s, verdict in table.values()), table
        assert demo.leftovers() == []


@pytest.mark.timeout(400)
def test_without_mosquitto_a_broker_runs_inside_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "demo", mosquitto=False) as demo:
        demo.wait_until_ready()
        stations = demo.get("/stations")["items"]
        assert [s["name"] for s in stations] == ["Dĩ An", "Mỹ Phước", "Thủ Dầu Một"]  # type: ignore[index]
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(60) == 0
        assert demo.leftovers() == []


@pytest.mark.mosquitto
@pytest.mark.timeout(400)
def test_a_killed_demonstration_takes_its_processes_with_it(tmp_path: Path) -> None:
    with running(tmp_path / "demo", "--gateways", "1") as demo:
        demo.wait_until_ready()
        demo.process.kill()
        demo.process.wait()
        wait_until(lambda: not demo.leftovers(), "no process is left")


def test_a_port_in_use_is_said_with_the_next_step(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = subprocess.run(
            [sys.executable, "-m", "quantrac", "demo", "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert answer.returncode == 2
    assert f"port {port} is in use" in answer.stderr
    assert "--port" in answer.stderr
