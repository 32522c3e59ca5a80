"""The demonstration's stations, run as a user runs them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymodbus.client import ModbusSerialClient, ModbusTcpClient

from simulators.truth import read_truth
from tests.servers import wait_until


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "quantrac", "sim", "run", "demo", "--dir", str(tmp_path),
         "--truth", str(tmp_path / "truth.csv")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    wait_until((tmp_path / "mp-rs485").exists, "the links appear")
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()


def test_the_demo_serves_real_ports_and_leaves_nothing(
    demo: subprocess.Popen[str], tmp_path: Path
) -> None:
    ports = json.loads((tmp_path / "ports.json").read_text())
    with ModbusSerialClient(str(tmp_path / "tdm-rs485"), baudrate=9600, timeout=1) as line:
        word = line.read_holding_registers(0x167, count=1, device_id=144).registers[0]
        temperature = (word - 400) * 0.1
        assert 15 < temperature < 42
        assert line.read_holding_registers(9000, count=2, device_id=144).exception_code == 2
    with ModbusTcpClient("127.0.0.1", port=ports["mp-cabinet"]) as meter:
        assert not meter.read_input_registers(0, count=2, device_id=1).isError()
    dust = os.open(tmp_path / "tdm-dust", os.O_RDONLY | os.O_NOCTTY)
    assert b"\x42\x4d" in os.read(dust, 200) + os.read(dust, 200)
    os.close(dust)

    demo.send_signal(signal.SIGTERM)
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert "values answered" in output
    assert not list(tmp_path.glob("*-rs485"))
    truth = [s for s in read_truth(tmp_path / "truth.csv") if s.series.endswith("/temperature")]
    answered = [s.value for s in truth if s.series.startswith("bd-tdm-001/weather")]
    assert answered == pytest.approx([temperature])


def test_after_a_kill_the_same_links_and_ports_come_back(
    demo: subprocess.Popen[str], tmp_path: Path
) -> None:
    before = (tmp_path / "ports.json").read_text()
    demo.kill()
    demo.wait()
    again = subprocess.Popen(
        [sys.executable, "-m", "quantrac", "sim", "run", "demo", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    try:
        with ModbusSerialClient(str(tmp_path / "mp-rs485"), baudrate=9600, timeout=1) as line:
            wait_until(lambda: bool(line.connect()) and _answers(line), "the sonde answers")
        assert (tmp_path / "ports.json").read_text() == before
    finally:
        again.terminate()
        assert again.wait(60) == 0


def _answers(line: ModbusSerialClient) -> bool:
    try:
        return not line.read_holding_registers(0x2601, count=2, device_id=1).isError()
    except Exception:
        line.close()
        return False
