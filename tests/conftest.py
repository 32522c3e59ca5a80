"""Fixtures: a real server for each test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import InfluxDB, Mosquitto, require

# A loaded machine is no failure: neither an example nor the generation of examples has a time
# limit. A failing example is printed as a blob for `@reproduce_failure`. The examples of one test
# share its fixtures on purpose: such tests start each example from a name or key of its own.
settings.register_profile(
    "quantrac",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("quantrac")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow proofs have more time than the limit of pyproject.toml."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(1200))


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
