"""The agent as a process: started, asked, reloaded and stopped as a technician would."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.outbox import Outbox
from edge_agent.outbox.sqlite.database import connect_to_read
from edge_agent.outbox.sqlite.row_format import unpack
from telemetry.time.clock import utc_now_ms
from tests.edge_agent.acquisition.slaves import PtySlave
from tests.edge_agent.running_agent import Gateway, words
from tests.servers import Mosquitto, free_port, wait_until


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path, f"mqtt://127.0.0.1:{free_port()}")
    yield made
    made.close()


def test_sigterm_ends_it_and_keeps_what_was_measured(gateway: Gateway) -> None:
    process = gateway.start()
    gateway.measuring()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    status = gateway.status()
    assert status["running"] is False
    assert status["measured_total"] == status["depth_samples"]
    assert int(str(status["measured_total"])) >= 6


def test_status_tells_the_counts_of_each_device(gateway: Gateway) -> None:
    gateway.second.silent.add(1)
    gateway.start()
    gateway.measuring()
    wait_until(lambda: gateway.logged("device_not_answering"))

    def answers() -> int:
        found = gateway.status()["devices"].get("steady", {})  # type: ignore[attr-defined]
        return int(found.get("counters", {}).get("answers", 0))

    wait_until(lambda: answers() > 5, "the counts are written")
    status = gateway.status()
    devices = status["devices"]
    assert isinstance(devices, dict)
    assert status["running"] is True
    assert devices["steady"]["counters"]["answers"] > 5
    assert devices["other"]["counters"]["timeouts"] >= 1
    assert devices["other"]["last_error"] == "no answer within 120 ms"
    page = gateway.command("status").stdout
    assert "gw-1: running" in page
    assert "timeouts=" in page


def test_a_changed_file_is_applied_and_the_untouched_bus_misses_no_poll(gateway: Gateway) -> None:
    gateway.start()
    gateway.measuring()
    before = len(gateway.first.requests)
    began = time.monotonic()
    gateway.write(gateway.text(unit=2))
    wait_until(lambda: any(f[0] == 2 for f in gateway.second.requests), "the new unit is read")
    wait_until(lambda: gateway.logged("configuration_applied"))
    gateway.write("gateway: [")
    wait_until(lambda: gateway.logged("configuration_refused"))
    gateway.write(gateway.text(unit=2, gateway="another"))
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: gateway.logged("configuration_needs_restart"))
    time.sleep(0.5)
    polls = len(gateway.first.requests) - before
    expected = (time.monotonic() - began) / 0.1
    assert polls >= expected / 2
    assert gateway.log.read_text().count("bus_open") == 3, "only the second bus was opened again"


def test_an_unreadable_file_at_the_start_is_exit_2_with_its_place(gateway: Gateway) -> None:
    gateway.write(gateway.text().replace("interval: 200ms", "intervall: 200ms"))
    for command in ("run", "check", "status"):
        done = gateway.command(command)
        assert done.returncode == 2
        assert f"{gateway.path}:15: buses[1].devices[0].intervall: unknown field" in done.stderr
        assert "Traceback" not in done.stderr


def test_check_reads_each_device_and_says_what_it_thinks(gateway: Gateway) -> None:
    done = gateway.command("check")
    assert done.returncode == 0, done.stderr
    assert "ok        first/steady: answered in" in done.stdout
    assert "231.5" in done.stdout
    gateway.second.silent.add(1)
    gateway.first.units[1] = words(voltage=9000)
    done = gateway.command("check")
    assert done.returncode == 1
    assert "FAILED    second/other: no answer within 120 ms" in done.stdout
    assert "voltage = 900 V is outside the valid range 0 to 500" in done.stdout


def test_a_plan_that_cannot_fit_is_refused_with_the_arithmetic(gateway: Gateway) -> None:
    text = gateway.text(interval="10ms").replace("baudrate: 115200", "baudrate: 9600")
    gateway.write(text)
    for command in ("check", "run"):
        done = gateway.command(command)
        assert done.returncode == 2
        assert f"{gateway.path}:12: buses[1]: bus 'second' (9600 baud)" in done.stderr
        assert "of every 0.01 s" in done.stderr
        assert "would fit: intervals of" in done.stderr


@pytest.mark.mosquitto
def test_sigusr1_delivers_everything_and_ends(tmp_path: Path, mosquitto: Mosquitto) -> None:
    gateway = Gateway(tmp_path, mosquitto.url)
    try:
        process = gateway.start()
        gateway.measuring()
        process.send_signal(signal.SIGUSR1)
        assert process.wait(60) == 0
        status = gateway.status()
        assert status["depth_samples"] == 0
        assert int(str(status["measured_total"])) >= 6
    finally:
        gateway.close()


IMPATIENT = (
    "import sys; from pathlib import Path\n"
    "from edge_agent import agent; from edge_agent.reporting import device_reports; from edge_agent.signals import Signals\n"
    "device_reports.KEEP_EVERY_S = 0.3\n"
    "agent.run_agent(Path(sys.argv[1]), Signals())\n"
)
WINDOW_MS = 5000


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_window_goes_on_where_the_end_of_the_agent_cut_it(
    gateway: Gateway, end: signal.Signals
) -> None:
    text = gateway.text()
    gateway.write(text.replace("interval: 100ms}", "interval: 100ms, aggregate: {every: 5s}}", 1))
    answered: list[int] = []

    def answer(slave: PtySlave, frame: bytes) -> bytes | None:
        answered.append(utc_now_ms())
        return slave.honest(frame)

    gateway.first.answer = answer

    def start() -> subprocess.Popen[bytes]:
        log = gateway.log.open("ab")
        gateway.process = subprocess.Popen(
            [sys.executable, "-c", IMPATIENT, str(gateway.path)], stdout=log, stderr=log
        )
        return gateway.process

    def kept() -> tuple[int, int] | None:
        """End of the open window and its number of readings, as they are on disk."""
        with contextlib.closing(connect_to_read(gateway.folder / "outbox.db")) as connection:
            row = connection.execute(
                "SELECT value FROM kept WHERE name = 'window/steady'"
            ).fetchone()
        window = {} if row is None else json.loads(row[0])
        count = int(window.get("windows", {}).get("voltage", [0])[0])
        has_time = window.get("ends_ms", 0) - utc_now_ms() > 1500
        return (window["ends_ms"], count) if count >= 5 and has_time else None

    def window_of(ends_ms: int) -> dict[str, float | None]:
        return {
            names[alias]: value
            for report in outbox.read(0, 100_000)
            if report.shape.device == "steady"
            for alias, time_ms, value, _ in unpack(report)
            if time_ms == ends_ms
        }

    process = start()
    wait_until((gateway.folder / "outbox.db.status.json").exists, "the outbox is made")
    found = wait_until(kept, "some readings of a window are on disk")
    assert isinstance(found, tuple)
    ends_ms, count_before = found
    process.send_signal(end)
    process.wait(60)
    before = len(answered)
    process = start()
    wait_until(lambda: answered[-1] > ends_ms + 1500, "the window is over")
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    outbox = Outbox(gateway.folder / "outbox.db")
    names = {a: n for n, a in outbox.needed_metrics("steady").items()}
    window = window_of(ends_ms)
    outbox.close()
    inside = [t for t in answered if ends_ms - WINDOW_MS <= t < ends_ms]
    after = [t for t in answered[before:] if t < ends_ms]
    count = window["voltage/count"] or 0
    assert count_before + len(after) - 1 <= count <= len(inside) + 1
    if end is signal.SIGTERM:
        assert count >= len(inside) - 1, "nothing is lost"
    assert window["voltage"] == pytest.approx(231.5)
    assert 0 < (window["completeness"] or 0) < 99


SLOW_OUTBOX = """
import sys, time
from pathlib import Path
from edge_agent import agent
from edge_agent.outbox import Outbox
from edge_agent.reporting import device_reports, report_collector
from edge_agent.signals import Signals

