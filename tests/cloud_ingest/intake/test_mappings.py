"""Mappings of payloads that are not Sparkplug. The cases are folders of data."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import cbor2
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from cloud_ingest.intake.mappings import Mapping, MappingError, apply, load_mappings
from cloud_ingest.intake.mappings.cli import app
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.unit_conversion import Conditions, conversion_to_stored
from telemetry.time.clock import utc_now_ms
from telemetry.units import UnitError
from telemetry.yaml_files import YamlFileError
from tests.cloud_ingest.test_pipeline import Cloud

EXAMPLES = Path(__file__).parents[3] / "cloud_ingest" / "intake" / "mappings" / "examples"
NOW_MS = 1_795_400_000_000


def mapping(name: str, which: int = 0) -> Mapping:
    return load_mappings([EXAMPLES / f"{name}.yaml"])[which]


def values(m: Mapping, topic: str, payload: bytes) -> dict[str, float]:
    samples, refused = apply(m, topic, payload, NOW_MS)
    assert refused == []
    return {str(s.key): s.value for s in samples}


def test_every_example_is_valid() -> None:
    for file in EXAMPLES.glob("*.yaml"):
        assert load_mappings([file])


def test_tasmota() -> None:
    payload = (
        b'{"Time":"2026-11-23T08:00:00","AM2301":{"Temperature":31.5},"SDS0X1":{"PM2.5":"12.5"}}'
    )
    samples, _ = apply(mapping("tasmota"), "tele/roof/SENSOR", payload, NOW_MS)
    assert [(str(s.key), s.value) for s in samples] == [
        ("tasmota-roof/sensor/temperature", 31.5), ("tasmota-roof/sensor/pm2_5", 12.5),
    ]  # fmt: skip
    assert samples[0].time_ms == 1_795_395_600_000  # 01:00 UTC: the example says UTC+7


def test_zigbee_values_without_a_time_take_the_time_of_arrival() -> None:
    payload = b'{"temperature":21.5,"linkquality":90,"battery":100}'
    samples, _ = apply(mapping("zigbee2mqtt"), "zigbee2mqtt/kitchen", payload, NOW_MS)
    assert {str(s.key) for s in samples} == {"zigbee/kitchen/temperature", "zigbee/kitchen/battery"}
    assert all(s.time_ms == NOW_MS and s.arrived for s in samples)


def test_gases_in_ppb_at_the_stated_conditions() -> None:
    found = values(mapping("gas"), "site/a/gas", b'{"no2":20,"co":1,"ts":1795400000000}')
    # 1 ppb NO2 is 1.88 ug/m3 at 25 degC and 1013.25 hPa; 1 ppm CO is 1145 ug/m3 (WHO 2021, EPA)
    assert found["gas-a/monitor/no2"] == pytest.approx(20 * 1.88, rel=0.002)
    assert found["gas-a/monitor/co"] == pytest.approx(1145, rel=0.002)


def test_a_gas_in_ppb_without_conditions_is_refused() -> None:
    with pytest.raises(UnitError, match="stated temperature and pressure"):
        conversion_to_stored("no2", "ppb")
    _, cold, _ = conversion_to_stored("no2", "ppb", Conditions(0, 1013.25))
    _, warm, _ = conversion_to_stored("no2", "ppb", Conditions(30, 1013.25))
    assert cold / warm == pytest.approx(303.15 / 273.15)


SENML = [
    {"bn": "urn:x:", "bt": 1.7954e9, "bu": "Cel", "n": "temp", "v": 23.1, "t": -5},
    {"n": "pm2_5", "u": "ug/m3", "v": 3},
    {"n": "text", "vs": "hello"},
    {"n": "door", "u": "1", "vb": True},
]
_LABELS = {"bn": -2, "bt": -3, "bu": -4, "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "t": 6}


@pytest.mark.parametrize("form", ["senml-json", "senml-cbor"])
def test_senml_resolves_its_base_values(form: str) -> None:
    cbor = form == "senml-cbor"
    m = mapping("senml", int(cbor))
    pack = cbor2.dumps([{_LABELS[k]: v for k, v in r.items()} for r in SENML])
    payload = pack if cbor else json.dumps(SENML).encode()
    samples, refused = apply(m, f"{m.topic.split('/')[0]}/g/d", payload, NOW_MS)
    assert refused == []
    by_name = {s.key.metric: s for s in samples}
    temperature = by_name["urn:x:temp" if cbor else "temperature"]
    assert (temperature.value, temperature.unit) == (23.1, "Cel")
    assert temperature.time_ms == 1_795_399_995_000
    assert by_name["urn:x:pm2_5"].quantity == "pm2_5"
    assert by_name["urn:x:door"].value == 1.0
    assert "urn:x:text" not in by_name


def test_senml_small_times_are_relative_to_now() -> None:
    samples, _ = apply(mapping("senml"), "senml/g/d", b'[{"n":"pm2_5","v":1,"t":-2}]', NOW_MS)
    assert samples[0].time_ms == NOW_MS - 2000


def test_line_protocol_with_escapes_and_quotes() -> None:
    line = b'air\\ box,station=t\xc4\x90m,x=a\\,b pm25=12.5,temperature=30i,s="a b,c=1" 1795400000000000000\n'
    samples, _ = apply(mapping("influx"), "telegraf/host1/x", line, NOW_MS)
    assert [(str(s.key), s.value, s.station) for s in samples] == [
        ("host1/air box/pm2_5", 12.5, "tĐm"), ("host1/air box/temperature", 30.0, "tĐm"),
    ]  # fmt: skip
    assert samples[0].time_ms == 1_795_400_000_000


@pytest.mark.parametrize("name", ["tasmota", "zigbee2mqtt", "senml", "influx"])
@settings(deadline=None)
@given(payload=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_rubbish_is_refused_with_a_reason(name: str, payload: bytes) -> None:
    m = mapping(name)
    topic = m.topic.replace("{", "").replace("}", "").replace("#", "x")
    with contextlib.suppress(MappingError):
        samples, _ = apply(m, topic, payload, NOW_MS)
        assert all(not math.isinf(s.value) for s in samples)


@pytest.mark.parametrize(
    "payload", [b"[" * 100_000, b'{"a":' * 50_000, b"\x81" * 100_000, b"\x9b\x7f" + b"\xff" * 7]
)
def test_nesting_bombs_are_refused(payload: bytes) -> None:
    for m in (mapping("zigbee2mqtt"), mapping("senml"), mapping("senml", 1)):
        topic = m.topic.replace("{", "").replace("}", "")
        with pytest.raises(MappingError):
            apply(m, topic, payload, NOW_MS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{path: a, quantity: no2, unit: ppb}",
            r"bad.yaml:8: mappings\[0\].metrics\[0\].unit: .*add at",
        ),
        ("{path: a, quantity: pm25}", "there is no quantity 'pm25'"),
        ("{path: a, quantity: pm2_5, unit: furlong}", "unknown unit 'furlong'"),
        ("{path: a, quantity: pm2_5, unit: Cel}", "cannot become"),
    ],
)
def test_a_wrong_mapping_says_where_and_what(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(
        "mappings:\n  - name: x\n    topic: a/{b}\n    format: json\n    gateway: '{b}'\n"
        f"    device: d\n    metrics:\n      - {text}\n"
    )
    with pytest.raises(YamlFileError, match=message):
        load_mappings([file])


@pytest.fixture
def own_logging() -> Iterator[None]:
    """The command points the log at this test's streams; give it back."""
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("own_logging")
def test_the_command_shows_what_a_mapping_makes_of_a_payload(tmp_path: Path) -> None:
    payload = tmp_path / "payload.json"
    payload.write_text('{"temperature": 20.5}')
    example = str(EXAMPLES / "zigbee2mqtt.yaml")
    shown = CliRunner().invoke(app, ["check", example, "--sample", str(payload)])
    assert shown.exit_code == 0
    assert "zigbee/device/temperature" in shown.output
    payload.write_text('{"nothing": 1}')
    assert CliRunner().invoke(app, ["check", example, "--sample", str(payload)]).exit_code == 1
    payload.write_text("not json")
    assert CliRunner().invoke(app, ["check", example, "--sample", str(payload)]).exit_code == 1


def test_mapped_messages_become_samples_and_their_gateway_falls_silent(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, mappings=load_mappings([EXAMPLES / "zigbee2mqtt.yaml"]))
    now_ms = utc_now_ms()
    cloud.feed(
        MqttMessage("zigbee2mqtt/hall", b'{"temperature": 20.5}', now_ms),
        MqttMessage("zigbee2mqtt/hall", b"rubbish", now_ms),
        MqttMessage("elsewhere", b"{}", now_ms),
    )
    assert cloud.value("zigbee/hall/temperature", now_ms) == (20.5, 1)
    assert sorted(cloud.quarantine.summary().values()) == [1, 1]
    assert cloud.alerts.online == [("zigbee", None, True), ("zigbee", "hall", True)]
    cloud.receiver.tick(now_ms + 700_000)
    cloud.pipeline.step()
    assert cloud.alerts.online[-1] == ("zigbee", None, False)
