"""The InfluxDB store: line protocol, its results, rejected lines, a server that is down."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.stores import StoreConfiguration, open_store
from cloud_ingest.stores.configuration import KeepConfiguration
from cloud_ingest.stores.influxdb import line_protocol
from cloud_ingest.stores.influxdb.client import Access, InfluxClient, WriteRefused
from cloud_ingest.stores.influxdb.queries import to_envelope, to_sample_columns
from cloud_ingest.stores.influxdb.rejected_lines import store_the_rest
from cloud_ingest.stores.influxdb.store import InfluxStore
from cloud_ingest.stores.protocol import StoreRejected, StoreUnavailable
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey
from tests.cloud_ingest.stores.conftest import influx_store
from tests.servers import InfluxDB, free_port

T0 = 1_767_225_600_000
A = Series(0, SeriesKey("bd-tdm-001", "air", "pm2_5"), "g", "tdm", "pm2_5", "ug/m3")
B = Series(1, SeriesKey("bd-tdm-001", "sound", "laeq"), "g", "tdm", "laeq", "dB[A]")


def rows(n: int, series: int = 0) -> SampleBatch:
    return SampleBatch.of(
        [series] * n, [T0 + i for i in range(n)], [float(i) for i in range(n)], [1] * n
    )


def test_a_line_has_tags_in_order_and_both_fields() -> None:
    batch = SampleBatch.of([0, 0], [5, 6], [1.5, float("nan")], [1, 9])
    start = "pm2_5,device=air,gateway=bd-tdm-001,metric=pm2_5,station=tdm "
    assert line_protocol.lines(batch, [line_protocol.prefix(A)]) == [
        start + "value=1.5,quality=1i 5",
        start + "quality=9i 6",
    ]


@given(st.text())
def test_every_name_is_read_back_as_it_was(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    encoded = line_protocol.encode_name(name)
    assert line_protocol.decode_name(encoded) == name
    assert encoded
    assert not set(encoded) & set("\n\r\\\x00")


class Server:
    """Refuses lines with ``bad`` in them, as a 2.x does: the whole text, with no place named."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.calls = 0

    def send(self, text: list[str]) -> None:
        self.calls += 1
        if len(text) > 3000:
            raise WriteRefused(413, "too large")
        if any("bad" in line for line in text):
            raise WriteRefused(400, "unable to parse")
        self.taken.update(text)


@given(st.sets(st.integers(0, 4999), max_size=4))
def test_the_rest_of_a_refused_batch_is_stored(bad: set[int]) -> None:
    text = [f"bad {i}" if i in bad else f"line {i}" for i in range(5000)]
    server = Server()
    rejected = store_the_rest(rows(5000), text, server.send, WriteRefused(400, "unable to parse"))
    assert server.taken == {line for line in text if "bad" not in line}
    found = [] if rejected is None else (rejected.rejected.time_ms - T0).tolist()
    assert found == sorted(bad)
    assert server.calls < 40 * (len(bad) + 1)


@pytest.mark.influxdb
def test_one_bad_point_among_5000_is_told_with_the_reason_and_the_rest_is_stored(
    influx_server: InfluxDB,
) -> None:
    store = influx_store(influx_server.url)
    store.register([A, B])
    database = store._bucket
    # laeq exists with text values: numbers are refused from now on
    store._client.write(database, f'{line_protocol.prefix(B)}value="loud" {T0 - 1}'.encode())
    batch = rows(5000)
    batch.series[1234] = 1
    with pytest.raises(StoreRejected, match="field type conflict") as caught:
        store.write(batch)
    assert (caught.value.rejected.time_ms - T0).tolist() == [1234]
    assert store.count([A]) == 4999
    store.close()


@pytest.mark.influxdb
def test_a_series_that_was_never_registered_is_rejected_alone(influx_server: InfluxDB) -> None:
    store = influx_store(influx_server.url)
    store.register([A])
    with pytest.raises(StoreRejected, match="never registered"):
        store.write(SampleBatch.concat([rows(3), rows(2, series=7)]))
    assert store.count([A]) == 3
    store.close()


def test_a_server_that_is_not_there_is_unavailable_and_named() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    store = InfluxStore(InfluxClient(Access(url, timeout_s=2)), "x")
    store.register([A])
    for ask in (
        lambda: store.write(rows(1)),
        lambda: store.read(A, 0, 1),
        lambda: store.latest([A]),
        store.check,
    ):
        with pytest.raises(StoreUnavailable, match=url):
            ask()
    store.close()


