"""The index of a station from the samples of a store."""

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from cloud_ingest.api import problems
from cloud_ingest.api.routes.index import router
from cloud_ingest.indices.station import day_end_ms, station_index
from cloud_ingest.stores.protocol import SampleColumns
from telemetry.series import Series, SeriesKey

HOUR = 3_600_000
MIDNIGHT = 1_795_453_200_000  # 2026-11-24 00:00 in Viet Nam
PM = Series(0, SeriesKey("g", "pm", "pm2_5"), "bd", "tdm", "pm2_5", "ug/m3", 600_000)
O3 = Series(1, SeriesKey("g", "gas", "o3"), "bd", "tdm", "o3", "ug/m3", 600_000)
NOISE = Series(2, SeriesKey("h", "n", "laeq"), "bd", "da", "laeq", "dB[A]", 1000)


class Held:
    """A store that holds what it is given."""

    def __init__(self, samples):
        self.samples = samples

    def read(self, series, start_ms, end_ms, step_ms=None, aggregate="mean"):
        time_ms, value, quality = self.samples.get(series.index, ([], [], []))
        t = np.array(time_ms, np.int64)
        chosen = (t >= start_ms) & (t < end_ms)
        return SampleColumns(
            t[chosen],
            np.array(value, np.float64)[chosen],
            np.array(quality, np.uint8)[chosen],
        )


def hours_of(values, first_start, flags=None):
    time_ms, value, quality = [], [], []
    for i, v in enumerate(values):
        if v is None:
            continue
        for k in range(6):
            time_ms.append(first_start + i * HOUR + k * 600_000)
            value.append(v)
            quality.append(1)
    return time_ms, value, quality


def test_midnight_in_viet_nam_ends_the_day():
    assert day_end_ms(MIDNIGHT) == MIDNIGHT
    assert day_end_ms(MIDNIGHT + 23 * HOUR) == MIDNIGHT
    assert day_end_ms(MIDNIGHT - 1) == MIDNIGHT - 24 * HOUR


def test_the_hour_uses_twelve_hours_of_dust_and_one_of_ozone():
    pm = [26.9, 24.7, 20.5, 23.5, 19.5, 16.5, 19.0, 16.5, 20.3, 22.4, 19.6, 20.6]
    store = Held(
        {
            0: hours_of(pm, MIDNIGHT - 12 * HOUR),
            1: hours_of([136.1], MIDNIGHT - HOUR),
        }
    )
    found = station_index(store, "tdm", [PM, O3], "vn_aqi", "hour", MIDNIGHT + 5)
    assert found.time_ms == MIDNIGHT
    assert (found.value.value, found.value.dominant) == (43, "o3")
    assert {s.pollutant: s.index for s in found.value.sub_indices} == {"pm2_5": 41, "o3": 43}


def test_failed_samples_are_not_used():
    time_ms, value, quality = hours_of([50.0] * 12, MIDNIGHT - 12 * HOUR)
    value[-1], quality[-1] = 5000.0, 4
    store = Held({0: (time_ms, value, quality)})
    found = station_index(store, "tdm", [PM], "vn_aqi", "hour", MIDNIGHT)
    assert found.value.value == 100


def test_the_day_needs_eighteen_hours_of_dust():
    full = Held({0: hours_of([45.0] * 24, MIDNIGHT - 24 * HOUR)})
    found = station_index(full, "tdm", [PM], "vn_aqi", "day", MIDNIGHT + HOUR)
    assert (found.value.value, found.value.level.id) == (90, "moderate")
    thin = Held({0: hours_of([45.0] * 17, MIDNIGHT - 24 * HOUR)})
    found = station_index(thin, "tdm", [PM], "vn_aqi", "day", MIDNIGHT + HOUR)
    assert found.value is None
    assert found.reason == "not_enough_data"


def test_the_days_eight_hour_ozone_reaches_into_the_day_before():
    store = Held(
        {
            0: hours_of([10.0] * 24, MIDNIGHT - 24 * HOUR),
            1: hours_of([200.0] * 8 + [None] * 23, MIDNIGHT - 31 * HOUR),
        }
    )
    found = station_index(store, "tdm", [PM, O3], "vn_aqi", "day", MIDNIGHT)
    assert [(s.averaging, s.index) for s in found.value.sub_indices if s.pollutant == "o3"] == [
        ("max 1h", 100),
        ("max 8h", 188),
    ]


@pytest.fixture
def client():
    app = FastAPI()
    problems.install(app)
    store = Held({0: hours_of([45.0] * 31, MIDNIGHT - 31 * HOUR)})
    app.include_router(router(store, lambda: [PM, O3, NOISE]), prefix="/api/v1")
    return TestClient(app)


def test_the_endpoint_gives_value_level_dominant_and_inputs(client):
    shown = client.get("/api/v1/index", params={"station": "tdm", "at": MIDNIGHT}).json()
    assert (shown["value"], shown["level"]["vi"], shown["dominant"]) == (90, "Trung bình", "pm2_5")
    assert shown["inputs"]["pm2_5"]["hour_means"] == [45.0] * 12
    assert shown["inputs"]["pm2_5"]["series"] == "g/pm/pm2_5"
    epa = client.get("/api/v1/index?station=tdm&kind=epa_aqi&period=day&at=" + str(MIDNIGHT)).json()
    assert (epa["value"], epa["kind"]) == (124, "epa_aqi")


def test_the_endpoint_lists_every_station_with_pollutants(client):
    items = client.get("/api/v1/index", params={"at": MIDNIGHT}).json()["items"]
    assert [i["station"] for i in items] == ["tdm"]


def test_the_endpoint_says_what_is_wrong(client):
    assert client.get("/api/v1/index?station=nowhere").status_code == 404
    assert client.get("/api/v1/index?station=tdm&kind=aqi").status_code == 422
    assert client.get("/api/v1/index?station=tdm&at=yesterday").status_code == 422
    silent = client.get("/api/v1/index?station=da").json()
    assert (silent["value"], silent["reason"]) == (None, "no_pollutants")
