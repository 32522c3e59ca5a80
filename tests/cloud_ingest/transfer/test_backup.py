"""Backup, restore and import through the command line, also of a running system."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from cloud_ingest.database import Database, schema
from cloud_ingest.inventory.inventory import Inventory
from cloud_ingest.inventory.model import SeriesDescription
from cloud_ingest.stores import StoreConfiguration, open_store
from cloud_ingest.stores.configuration import KeepConfiguration
from cloud_ingest.stores.embedded.store import EmbeddedStore
from cloud_ingest.transfer import database_dump
from cloud_ingest.transfer.cli import app
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey
from telemetry.time.clock import utc_now_ms
from tests.cloud_ingest.intake.test_shards import PostgreSQL
from tests.servers import InfluxDB

T0 = 1_767_225_600_000
HOUR, DAY = 3_600_000, 86_400_000
ALL = (0, 1 << 60)


def cloud_yaml(folder: Path, store: str = "{kind: embedded, path: ./data}") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cloud.yaml"
    path.write_text(
        f"broker: {{url: mqtt://127.0.0.1:1883}}\nstore: {store}\ndatabase: sqlite:///./data/quantrac.db\n"
    )
    (folder / "data").mkdir(exist_ok=True)
    return path


def system(folder: Path, n: int = 20) -> list[Series]:
    """A database with series, as ingest writes them."""
    database = Database(f"sqlite:///{folder}/data/quantrac.db")
    database.migrate()
    inventory = Inventory(database)
    for i in range(n):
        key = SeriesKey("gw-1", "đo", f"m{i}")
        inventory.admit(SeriesDescription(key, "bd", "tdm", "pm10", "ug/m3", 1000, (0.0, 500.0)))
    with database.engine.begin() as connection:
        inventory.save(connection)
        connection.execute(
            sa.insert(schema.quarantine).values(
                time_ms=5,
                topic="t",
                reason="r",
                size=3,
                count=1,
                form="message",
                payload=b"\x00\xff\x01",
            )
        )
        connection.execute(
            sa.insert(schema.gateways).values(
                id="gw-1", group_id="bd", station_id="tdm", online=True, acknowledges=False,
                since_ms=1, properties={"a": [1, None], "b": "x"},
            )
        )  # fmt: skip
    database.close()
    return inventory.series()


def quantrac(*arguments: object, ok: bool = True) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert (result.exit_code == 0) is ok, result.output
    return result.output


def fill(store: EmbeddedStore, series: list[Series], hours: int) -> None:
    store.register(series)
    n = len(series)
    for i in range(hours):
        store.write(
            SampleBatch.of(
                [s.index for s in series],
                np.full(n, T0 + i * HOUR),
                np.arange(n) + i / 8,
                np.ones(n),
            )
        )


WRITER = """
import sys, time
from pathlib import Path
import numpy as np
from cloud_ingest.stores.embedded.store import EmbeddedStore
from telemetry.batches import SampleBatch

store = EmbeddedStore(Path(sys.argv[1]), flush_rows=400)
for n in range(100_000):
    store.write(SampleBatch.of(np.arange(20), np.full(20, 1767225600000 + n * 600_000), np.full(20, float(n)), np.ones(20)))
    if n % 5 == 0:
        store.maintain(1767225600000 + n * 600_000)
    print(n, flush=True)