@pytest.mark.influxdb
def test_samples_go_on_when_the_server_is_back(influxdb: InfluxDB) -> None:
    store = influx_store(influxdb.url)
    store.register([A])
    store.write(rows(3))
    influxdb.kill()
    with pytest.raises(StoreUnavailable):
        store.write(rows(5))
    with pytest.raises(StoreUnavailable):
        store.check()
    influxdb.start()
    store.check()
    store.write(rows(5))
    assert store.count([A]) == 5
    store.close()


@pytest.mark.influxdb
def test_a_configured_store_makes_its_database(influx_server: InfluxDB) -> None:
    keep = KeepConfiguration(raw_days=None)
    configuration = StoreConfiguration(
        kind="influxdb", url=influx_server.url, bucket="made-by-itself", keep=keep
    )
    store = open_store(configuration)
    store.register([A])
    store.write(rows(2))
    assert store.count([A]) == 2
    store.close()


def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    configuration = StoreConfiguration(
        kind="influxdb", url="http://127.0.0.1:1", token_file=tmp_path / "token"
    )
    with pytest.raises(StoreUnavailable, match="token"):
        open_store(configuration)


@pytest.mark.influxdb
def test_newest_samples_are_right_though_other_processes_write_too(influx_server: InfluxDB) -> None:
    ours = influx_store(influx_server.url)
    theirs = InfluxStore(InfluxClient(Access(influx_server.url)), ours._bucket)
    for store in (ours, theirs):
        store.register([A, B])
    ours.write(rows(2, series=1))
    for n in (6, 9):
        theirs.write(rows(n))
        found = ours.latest([A, B])
        times = dict(zip(found.series.tolist(), found.time_ms.tolist(), strict=True))
        assert times[0] == T0 + n - 1
    ours.write(rows(3, series=1))
    assert ours.latest([B]).time_ms.tolist() == [T0 + 2]
    assert ours._latest.is_known(np.array([0, 1], np.int32)).tolist() == [False, True]
    assert theirs.latest([A, B]).time_ms.tolist() in ([T0 + 8, T0 + 2], [T0 + 2, T0 + 8])
    ours.close()
    theirs.close()


# Results of queries, also while a point is being written

GOOD_COLUMNS = ["time", "mean", "min", "max", "last", "count", "min", "max"]
ALL_COLUMNS = ["time", "count", "min"]


def test_a_step_whose_only_point_is_half_written_is_not_there_yet() -> None:
    good = [{"columns": GOOD_COLUMNS, "values": [[0, 2.0, 1.0, 3.0, 3.0, 2, 1, 1]]}]
    everything = [{"columns": ALL_COLUMNS, "values": [[0, 2, 1], [60_000, None, None]]}]
    found = to_envelope(good, everything)
    assert found.time_ms.tolist() == [0]
    assert found.good.tolist() == [2]
    assert found.quality.tolist() == [1]


def test_a_step_that_only_one_of_two_questions_saw_does_no_harm() -> None:
    good = [{"columns": GOOD_COLUMNS, "values": [[0, 2.0, 2.0, 2.0, 2.0, 1, 1, 1]] * 1
             + [[60_000, 5.0, 5.0, 5.0, 5.0, 1, 1, 1]]}]  # fmt: skip
    everything = [{"columns": ALL_COLUMNS, "values": [[0, 1, 1], [120_000, 1, 4]]}]
    found = to_envelope(good, everything)
    assert found.time_ms.tolist() == [0, 120_000]
    assert found.good.tolist() == [1, 0]
    assert np.isnan(found.mean[1])
    assert found.quality.tolist() == [1, 4]


def test_a_step_that_only_some_aggregates_have_seen_shows_no_value() -> None:
    good = [{"columns": GOOD_COLUMNS, "values": [[0, 1.0, 1.0, None, None, 10, 1, 1],
                                         [60_000, 2.0, 1.0, 3.0, 3.0, 2, 1, 1]]}]  # fmt: skip
    everything = [{"columns": ALL_COLUMNS, "values": [[0, 10, 1], [60_000, 2, 1]]}]
    found = to_envelope(good, everything)
    assert found.good.tolist() == [0, 2]
    assert np.isnan([found.mean[0], found.min[0], found.max[0], found.last[0]]).all()


def test_a_half_written_sample_is_not_shown() -> None:
    answer = [{"columns": ["time", "value", "quality"], "values": [[0, 1.5, 1], [1, 2.5, None]]}]
    assert to_sample_columns(answer).time_ms.tolist() == [0]
