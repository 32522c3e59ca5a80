"""The servers that other tests rely on start, answer and stop."""

import urllib.request

import pytest

from tests.servers import InfluxDB, Mosquitto, accepts


@pytest.mark.mosquitto
def test_mosquitto_starts_again_after_being_killed(mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    assert not accepts(mosquitto.port)
    mosquitto.start()
    assert accepts(mosquitto.port)


@pytest.mark.influxdb
def test_influxdb_answers_queries(influxdb: InfluxDB) -> None:
    with urllib.request.urlopen(f"{influxdb.url}/query?q=SHOW%20DATABASES") as reply:
        assert reply.status == 200
