"""Other people's programs poll our devices, and find nothing to complain about.

modpoll and thingsboard-gateway are installed into an environment that the test throws away;
where that is not possible the test is skipped.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from pymodbus.client import ModbusSerialClient

from tests.servers import require, wait_until
from tests.simulators.test_faults import running, station
from tests.simulators.test_truth import quantrac

INSTALL_S = 150


@pytest.fixture
def devices(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A folder with the line ``s-rs485`` (weather 1, sonde 2), and the port of a meter (unit 1)."""
    with running(station(), tmp_path) as simulation:
        yield tmp_path, simulation.buses[2].port.port


def throw_away(folder: Path, *packages: str) -> Path:
    """An environment with the packages; its folder of programs."""
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", *packages],
    ):
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=INSTALL_S, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"{packages[0]} does not install within {INSTALL_S} s")
        if done.returncode:
            pytest.skip(f"{packages[0]} does not install here: {done.stderr[-200:]}")
    return folder / "bin"


def test_mbpoll_reads_a_line_and_a_server(devices: tuple[Path, int]) -> None:
    program = require("mbpoll", "mbpoll")
    folder, port = devices
    line = [program, "-m", "rtu", "-b", "9600", "-P", "none", "-a", "1", "-t", "3:int", "-B", "-0",
            "-r", "0", "-c", "3", "-1", str(folder / "s-rs485")]  # fmt: skip
    meter = [program, "-m", "tcp", "-p", str(port), "-a", "1", "-t", "3:float", "-B", "-0",
             "-r", "0", "-c", "1", "-1", "127.0.0.1"]  # fmt: skip
    runs = [
        subprocess.run(c, capture_output=True, text=True, timeout=120, check=False)
        for c in (line, meter)
    ]
    assert [s.returncode for s in runs] == [0, 0]
    temperature, humidity, pressure = re.findall(r"\[\d\]:\s+(-?\d+)", runs[0].stdout)
    assert 15_000 < int(temperature) < 42_000
    assert 20_000 < int(humidity) <= 100_000
    assert 99_000_000 < int(pressure) < 102_500_000
    voltage = re.search(r"\[0\]:\s+([\d.]+)", runs[1].stdout)
    assert voltage is not None
    assert 205 < float(voltage.group(1)) < 245