write = Outbox._write
def slowly(self, work, acknowledged):
    time.sleep(0.4 if work else 0)
    write(self, work, acknowledged)
Outbox._write = slowly
report_collector.MAX_PENDING = 0  # every report waits for its commit
device_reports._TICK_S = device_reports.KEEP_EVERY_S = 0.01
agent.GatewayFileWatch.__init__.__globals__["WATCH_EVERY_S"] = 0.05
agent.run_agent(Path(sys.argv[1]), Signals())
"""


def test_reloads_during_slow_commits_end_nothing(gateway: Gateway) -> None:
    both = gateway.text().replace("100ms}", "100ms, aggregate: {every: 1s}}")
    both = both.replace("200ms}", "200ms, aggregate: {every: 1s}}")
    only_first = both[: both.index("  - name: second")]
    gateway.write(both)
    log = gateway.log.open("ab")
    process = gateway.process = subprocess.Popen(
        [sys.executable, "-c", SLOW_OUTBOX, str(gateway.path)], stdout=log, stderr=log
    )
    gateway.measuring()

    def applied(times: int) -> bool:
        assert process.poll() is None, gateway.log.read_text()
        return gateway.log.read_text().count("configuration_applied") >= times

    for i in range(12):
        gateway.write(only_first if i % 2 == 0 else both)
        wait_until(lambda i=i: applied(i + 1), f"reload {i + 1}")  # type: ignore[misc]
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, gateway.log.read_text()


BROKEN = """
import sqlite3, sys
from pathlib import Path
from edge_agent.cli import app
from edge_agent.outbox import Outbox, report_storage
from edge_agent.outbox.sqlite import database