"""


def test_a_backup_of_a_system_at_work_has_all_that_was_stored_before_it(tmp_path: Path) -> None:
    config = cloud_yaml(tmp_path / "a")
    series = system(tmp_path / "a")
    samples = tmp_path / "a" / "data" / "samples"
    store = EmbeddedStore(samples)
    store.register(series)
    store.close()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(samples)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout
    promised = []
    try:
        for line in writer.stdout:
            if int(line) in (150, 350, 500):
                promised.append(int(line))
                quantrac("backup", tmp_path / f"{line.strip()}.tar", "--config", config)
            if int(line) == 500:
                break
    finally:
        writer.kill()
        writer.wait()
    for number in promised:
        target = tmp_path / f"restored-{number}"
        quantrac("restore", tmp_path / f"{number}.tar", "--config", cloud_yaml(target))
        store = EmbeddedStore(target / "data" / "samples")
        assert store.series() == series
        for s in (series[0], series[19]):
            found = store.read(s, *ALL)
            assert len(found.time_ms) > number
            assert found.value.tolist() == [float(n) for n in range(len(found.value))]
            by_day = store.read(s, *ALL, DAY, "count")
            assert by_day.value.sum() == len(found.value)
        store.close()
    assert not list((tmp_path / "a" / "data").glob("backup-*"))


def test_what_is_restored_is_what_was_backed_up(tmp_path: Path) -> None:
    config = cloud_yaml(tmp_path / "a")
    series = system(tmp_path / "a")
    store = EmbeddedStore(tmp_path / "a" / "data" / "samples")
    fill(store, series, 60)
    store.flush()
    store.maintain(T0 + 2 * DAY + 3 * HOUR)
    store.close()
    quantrac("backup", tmp_path / "b.tar", "--config", config)
    other = cloud_yaml(tmp_path / "b")
    quantrac("restore", tmp_path / "b.tar", "--config", other)
    first = Database(f"sqlite:///{tmp_path}/a/data/quantrac.db")
    second = Database(f"sqlite:///{tmp_path}/b/data/quantrac.db")
    assert list(database_dump.dump(first.engine)) == list(database_dump.dump(second.engine))
    assert '"$bytes": "AP8B"' in "".join(database_dump.dump(second.engine))
    again = EmbeddedStore(tmp_path / "b" / "data" / "samples")
    assert again.count(series) == 60 * 20
    assert again.latest(series).time_ms.min() == T0 + 59 * HOUR
    assert again.read(series[3], *ALL, HOUR, "max").value.tolist() == [3 + i / 8 for i in range(60)]
    again.close()
    assert "samples already" in quantrac("restore", tmp_path / "b.tar", "--config", other, ok=False)


def test_a_file_that_is_no_backup_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_text("nothing")
    output = quantrac(
        "restore", tmp_path / "x.tar", "--config", cloud_yaml(tmp_path / "a"), ok=False
    )
    assert "not a backup" in output


@pytest.mark.influxdb
def test_a_backup_moves_from_influxdb_to_the_embedded_store_and_back(
    tmp_path: Path, influxdb: InfluxDB
) -> None:
    first = f"{{kind: influxdb, url: '{influxdb.url}', bucket: first, keep: {{raw_days: null}}}}"
    config = cloud_yaml(tmp_path / "a", first)
    series = system(tmp_path / "a")
    store = open_store(
        StoreConfiguration(
            kind="influxdb", url=influxdb.url, bucket="first", keep=KeepConfiguration(raw_days=None)
        )
    )
    fill(store, series, 30)  # type: ignore[arg-type]
    quantrac("backup", tmp_path / "1.tar", "--config", config)
    quantrac("restore", tmp_path / "1.tar", "--config", cloud_yaml(tmp_path / "b"))
    embedded = EmbeddedStore(tmp_path / "b" / "data" / "samples")
    assert embedded.count(series) == 600
    embedded.close()
    quantrac("backup", tmp_path / "2.tar", "--config", tmp_path / "b" / "cloud.yaml")
    second = f"{{kind: influxdb, url: '{influxdb.url}', bucket: second, keep: {{raw_days: null}}}}"
    quantrac("restore", tmp_path / "2.tar", "--config", cloud_yaml(tmp_path / "c", second))
    again = open_store(
        StoreConfiguration(
            kind="influxdb",
            url=influxdb.url,
            bucket="second",
            keep=KeepConfiguration(raw_days=None),
        )
    )
    for s in series[:3]:
        a, b = store.read(s, 0, T0 + 99 * DAY), again.read(s, 0, T0 + 99 * DAY)
        np.testing.assert_array_equal(a.time_ms, b.time_ms)
        np.testing.assert_array_equal(a.value, b.value)
        np.testing.assert_array_equal(a.quality, b.quality)
    store.close()
    again.close()


def test_an_export_is_imported_elsewhere(tmp_path: Path) -> None:
    config = cloud_yaml(tmp_path / "a")
    series = system(tmp_path / "a")
    store = EmbeddedStore(tmp_path / "a" / "data" / "samples")
    fill(store, series, 30)
    for name in ("x.csv", "x.parquet", "x.lp"):
        quantrac("export", tmp_path / name, "--config", config, "--to", T0 + DAY)
        other = cloud_yaml(tmp_path / name.replace(".", "-"))
        assert "480 samples imported" in quantrac("import", tmp_path / name, "--config", other)
        there = EmbeddedStore(other.parent / "data" / "samples")
        known = {s.key: s for s in there.series()}
        assert known.keys() == {s.key for s in series}
        for s in series:
            mine = known[s.key]
            assert (mine.station, mine.quantity, mine.unit) == ("tdm", "pm10", "ug/m3")
            assert (
                there.read(mine, *ALL).value.tolist() == store.read(s, T0, T0 + DAY).value.tolist()
            )
        there.close()
    store.close()


def test_a_running_system_takes_an_import_of_series_that_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud_ingest.stores.opening.UPKEEP_S", 0.2)
    config = cloud_yaml(tmp_path / "a")
    series = system(tmp_path / "a")
    embedded = StoreConfiguration(kind="embedded", path=tmp_path / "a" / "data")
    store = open_store(embedded)
    store.register(series)
    yesterday = utc_now_ms() - DAY  # older ones would become summaries at once
    text = "time,gateway,device,metric,quantity,unit,value\n"
    (tmp_path / "old.csv").write_text(text + f"{yesterday},gw-1,đo,m3,pm10,mg/m3,0.5\n")
    quantrac("import", tmp_path / "old.csv", "--config", config)
    assert store.read(series[3], *ALL).value.tolist() == pytest.approx([500.0])
    (tmp_path / "new.csv").write_text(text + "2026-01-01T00:00:00Z,gw-2,d,m,pm10,ug/m3,1\n")
    assert "new series" in quantrac("import", tmp_path / "new.csv", "--config", config, ok=False)
    (tmp_path / "unit.csv").write_text(text + "2026-01-01T00:00:00Z,gw-1,đo,m3,pm10,km/h,1\n")
    assert "km/h" in quantrac("import", tmp_path / "unit.csv", "--config", config, ok=False)
    store.close()


@pytest.mark.postgresql
def test_a_backup_moves_from_sqlite_to_postgresql_and_back(
    tmp_path: Path, postgresql: PostgreSQL
) -> None:
    series = system(tmp_path / "a")
    sqlite = Database(f"sqlite:///{tmp_path}/a/data/quantrac.db")
    rows = list(database_dump.dump(sqlite.engine))
    server = Database(postgresql.url)
    server.migrate()
    for _ in range(2):
        assert database_dump.restore(server.engine, rows) == len(rows)
    assert sorted(database_dump.dump(server.engine)) == sorted(rows)
    inventory = Inventory(server)
    inventory.load()
    assert inventory.series() == series
    with server.engine.begin() as connection:  # ids go on behind those that were restored
        connection.execute(
            sa.insert(schema.quarantine).values(
                time_ms=6, topic="t", reason="r", size=3, count=1, form="message", payload=b""
            )
        )
    again = Database(f"sqlite:///{tmp_path}/b/quantrac.db")
    again.migrate()
    database_dump.restore(again.engine, database_dump.dump(server.engine))
    assert len(list(database_dump.dump(again.engine))) == len(rows) + 1


def test_each_worker_has_a_backup_of_its_own(tmp_path: Path) -> None:
    config = cloud_yaml(tmp_path / "a")
    quantrac("init", "--config", config, "--shard", "2/3")
    quantrac("backup", tmp_path / "2.tar", "--config", config, "--shard", "2/3")
    assert (tmp_path / "a" / "data" / "shard_2_of_3" / "samples").is_dir()
    assert "which of how many" in quantrac(
        "backup", "x.tar", "--config", config, "--shard", "2", ok=False
    )
