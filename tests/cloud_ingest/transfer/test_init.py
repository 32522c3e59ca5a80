"""``quantrac cloud init`` on servers of every kind."""

import os
import uuid
from pathlib import Path

import pytest

from cloud_ingest.stores.influxdb.client import Access, InfluxClient
from telemetry.time.clock import utc_now_ms
from tests.cloud_ingest.transfer.test_backup import cloud_yaml, quantrac
from tests.servers import InfluxDB

URL = os.environ.get("QUANTRAC_TEST_INFLUX_URL", "")


def test_an_embedded_store_is_made(tmp_path: Path) -> None:
    config = cloud_yaml(tmp_path)
    for _ in range(2):
        assert "ready" in quantrac("init", "--config", config)
    assert (tmp_path / "data" / "samples" / "lock").exists()
    assert (tmp_path / "data" / "quantrac.db").exists()


@pytest.mark.influxdb
def test_databases_get_their_retention(tmp_path: Path, influxdb: InfluxDB) -> None:
    store = f"{{kind: influxdb, url: '{influxdb.url}', bucket: qt, keep: {{raw_days: 30}}}}"
    for _ in range(2):
        quantrac("init", "--config", cloud_yaml(tmp_path, store))
    client = InfluxClient(Access(influxdb.url))
    found = {}
    for name in ("qt", "qt_1m", "qt_1h", "qt_1d"):
        [[answer]] = client.query(None, f'SHOW RETENTION POLICIES ON "{name}"')
        found[name] = answer["values"][0][1]
    assert found == {"qt": "720h0m0s", "qt_1m": "17520h0m0s", "qt_1h": "0s", "qt_1d": "0s"}
    client.close()


@pytest.mark.influxdb
def test_a_server_that_is_gone_is_said(tmp_path: Path) -> None:
    store = "{kind: influxdb, url: 'http://127.0.0.1:1'}"
    output = quantrac("init", "--config", cloud_yaml(tmp_path, store), ok=False)
    assert "http://127.0.0.1:1" in output


@pytest.mark.skipif(not URL, reason="QUANTRAC_TEST_INFLUX_URL names no InfluxDB 2.x")
def test_buckets_and_a_token_for_them_are_made(tmp_path: Path) -> None:
    name = f"qt-{uuid.uuid4().hex[:8]}"
    token = os.environ["QUANTRAC_TEST_INFLUX_TOKEN"]
    org = os.environ["QUANTRAC_TEST_INFLUX_ORG"]
    (tmp_path / "admin").write_text(token)
    store = f"{{kind: influxdb, url: '{URL}', org: '{org}', token_file: ./token, bucket: {name}}}"
    config = cloud_yaml(tmp_path, store)
    for _ in range(2):
        quantrac(
            "init", "--config", config, "--admin-token-file", tmp_path / "admin",
            "--token-file", tmp_path / "token",
        )  # fmt: skip
    made = tmp_path / "token"
    assert made.stat().st_mode & 0o077 == 0
    client = InfluxClient(Access(URL, token=made.read_text().strip(), org=org))
    client.write(name, f"pm2_5,device=d value=1 {utc_now_ms()}".encode())
    with pytest.raises(Exception, match=r"40[134]"):
        client.write("another", f"pm2_5,device=d value=1 {utc_now_ms()}".encode())
    client.close()
