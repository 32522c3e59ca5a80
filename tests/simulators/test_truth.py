"""A real edge agent reads simulated devices; what arrives at a host is what was served."""

import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from simulators.truth import read_truth
from tests.servers import wait_until
from tests.simulators.test_fleet import Host


def quantrac(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "quantrac", *arguments]


@pytest.mark.mosquitto
@pytest.mark.parametrize("scenario", ["demo", "roadside-cabinet"])
def test_what_the_agent_sends_is_what_the_devices_served(
    scenario: str, mosquitto: Any, tmp_path: Path
) -> None:
    host = Host(mosquitto.port)
    wire = ("--dir", str(tmp_path))
    made = subprocess.run(
        quantrac("sim", "gateways", scenario, *wire, "--broker", mosquitto.url),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    configurations = made.stdout.split()
    truth_file = tmp_path / "truth.csv"
    sim = subprocess.Popen(
        quantrac("sim", "run", scenario, *wire, "--truth", str(truth_file)),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(lambda: list(tmp_path.glob("*-dust")), "the links appear")
    edges = [subprocess.Popen(quantrac("edge", "run", "--config", c)) for c in configurations]
    try:
        wait_until(lambda: len(host.births) == len(edges), "all gateways are born")
        wait_until(lambda: len({s for s, _ in host.samples}) > 20, "samples of many series arrive")
    finally:
        for edge in edges:
            edge.terminate()
        for edge in edges:
            edge.wait(60)
        sim.terminate()
        sim.wait(60)
    wait_until(lambda: len(host.deaths) >= len(edges), "everything up to the deaths has arrived")
    host.close()
    assert not host.wrong
    served: dict[str, list[tuple[int, float | None]]] = defaultdict(list)
    for s in read_truth(truth_file):
        served[s.series].append((s.time_ms, s.value))
    arrived: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for (series, time_ms), value in sorted(host.samples.items(), key=lambda i: i[0][1]):
        arrived[series].append((time_ms, value))
    assert len(arrived) > 20
    for series, samples in arrived.items():
        unmatched = list(served[series])
        for time_ms, value in samples:
            # a sample stands for the middle of its transaction; the truth for its end
            near = [u for u in unmatched if abs(u[0] - time_ms) < 1500 and u[1] is not None]
            match = next((u for u in near if abs(u[1] - value) <= 1e-6 * max(abs(value), 1)), None)
            assert match is not None, (series, time_ms, value, near)
            unmatched.remove(match)
