"""Serial ports are found by path or by the identity of their USB adapter."""

from pathlib import Path

import pytest

from edge_agent.acquisition.lines.line import BusUnavailable
from edge_agent.acquisition.lines.ports import SerialPort, find_port

PORTS = [
    SerialPort("/dev/ttyUSB0", "0403:6001:A50285BI"),
    SerialPort("/dev/ttyUSB1", "0403:6001:A9XYZ"),
    SerialPort("/dev/ttyUSB2", "1A86:7523"),
    SerialPort("/dev/ttyS0"),
]


def test_an_adapter_is_found_by_its_identity_wherever_it_is() -> None:
    assert find_port("usb:1a86:7523", PORTS) == "/dev/ttyUSB2"
    assert find_port("usb:0403:6001:a9xyz", PORTS) == "/dev/ttyUSB1"
    moved = [SerialPort("/dev/ttyUSB7", "0403:6001:A9XYZ")]
    assert find_port("usb:0403:6001:A9XYZ", moved) == "/dev/ttyUSB7"


def test_two_adapters_that_fit_are_told_apart_by_the_serial_number() -> None:
    with pytest.raises(BusUnavailable, match=r"2 adapters fit usb:0403:6001: .*A50285BI.*serial"):
        find_port("usb:0403:6001", PORTS)


def test_an_adapter_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(BusUnavailable, match=r"no adapter usb:dead:beef .*/dev/ttyUSB0 \(usb:0403"):
        find_port("usb:dead:beef", PORTS)


def test_a_path_is_taken_as_it_is_if_it_exists(tmp_path: Path) -> None:
    port = tmp_path / "by-id"
    port.touch()
    assert find_port(str(port), PORTS) == str(port)
    with pytest.raises(BusUnavailable, match=r"there is no port .*; ports here: /dev/ttyUSB0"):
        find_port(str(tmp_path / "none"), PORTS)
