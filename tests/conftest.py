"""Fixtures: a real server for each test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import InfluxDB, Mosquitto, require


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running mosquitto."""
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Mosquitto(require("mosquitto", "mosquitto"), folder)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def influxdb(tmp_path: Path) -> Iterator[InfluxDB]:
    """A running InfluxDB."""
    folder = tmp_path / "influxdb"
    folder.mkdir()
    server = InfluxDB(require("influxd", "influxdb"), folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a real Chromium."""
    return require("chromium", "chromium")