def test_pymodbus_polls_two_units_of_a_line_again_and_again(devices: tuple[Path, int]) -> None:
    folder, _ = devices
    with ModbusSerialClient(str(folder / "s-rs485"), baudrate=9600, timeout=1) as line:
        for _ in range(5):
            assert not line.read_input_registers(0, count=20, device_id=1).isError()
            assert not line.read_holding_registers(0x2601, count=14, device_id=2).isError()
        assert line.read_input_registers(0, count=30, device_id=1).exception_code == 3


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_modpoll_polls_a_line(devices: tuple[Path, int], tmp_path: Path) -> None:
    folder, port = devices
    programs = throw_away(tmp_path / "modpoll", "modpoll==1.6.0", "pyserial==3.5")
    (tmp_path / "weather.csv").write_text(
        "device,weather,1,,\npoll,input_register,0,6,BE_BE\n"
        "ref,temperature,0,int32,r,mCel\nref,humidity,2,int32,r,m%\nref,pressure,4,int32,r,mPa\n"
    )
    (tmp_path / "meter.csv").write_text(
        "device,meter,1,,\npoll,input_register,0,14,BE_BE\nref,voltage,0,float32,r,V\n"
    )
    for where, configuration, wanted in (
        (["--serial", str(folder / "s-rs485")], "weather.csv", "temperature"),
        (["--tcp", "127.0.0.1", "--tcp-port", str(port)], "meter.csv", "voltage"),
    ):
        done = subprocess.run(
            [str(programs / "modpoll"), "-1", *where, "-f", str(tmp_path / configuration),
             "-o", str(tmp_path / f"{wanted}.out")],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        assert not re.search(r"error|fail|exception", output, re.IGNORECASE), output
        assert wanted in output, output


@pytest.mark.slow
@pytest.mark.mosquitto
@pytest.mark.timeout(300)
def test_thingsboard_gateway_polls_a_server(
    devices: tuple[Path, int], tmp_path: Path, mosquitto: Any
) -> None:
    _, port = devices
    programs = throw_away(tmp_path / "tb", "thingsboard-gateway==3.8.5")
    packaged = next((tmp_path / "tb").glob("lib/*/site-packages/thingsboard_gateway/config"))
    configuration = tmp_path / "configuration"
    configuration.mkdir()
    shutil.copy(packaged / "logs.json", configuration)
    main = json.loads((packaged / "tb_gateway.json").read_text())
    main["thingsboard"] |= {
        "host": "127.0.0.1", "port": mosquitto.port, "remoteConfiguration": False,
        "statistics": {"enable": False},
        "security": {"type": "accessToken", "accessToken": "test"},
    }  # fmt: skip
    main["connectors"] = [{"type": "modbus", "name": "m", "configuration": "modbus.json"}]
    (configuration / "tb_gateway.json").write_text(json.dumps(main))
    meter = {
        "host": "127.0.0.1", "port": port, "type": "tcp", "method": "socket", "unitId": 1,
        "deviceName": "meter", "deviceType": "default", "timeout": 3, "byteOrder": "BIG",
        "wordOrder": "BIG", "pollPeriod": 300, "attributes": [], "attributeUpdates": [], "rpc": [],
        "timeseries": [{"tag": "voltage", "type": "32float", "functionCode": 4,
                        "objectsCount": 2, "address": 0}],
    }  # fmt: skip
    (configuration / "modbus.json").write_text(json.dumps({"master": {"slaves": [meter]}}))
    voltages: list[float] = []
    platform = _platform(mosquitto.port, voltages)
    (tmp_path / "logs").mkdir()
    gateway = subprocess.Popen(
        [str(programs / "thingsboard-gateway")], cwd=tmp_path,
        env={**os.environ, "TB_GW_CONFIG_DIR": str(configuration), "TB_GW_LOGS_PATH": str(tmp_path / "logs")},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: len(voltages) >= 3, "three polls arrive")
    finally:
        gateway.kill()
        gateway.wait()
        platform.disconnect()
        platform.loop_stop()
    assert all(205 < v < 245 for v in voltages)


def _platform(port: int, voltages: list[float]) -> paho.Client:
    """As much of a ThingsBoard as its gateway asks for before it sends."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)

    def on_message(_client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if "rpc/request/" in message.topic:
            answer = message.topic.replace("request", "response")
            limits = {"maxPayloadSize": 65535, "maxInflightMessages": 100, "rateLimits": {}}
            client.publish(answer, json.dumps({**limits, "gatewayRateLimits": {}}), 1)
            return
        for entries in json.loads(message.payload).values():
            voltages.extend(e["values"]["voltage"] for e in entries if "values" in e)

    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.subscribe([("v1/devices/me/rpc/request/+", 1), ("v1/gateway/telemetry", 1)])
    client.loop_start()
    return client


def test_the_program_says_what_is_wrong_with_a_scenario(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        "scenario: w\ntitle: W\nstations:\n  - id: s\n    name: S\n    latitude: 11\n    longitude: 106\n"
        "    gateway: g\n    buses:\n      - name: b\n        serial: {}\n        devices:\n"
        "          - {name: d, profile: eastron-sdm12}\n"
    )
    for file, message in (
        (wrong, "wrong.yaml:13: stations[0].buses[0].devices[0].profile: "),
        (tmp_path / "none.yaml", "No such file"),
        (Path("demmo"), "did you mean 'demo'?"),
    ):
        done = subprocess.run(
            quantrac("sim", "check", str(file)), capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert message in done.stderr.replace("\n", " ")
        assert "Traceback" not in done.stderr
    wrong.write_text(
        wrong.read_text().replace("serial:", "serail:").replace("eastron-sdm12", "eastron-sdm120")
    )
    done = subprocess.run(
        quantrac("sim", "run", str(wrong)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f"{wrong}:11: " in done.stderr
    assert "did you mean 'serial'?" in done.stderr


def test_help_has_examples() -> None:
    for part in ("run", "list", "check", "gateways"):
        output = subprocess.run(
            quantrac("sim", part, "--help"), capture_output=True, text=True, check=False
        ).stdout
        assert "Example: quantrac sim" in " ".join(output.split())
        assert "--log-level" in output


def test_a_fleet_asks_for_its_broker(tmp_path: Path) -> None:
    done = subprocess.run(
        quantrac("sim", "run", "broker-storm"),
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--broker mqtt://" in done.stderr
