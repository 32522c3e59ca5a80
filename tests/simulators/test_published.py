"""Stations that publish days in seconds."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from simulators.runner import Options, run_scenario
from simulators.scenarios import find_scenario
from simulators.truth import read_truth
from tests.simulators.test_fleet import Host


@pytest.mark.mosquitto
def test_half_a_day_of_three_stations_arrives_whole_and_only_once(
    mosquitto: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = find_scenario("officer-week").read_text()
    text += "  - {kind: power_cut, gateway: bd-da-002, at: 1h, lasts: 2h}\n"
    file = tmp_path / "week.yaml"
    file.write_text(text)
    host = Host(mosquitto.port)
    options = Options(
        folder=tmp_path, stations=3, speed=0, duration_ms=12 * 3_600_000,
        truth=tmp_path / "truth.csv", broker=mosquitto.url,
    )  # fmt: skip
    asyncio.run(run_scenario(str(file), options))
    host.close()
    truth = {(s.series, s.time_ms): s.value for s in read_truth(tmp_path / "truth.csv")}
    assert not host.wrong
    assert host.samples == truth
    sampled = {t for name, t in truth if name == "bd-tdm-001/pm/pm2_5"}
    assert len(sampled) == 720
    assert {b - a for a, b in zip(sorted(sampled), sorted(sampled)[1:], strict=False)} == {60_000}
    dark = [t for name, t in truth if name == "bd-da-002/noise/sound_level"]
    assert len(dark) == 600  # two hours without power
    output = capsys.readouterr().out
    assert "12.0 simulated hours of 3 stations" in output
    assert " 0 waiting" in output
