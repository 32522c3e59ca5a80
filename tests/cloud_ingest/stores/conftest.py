"""The stores that the conformance suite runs against."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud_ingest.stores.embedded.store import EmbeddedStore
from cloud_ingest.stores.influxdb.client import Access, InfluxClient
from cloud_ingest.stores.influxdb.store import InfluxStore
from cloud_ingest.stores.protocol import SampleStore
from tests.servers import InfluxDB, require


@pytest.fixture(scope="package")
def influx_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    """One InfluxDB for all tests of stores; each takes a database of its own."""
    server = InfluxDB(require("influxd", "influxdb"), tmp_path_factory.mktemp("influxdb"))
    server.start()
    yield server
    server.stop()


URL = "QUANTRAC_TEST_INFLUX_URL"
"""The address of an InfluxDB 2.x or 3.x to test too, with QUANTRAC_TEST_INFLUX_TOKEN and _ORG; see docs/stores.md."""


def influx_store(url: str) -> InfluxStore:
    store = InfluxStore(InfluxClient(Access(url)), f"test-{uuid.uuid4().hex[:12]}")
    store.prepare()
    return store


def other_influx_store() -> InfluxStore:
    """A store in a new bucket of the server that the environment names."""
    token, org = (
        os.environ.get("QUANTRAC_TEST_INFLUX_TOKEN"),
        os.environ.get("QUANTRAC_TEST_INFLUX_ORG"),
    )
    client = InfluxClient(Access(os.environ[URL], token=token, org=org))
    store = InfluxStore(client, f"test-{uuid.uuid4().hex[:12]}", org=org)
    store.prepare()
    return store


KINDS = [
    "embedded",
    "embedded-flushed",
    "embedded-closed",
    pytest.param("influxdb", marks=pytest.mark.influxdb),
    pytest.param("influxdb-closed", marks=pytest.mark.influxdb),
    *([URL, f"{URL}-closed"] if os.environ.get(URL) else []),
]
CENTURIES_LATER_MS = 1 << 53


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SampleStore]:
    """An empty store.

    Before each reading "embedded-flushed" writes all it has as parts; "embedded-closed" and
    "influxdb-closed" make the summaries of every day.
    """
    if request.param in ("influxdb", "influxdb-closed"):
        made: SampleStore = influx_store(request.getfixturevalue("influx_server").url)
        if request.param == "influxdb-closed":
            _before_reading(made, lambda: close_gateway_days(made))
    elif request.param.startswith(URL):
        made = other_influx_store()
        if request.param.endswith("closed"):
            _before_reading(made, lambda: close_gateway_days(made))
    else:
        made = EmbeddedStore(tmp_path / "samples")
        if request.param == "embedded-flushed":
            _before_reading(made, made.flush)
        if request.param == "embedded-closed":
            _before_reading(made, lambda: close_all_days(made))
    yield made
    made.close()


def close_all_days(store: EmbeddedStore) -> None:
    store.flush()
    store._closed_at_ms.clear()
    store.maintain(CENTURIES_LATER_MS)


def close_gateway_days(store: InfluxStore) -> None:
    store._rollup._closed_at_ms.clear()
    store.maintain(CENTURIES_LATER_MS)


def _before_reading(store: SampleStore, first: Callable[[], None]) -> None:
    for name in ("read", "read_many", "envelope", "count", "scan", "latest"):
        setattr(store, name, _after(first, getattr(store, name)))


def _after(first: Callable[[], None], then: Callable[..., object]) -> Callable[..., object]:
    def call(*args: object, **kwargs: object) -> object:
        first()
        return then(*args, **kwargs)

    return call
