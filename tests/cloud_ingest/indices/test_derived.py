"""Each index is a series of its own."""

import pytest

from cloud_ingest.indices.derived import GRACE_MS, DerivedIndices
from cloud_ingest.stores.protocol import StoreUnavailable
from tests.cloud_ingest.indices.test_station import HOUR, MIDNIGHT, NOISE, PM, Held, hours_of


def test_each_hour_and_day_gives_a_sample_once():
    store = Held({0: hours_of([45.0] * 31, MIDNIGHT - 31 * HOUR)})
    derived = DerivedIndices(store, lambda: [PM, NOISE])
    found = derived.tick(MIDNIGHT + GRACE_MS)
    assert [(str(f.key), f.time_ms, f.value) for f in found] == [
        ("g/index/vn_aqi_hour", MIDNIGHT, 90.0),
        ("g/index/epa_aqi_hour", MIDNIGHT, 124.0),
        ("g/index/vn_aqi_day", MIDNIGHT, 90.0),
        ("g/index/epa_aqi_day", MIDNIGHT, 124.0),
    ]
    assert [f.interval_ms for f in found] == [HOUR, HOUR, 24 * HOUR, 24 * HOUR]
    assert derived.tick(MIDNIGHT + GRACE_MS + 1000) == []
    # the NowCast needs two of the newest three hours: one missing hour is none too many
    assert len(derived.tick(MIDNIGHT + HOUR + GRACE_MS)) == 2
    assert derived.tick(MIDNIGHT + 2 * HOUR + GRACE_MS) == []


def test_an_hour_waits_for_its_last_samples():
    store = Held({0: hours_of([45.0] * 31, MIDNIGHT - 31 * HOUR)})
    derived = DerivedIndices(store, lambda: [PM])
    times = {f.time_ms for f in derived.tick(MIDNIGHT + GRACE_MS - 1) if "hour" in f.quantity}
    assert times == {MIDNIGHT - HOUR}


def test_a_failed_read_of_the_store_is_tried_again():
    class Away(Held):
        away = True

        def read(self, *args, **more):
            if self.away:
                raise StoreUnavailable("away")
            return super().read(*args, **more)

    store = Away({0: hours_of([45.0] * 31, MIDNIGHT - 31 * HOUR)})
    derived = DerivedIndices(store, lambda: [PM])
    with pytest.raises(StoreUnavailable):
        derived.tick(MIDNIGHT + GRACE_MS)
    store.away = False
    assert len(derived.tick(MIDNIGHT + GRACE_MS + 1000)) == 4
