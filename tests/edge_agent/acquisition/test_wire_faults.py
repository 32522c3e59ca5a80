"""The agent against simulated devices whose wire goes wrong: every sample is what a device said."""

import bisect
import csv
import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from edge_agent.outbox import Outbox
from edge_agent.outbox.sqlite.row_format import unpack
from tests.servers import wait_until

SECONDS = 12.0
NEAR_MS = 3000
SCENARIO = """\
scenario: faults
title: Faults of the wire
about: What may go wrong between a device and its reader.
seed: 5
group: test
stations:
  - id: s
    name: Station
    gateway: gw-1
    latitude: 10.98
    longitude: 106.65
    buses:
      - name: rs485
        serial: {baudrate: 19200}
        devices:
          - {name: noise, profile: wirenboard-wb-msw-v4, unit: 1, interval: 500ms}
          - {name: counter, profile: wirenboard-wb-mcm8, unit: 2, interval: 500ms}
          - {name: weather, profile: seeed-sensecap-one, unit: 3, interval: 500ms}
      - name: cabinet
        tcp: {}
        devices:
          - {name: meter, profile: eastron-sdm120, unit: 1, interval: 200ms}
faults:
  - {kind: crc_error, bus: gw-1/rs485, probability: 0.05}
  - {kind: late, device: gw-1/weather, value: 700, probability: 0.2}
  - {kind: late, device: gw-1/noise, value: 600, probability: 0.1}
  - {kind: truncated, device: gw-1/meter, probability: 0.05}
  - {kind: exception, device: gw-1/counter, value: 6, probability: 0.1}
  - {kind: no_answer, device: gw-1/noise, probability: 0.05}
"""


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "quantrac", *words]


def measured(gateway: Path) -> int:
    """How many samples the agent has measured, as it says itself."""
    said = subprocess.run(
        command("edge", "status", "--config", str(gateway), "--json"),
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return int(json.loads(said.stdout)["measured_total"]) if said.returncode == 0 else 0


@pytest.mark.slow
def test_under_every_fault_of_the_wire_no_value_is_made_up(tmp_path: Path) -> None:
    scenario, truth, folder = tmp_path / "faults.yaml", tmp_path / "truth.csv", tmp_path / "wire"
    scenario.write_text(SCENARIO, encoding="utf-8")
    here = ("--dir", str(folder))
    subprocess.run(
        command("sim", "gateways", str(scenario), *here, "--broker", "mqtt://127.0.0.1:1"),
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    gateway = folder / "gw-1.yaml"
    log = (tmp_path / "log").open("wb")
    devices = subprocess.Popen(
        command("sim", "run", str(scenario), *here, "--truth", str(truth)), stdout=log, stderr=log
    )
    agent = None
    try:
        wait_until(lambda: list(folder.glob("*rs485*")), "the line is there")
        agent = subprocess.Popen(
            command("edge", "run", "--config", str(gateway)), stdout=log, stderr=log
        )
        time.sleep(SECONDS)  # the faults' schedule; a machine under load reads less in it
        wait_until(lambda: measured(gateway) > 300, "enough was measured", timeout_s=300)
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(60) == 0
    finally:
        for process in (agent, devices):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(60)
    samples = read_outbox(next(folder.glob("*outbox.db")))
    said = read_truth(truth)
    wrong = [s for s in samples if not was_said(said[f"gw-1/{s[0]}/{s[1]}"], s[2], s[3])]
    assert not wrong, wrong[:5]
    seen = {device for device, *_ in samples}
    assert seen == {"noise", "counter", "weather", "meter"}
    assert len(samples) > 300


Said = list[tuple[int, float | None]]


def read_outbox(path: Path) -> list[tuple[str, str, int, float | None]]:
    outbox, found, after = Outbox(path), [], 0
    names = {
        alias: (device, metric)
        for device in outbox.devices()
        for metric, alias in outbox.needed_metrics(device).items()
    }
    while reports := outbox.read(after, 5000):
        for report in reports:
            after = report.batch
            found += [
                (*names[alias], time_ms, value) for alias, time_ms, value, _ in unpack(report)
            ]
    outbox.close()
    return found


def read_truth(path: Path) -> dict[str, Said]:
    said: dict[str, Said] = defaultdict(list)
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            value = float(row["value"]) if row["value"] else None
            said[row["series"]].append((int(row["time_ms"]), value))
    return said


def was_said(said: Said, time_ms: int, value: float | None) -> bool:
    first = bisect.bisect_left(said, time_ms - NEAR_MS, key=lambda row: row[0])
    for when, reported in said[first:]:
        if when > time_ms + NEAR_MS:
            return False
        if value is None or reported is None:
            if value is reported:
                return True
        elif abs(reported - value) <= 1e-6 * max(1.0, abs(reported)):
            return True
    return False
