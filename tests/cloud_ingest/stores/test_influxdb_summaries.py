"""Summaries in InfluxDB: made after a day, made again for late samples, kept over a restart."""

import numpy as np
import pytest

from cloud_ingest.stores.influxdb.client import Access, InfluxClient
from cloud_ingest.stores.influxdb.store import InfluxStore
from cloud_ingest.stores.summary_plan import divide
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey
from tests.cloud_ingest.stores.conftest import influx_store
from tests.servers import InfluxDB

pytestmark = pytest.mark.influxdb
T0 = 1_767_225_600_000
HOUR, DAY = 3_600_000, 86_400_000
A = Series(0, SeriesKey("gw-1", "air", "pm"), "g", "s", "pm2_5", "ug/m3")
B = Series(1, SeriesKey("gw-2", "air", "pm"), "g", "s", "pm2_5", "ug/m3")
WIND = Series(2, SeriesKey("gw-1", "mast", "dir"), "g", "s", "wind_direction", "deg")


def put(store: InfluxStore, series: Series, times: list[int], values: list[float]) -> None:
    n = len(times)
    store.write(SampleBatch.of([series.index] * n, times, values, [1] * n))


def open_(influx_server: InfluxDB) -> InfluxStore:
    store = influx_store(influx_server.url)
    store.register([A, B, WIND])
    return store


def test_hours_stay_when_the_samples_are_gone(influx_server: InfluxDB) -> None:
    store = open_(influx_server)
    put(store, A, [T0 + i * HOUR + j for i in range(48) for j in range(3)], [1.0, 2.0, 6.0] * 48)
    put(store, B, [T0], [1.0])
    store.maintain(T0 + 2 * DAY + 2 * HOUR)
    store.delete_before(T0 + 9 * DAY)
    assert store.count([A]) == 0
    [hours] = store.envelope([A], T0, T0 + 3 * DAY, HOUR)
    assert hours.mean.tolist() == [3.0] * 48
    assert hours.max.tolist() == [6.0] * 48
    assert hours.count.tolist() == [3] * 48
    assert store.read(A, T0, T0 + 3 * DAY, DAY, "count").value.tolist() == [72.0, 72.0]
    assert store.read(B, T0, T0 + DAY, HOUR).value.tolist() == [1.0]
    store.close()


def test_late_samples_open_their_day_again_also_after_a_restart(influx_server: InfluxDB) -> None:
    store = open_(influx_server)
    put(store, A, [T0 + i * HOUR for i in range(72)], [1.0] * 72)
    store.maintain(T0 + 4 * DAY)
    assert len(store._rollup.closed_days("gw-1")) == 3
    put(store, A, [T0 + DAY + 5], [9.0])
    assert store.read(A, T0, T0 + 3 * DAY, DAY, "max").value.tolist() == [1.0, 9.0, 1.0]
    # the process dies before it could close the day again
    again = InfluxStore(InfluxClient(Access(influx_server.url)), store._bucket)
    again.register([A, B, WIND])
    assert again._rollup.closed_days("gw-1") == {T0 // DAY, T0 // DAY + 2}
    assert again.read(A, T0, T0 + 3 * DAY, DAY, "max").value.tolist() == [1.0, 9.0, 1.0]
    again.maintain(T0 + 4 * DAY)
    assert len(again._rollup.closed_days("gw-1")) == 3
    assert again.read(A, T0, T0 + 3 * DAY, HOUR, "max").value.max() == 9.0
    again.close()
    store.close()


def test_a_day_that_is_written_to_while_it_is_closed_stays_open(influx_server: InfluxDB) -> None:
    store = open_(influx_server)
    put(store, A, [T0], [1.0])
    real = store._rollup._summaries

    def meanwhile(gateway: str, day: int):
        yield from list(real(gateway, day))
        put(store, A, [T0 + 1], [5.0])

    store._rollup._summaries = meanwhile  # type: ignore[method-assign]
    store.maintain(T0 + 2 * DAY)
    assert not store._rollup.closed_days("gw-1")
    assert store.read(A, T0, T0 + DAY, DAY, "count").value.tolist() == [2.0]
    store.close()


def test_directions_have_a_mean_that_is_a_direction(influx_server: InfluxDB) -> None:
    store = open_(influx_server)
    put(store, WIND, [T0, T0 + 1, T0 + HOUR], [350.0, 20.0, 90.0])
    for _ in range(2):
        np.testing.assert_allclose(store.read(WIND, T0, T0 + DAY, HOUR).value, [5.0, 90.0])
        store.maintain(T0 + 2 * DAY)
    store.close()


def test_a_span_is_divided_into_ready_steps_and_the_rest() -> None:
    day = T0 // DAY
    span = (T0 + 30 * 60_000, T0 + 2 * DAY + 90 * 60_000)
    ready, rest = divide(span, HOUR, {day, day + 2}, 0)
    assert ready == [(T0 + HOUR, T0 + DAY), (T0 + 2 * DAY, T0 + 2 * DAY + HOUR)]
    assert rest == [
        (span[0], T0 + HOUR),
        (T0 + DAY, T0 + 2 * DAY),
        (T0 + 2 * DAY + HOUR, span[1]),
    ]
    ready, rest = divide(span, HOUR, {day, day + 1, day + 2}, T0 + 9 * DAY)
    assert ready == [(T0, T0 + 2 * DAY + 2 * HOUR)]
    assert rest == []
