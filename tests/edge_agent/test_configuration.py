"""gateway.yaml: read exactly as contract C2 says, and refused with file, line and field."""

from pathlib import Path

import pytest

from edge_agent.configuration import Confirm, load_gateway
from edge_agent.devices import resolve
from edge_agent.self_description import uplink_settings
from telemetry.yaml_files import YamlFileError

CONTRACT = """\
gateway: bd-tdm-001              # Sparkplug edge node id
group: binh-duong                # Sparkplug group id
station: {id: tdm, name: Thủ Dầu Một, latitude: 10.980, longitude: 106.652}
broker: {url: mqtt://127.0.0.1:1883, username: null, password_file: null, ca_file: null, cert_file: null, key_file: null}
host: quantrac
confirm: stored
outbox: {path: ./outbox.db, max_bytes: 1000000000}
buses:
  - name: rs485
    serial: {port: /dev/ttyUSB0, baudrate: 9600, bytesize: 8, parity: N, stopbits: 1}
    devices:
      - {name: noise, profile: wirenboard-wb-msw-v4, unit: 1, interval: 5s}
  - name: cabinet
    tcp: {host: 127.0.0.1, port: 5020}
    devices:
      - {name: meter, profile: eastron-sdm120, unit: 1, interval: 1s}
  - name: dust
    serial: {port: /dev/ttyAMA0, baudrate: 9600}
    devices:
      - {name: pm, profile: plantower-pms5003}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "gateway.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str) -> list[str]:
    path = write(folder, text)
    with pytest.raises(YamlFileError) as caught:
        resolve(load_gateway(path, {}), path)
    return [str(p).replace(f"{folder}/", "") for p in caught.value.problems]


def test_the_example_of_the_contract_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, CONTRACT)
    gateway = load_gateway(path, {})
    assert gateway.station.name == "Thủ Dầu Một"
    assert gateway.confirm is Confirm.STORED
    assert gateway.outbox.path == tmp_path / "outbox.db"
    broker = uplink_settings(gateway).brokers[0]
    assert (broker.host, broker.port, broker.tls) == ("127.0.0.1", 1883, False)
    rs485, cabinet, dust = resolve(gateway, path)
    assert rs485.devices[0].interval_ms == 5000
    assert rs485.serial is not None
    assert rs485.serial.port == "/dev/ttyUSB0"
    assert cabinet.tcp is not None
    assert cabinet.tcp.framing == "tcp"
    assert dust.is_stream


def test_paths_and_secrets_come_from_the_environment(tmp_path: Path) -> None:
    text = CONTRACT.replace("password_file: null", "password_file: ${SECRETS}/mqtt").replace(
        "gateway: bd-tdm-001", "gateway: ${GATEWAY}"
    )
    (tmp_path / "mqtt").write_text("secret\n")
    gateway = load_gateway(write(tmp_path, text), {"SECRETS": str(tmp_path), "GATEWAY": "bd-7"})
    assert gateway.gateway == "bd-7"
    assert uplink_settings(gateway).brokers[0].password() == "secret"


def test_a_file_that_is_named_and_not_there_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, CONTRACT.replace("password_file: null", "password_file: ./mqtt"))
    assert found == [f"gateway.yaml:4: broker.password_file: there is no file {tmp_path}/mqtt"] or (
        found == ["gateway.yaml:4: broker.password_file: there is no file mqtt"]
    )


def test_a_missing_environment_variable_is_named(tmp_path: Path) -> None:
    found = problems(tmp_path, CONTRACT.replace("gateway: bd-tdm-001", "gateway: ${GATEWAY}"))
    assert found == [
        "gateway.yaml:1: gateway: the environment has no GATEWAY; set it or write the value here"
    ]


def test_serial_settings_left_out_come_from_the_profile(tmp_path: Path) -> None:
    text = CONTRACT.replace("{port: /dev/ttyAMA0, baudrate: 9600}", "{port: tty-dust}")
    path = write(tmp_path, text)
    dust = resolve(load_gateway(path, {}), path)[2]
    assert dust.serial is not None
    assert (dust.serial.baudrate, dust.serial.port) == (9600, str(tmp_path / "tty-dust"))


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("gateway: bd tdm", "gateway: bd-tdm-001", "gateway.yaml:1: gateway: use A-Z"),
        ("latitude: 109", "latitude: 10.980", "gateway.yaml:3: station.latitude: Input should be"),
        ("url: http://x", "url: mqtt://127.0.0.1:1883", "gateway.yaml:4: broker.url: write mqtt://"),
        ("unti: 1", "unit: 1", "gateway.yaml:12: buses[0].devices[0].unti: unknown field; did you"),
        ("interval: 5", "interval: 5s", "buses[0].devices[0].interval: a duration needs its unit"),
        ("interval: 0", "interval: 5s", "interval: the interval must be at least 1ms"),
        ("parity: X", "parity: N", "gateway.yaml:10: buses[0].serial.parity: Input should be 'N'"),
        ("port: usb:1:2", "port: /dev/ttyUSB0", "buses[0].serial.port: write usb:VID:PID"),
        ("eastron-sdm12,", "eastron-sdm120,", "gateway.yaml:16: buses[1].devices[0].profile"),
        ("unit: 300", "unit: 1", "gateway.yaml:12: buses[0].devices[0].unit: Input should be less"),
        ("unit: 0", "unit: 1", "gateway.yaml:12: buses[0].devices[0].unit: 0 speaks to all"),
        ("name: meter,", "name: meter, report: {speed: {dead_band: 1}},", ""),
        ("name: rs485", "name: cabinet", ""),
    ],
)  # fmt: skip
def test_a_wrong_field_is_refused_with_its_line(
    tmp_path: Path, wrong: str, right: str, message: str
) -> None:
    if not message:
        wrong, right = right, wrong
        message = "gateway.yaml:1"
    found = problems(tmp_path, CONTRACT.replace(right, wrong, 1))
    assert any(message in problem for problem in found), found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("pm, profile: plantower-pms5003", "pm, profile: plantower-pms5003, interval: 1s"),
         "gateway.yaml:20: buses[2].devices[0].interval: plantower-pms5003 sends by itself"),
        ((", interval: 1s}", "}"),
         "gateway.yaml:16: buses[1].devices[0].interval: is missing; say how often"),
        (("    tcp: {host: 127.0.0.1, port: 5020}\n", ""),
         "gateway.yaml:13: buses[1]: a bus has either 'serial' or 'tcp'"),
        (("name: pm,", "name: noise,"),
         "gateway.yaml:20: buses[2].devices[0].name: 'noise' is used twice"),
        (("/dev/ttyAMA0", "/dev/ttyUSB0"),
         "gateway.yaml:18: buses[2].serial.port: port /dev/ttyUSB0 is already bus 'rs485'"),
    ],
)  # fmt: skip
def test_fields_that_contradict_each_other_are_refused(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    assert any(p.startswith(message) for p in problems(tmp_path, CONTRACT.replace(*change)))


def test_the_same_unit_and_profile_twice_on_a_bus_is_a_slip(tmp_path: Path) -> None:
    line = "      - {name: meter, profile: eastron-sdm120, unit: 1, interval: 1s}\n"
    found = problems(tmp_path, CONTRACT.replace(line, line + line.replace("meter", "meter2")))
    assert found == [
        "gateway.yaml:17: buses[1].devices[1].unit: unit 1 with this profile is already device 'meter'"
    ]


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(YamlFileError, match="No such file"):
        load_gateway(tmp_path / "none.yaml", {})