def damaged(*_):
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    raise error

def refused(*_):
    raise PermissionError(1, "rename refused")

if sys.argv[2] == "outbox":
    report_storage.insert_reports = damaged
    database.set_aside = refused
else:
    calls = []
    def retire_all_but(self, present):
        calls.append(present)
        if len(calls) > 1:  # the first call is made before the thread starts
            raise sqlite3.ProgrammingError("made up")
    Outbox.retire_all_but = retire_all_but
app(["run", "--config", sys.argv[1]])
"""


@pytest.mark.parametrize(
    ("part", "event", "reason"),
    [
        ("outbox", "outbox_writer_failed", "the writer of the outbox failed: PermissionError"),
        ("uplink", "uplink_failed", "the uplink failed: ProgrammingError: made up"),
    ],
)
def test_the_death_of_a_thread_ends_the_agent_with_its_reason(
    gateway: Gateway, part: str, event: str, reason: str
) -> None:
    log = gateway.log.open("ab")
    process = gateway.process = subprocess.Popen(
        [sys.executable, "-c", BROKEN, str(gateway.path), part], stdout=log, stderr=log
    )
    if part == "uplink":
        gateway.measuring()
        gateway.write(gateway.text(unit=2))  # a new description of the gateway
    assert process.wait(60) == 1
    assert gateway.logged(event)
    assert gateway.logged(reason)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_the_agent_runs_is_obeyed_once_it_does(
    gateway: Gateway, number: signal.Signals
) -> None:
    process = gateway.start()
    caught = Path(f"/proc/{process.pid}/status")
    wait_until(lambda: _catches(caught, number), "the signal is caught")
    process.send_signal(number)
    if number is signal.SIGHUP:
        wait_until(lambda: gateway.logged("configuration_applied"))
        process.terminate()
    else:
        wait_until(lambda: process.poll() is not None or gateway.logged("draining"))
        process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert gateway.logged("agent_started")


def test_a_signal_in_the_last_moments_does_not_change_how_the_agent_ends() -> None:
    code = (
        "import asyncio, os, signal\n"
        "from edge_agent.signals import Signals\n"
        "signals = Signals()\n"
        "async def run():\n"
        "    signals.listen()\n"
        "    signals.ignore()\n"
        "with asyncio.Runner() as runner:\n"
        "    runner.run(run())\n"
        "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):\n"
        "    os.kill(os.getpid(), number)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


def _catches(status: Path, number: signal.Signals) -> bool:
    for line in status.read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def test_the_agent_imports_nothing_heavy() -> None:
    code = (
        "import sys, edge_agent.agent, edge_agent.tools.check, edge_agent.tools.console_output\n"
        "heavy = {'numpy', 'scipy', 'fastapi', 'duckdb', 'sqlalchemy', 'pandas', 'google.protobuf',"
        " 'typer'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stdout
