"""Scenario files: the library's are right, wrong ones are told apart."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from simulators.scenario_check import check_scenario
from simulators.scenarios import Scenario, find_scenario, load_scenario, scenario_names
from simulators.scenarios.fields import When
from simulators.scenarios.gateways import gateway_document
from simulators.scenarios.ports import ports_in
from simulators.scenarios.stations import stations_of
from telemetry.yaml_files import YamlFileError

NOON_MS = 1_773_118_800_000  # 2026-03-10 12:00 in Việt Nam
BASE = """\
scenario: t
title: T
stations:
  - id: s
    name: S
    latitude: 11
    longitude: 106
    gateway: g
    buses:
      - name: b
        serial: {}
        devices:
          - {name: d, profile: eastron-sdm120}
"""


@pytest.mark.parametrize("name", scenario_names())
def test_the_librarys_scenarios_are_right(name: str) -> None:
    assert check_scenario(name)[-1].strip() == "valid"
    scenario = load_scenario(find_scenario(name))
    assert scenario.scenario == name
    assert scenario.about


@pytest.mark.parametrize("name", scenario_names())
def test_the_schema_that_editors_get_accepts_them(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    document: Any = YAML(typ="safe", pure=True).load(find_scenario(name))
    jsonschema.validate(document, Scenario.model_json_schema())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("faults: [{kind: no_answer, at: 5s}]", "say whose fault it is"),
        ("faults: [{kind: unplugged, device: g/d}]", "happens to a bus or a gateway"),
        ("faults: [{kind: no_anser, device: g/d}]", "'no_answer'"),
        ("faults: [{kind: late, device: g/d, lasts: 5s, every: 2s}]", "'every' needs 'lasts'"),
        ("episodes: [{name: e, at: 5s, add: {pm25: 3}}]", "unknown quantity 'pm25'"),
        ("episodes: [{name: e, at: 5, add: {pm2_5: 3}}]", "write a duration with its unit"),
        ("episodes: [{name: e, at: 5s, stations: [x]}]", "there is no station 'x'"),
        ("start: '2026-01-01T00:00'", "needs its zone"),
        ("start: yesterday", "write 'now'"),
        ("speed: 0", "is for stations that publish"),
        ("sped: 2", "did you mean 'speed'?"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(more: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(BASE + more + "\n")
    with pytest.raises(YamlFileError) as caught:
        load_scenario(file)
    problems = [p for p in caught.value.problems if message in p.message]
    assert problems, caught.value
    assert problems[0].line == 14


def test_moments_are_after_the_start_or_the_next_such_time_of_day() -> None:
    offset = 7 * 3600.0
    assert When.model_validate("75s").resolve_ms(NOON_MS, offset) == NOON_MS + 75_000
    assert When.model_validate("14:20").resolve_ms(NOON_MS, offset) == NOON_MS + 140 * 60_000
    assert When.model_validate("11:59:30").resolve_ms(NOON_MS, offset) == NOON_MS + 86_370_000


def test_starts_are_now_ago_or_given() -> None:
    starts = {"now": NOON_MS, "now-7d": NOON_MS - 7 * 86_400_000, "2026-03-10T12:00+07:00": NOON_MS}
    for text, start_ms in starts.items():
        fields = {"scenario": "t", "title": "t", "start": text, "fleet": {}}
        assert Scenario.model_validate(fields).start_ms(NOON_MS) == start_ms


def test_stations_beyond_the_named_ones_have_names_and_places_of_their_own() -> None:
    scenario = load_scenario(find_scenario("demo"))
    stations = stations_of(scenario, 60)
    for values in (
        [s.gateway for s in stations],
        [s.id for s in stations],
        [(s.latitude, s.longitude) for s in stations],
    ):
        assert len(set(values)) == 60
    assert [b.name for b in stations[3].buses] == [b.name for b in stations[0].buses]
    assert [s.gateway for s in stations[:3]] == ["bd-tdm-001", "bd-da-002", "bd-mp-003"]


def test_gateway_files_fit_the_edges_form(tmp_path: Path) -> None:
    from edge_agent.configuration import GatewayConfiguration

    scenario = load_scenario(find_scenario("demo"))
    stations = stations_of(scenario)
    ports = ports_in(tmp_path, stations)
    assert ports == ports_in(tmp_path, stations)  # a second look finds the same
    for station in stations:
        document = gateway_document(scenario, station, tmp_path, "mqtt://h:1", ports)
        read = GatewayConfiguration.model_validate(document)
        assert read.gateway == station.gateway
        assert [b.name for b in read.buses] == [b.name for b in station.buses]
