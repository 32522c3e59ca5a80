"""The conformance suite of all stores. A new store is added to ``KINDS`` in conftest.py."""

import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_ingest.stores.protocol import SampleStore, StoreRejected
from telemetry.batches import SampleBatch
from telemetry.quality import Flag
from telemetry.series import Series, SeriesKey

T0 = 1_767_225_600_000  # 2026-01-01
MINUTE = 60_000
HOUR = 3_600_000
DAY = 86_400_000
NAN = math.nan


def make_series(index: int, metric: str = "", **other: object) -> Series:
    key = SeriesKey("bd-tdm-001", "air", metric or f"m{index}")
    fields = {"group": "binh-duong", "station": "tdm", "quantity": "pm2_5", "unit": "ug/m3"}
    return Series(index, key, **(fields | other))


A, B = make_series(0), make_series(1, quantity="laeq", unit="dB[A]")


def put(store: SampleStore, series: Series, *rows: tuple[int, float, int]) -> None:
    store.write(
        SampleBatch.of(
            [series.index] * len(rows),
            [r[0] for r in rows],
            [r[1] for r in rows],
            [r[2] for r in rows],
        )
    )


def raw(store: SampleStore, series: Series, start: int = T0 - 90 * DAY, end: int = T0 + 90 * DAY):
    found = store.read(series, start, end)
    assert found.time_ms.dtype == np.int64
    assert found.value.dtype == np.float64
    assert found.quality.dtype == np.uint8
    return [
        (t, None if math.isnan(v) else v, q)
        for t, v, q in zip(
            found.time_ms.tolist(), found.value.tolist(), found.quality.tolist(), strict=True
        )
    ]


@pytest.fixture(autouse=True)
def registered(store: SampleStore) -> None:
    store.register([A, B])


def test_what_was_written_is_read_in_the_order_of_time(store: SampleStore) -> None:
    put(store, A, (T0 + 2, 3.5, 1), (T0, 1.25, 2), (T0 + 1, -0.1, 3))
    put(store, B, (T0, 60.0, 1))
    assert raw(store, A) == [(T0, 1.25, 2), (T0 + 1, -0.1, 3), (T0 + 2, 3.5, 1)]
    assert raw(store, B) == [(T0, 60.0, 1)]


def test_an_empty_store_answers_with_nothing(store: SampleStore) -> None:
    assert raw(store, A) == []
    assert len(store.latest([A, B])) == 0
    assert store.count([A, B]) == 0
    assert len(store.envelope([A], T0, T0 + HOUR, MINUTE)[0]) == 0
    assert list(store.scan([A], T0, T0 + HOUR)) == []
    store.write(SampleBatch.empty())


def test_start_is_inside_the_range_and_end_is_not(store: SampleStore) -> None:
    put(store, A, *[(T0 + i, float(i), 1) for i in range(5)])
    assert [t - T0 for t, _, _ in raw(store, A, T0 + 1, T0 + 3)] == [1, 2]
    assert raw(store, A, T0 + 3, T0 + 3) == []
    assert raw(store, A, T0 + 3, T0 + 1) == []


def test_writing_a_batch_twice_changes_nothing(store: SampleStore) -> None:
    rows = [(T0 + i * 1000, i * 1.5, 1) for i in range(50)]
    put(store, A, *rows)
    before = raw(store, A)
    put(store, A, *rows)
    assert raw(store, A) == before
    assert store.count([A]) == 50


def test_the_later_of_two_samples_of_the_same_time_stands(store: SampleStore) -> None:
    put(store, A, (T0, 1.0, 2))
    put(store, A, (T0, 2.0, 4), (T0 + 1, 1.0, 1), (T0 + 1, 7.0, 3))
    assert raw(store, A) == [(T0, 2.0, 4), (T0 + 1, 7.0, 3)]
    assert store.count([A]) == 2


def test_a_sample_without_value_keeps_its_flag(store: SampleStore) -> None:
    put(store, A, (T0, NAN, 9), (T0 + 1, 5.0, 1))
    assert raw(store, A) == [(T0, None, 9), (T0 + 1, 5.0, 1)]
    put(store, A, (T0 + 1, NAN, 9))
    assert raw(store, A) == [(T0, None, 9), (T0 + 1, None, 9)]


def test_values_come_back_bit_for_bit(store: SampleStore) -> None:
    values = [0.1, 1 / 3, 1e-300, -1e300, 5e-324, 2.0**53 + 2, 0.0, 123456789.123456789]
    put(store, A, *[(T0 + i, v, 1) for i, v in enumerate(values)])
    assert [v for _, v, _ in raw(store, A)] == values


def test_infinite_values_and_impossible_times_are_rejected_and_the_rest_is_stored(
    store: SampleStore,
) -> None:
    rows = [
        (T0, 1.0, 1), (T0 + 1, math.inf, 1), (T0 + 2, -math.inf, 1), (T0 + 3, 2.0, 1),
        (1 << 62, 1.0, 1), (-(1 << 62), 1.0, 1),
    ]  # fmt: skip
    with pytest.raises(StoreRejected) as caught:
        put(store, A, *rows)
    assert sorted(caught.value.rejected.time_ms.tolist()) == sorted(
        r[0] for r in rows if r[0] not in (T0, T0 + 3)
    )
    assert len(caught.value.reasons) == 4
    assert raw(store, A) == [(T0, 1.0, 1), (T0 + 3, 2.0, 1)]


def test_times_far_from_now_are_kept(store: SampleStore) -> None:
    far = [-1, 0, -(10**12), 9 * 10**12]
    put(store, A, *[(t, 1.0, 1) for t in far])
    assert [t for t, _, _ in raw(store, A, -(1 << 60), 1 << 60)] == sorted(far)
    assert store.latest([A]).time_ms.tolist() == [9 * 10**12]


def test_latest_is_newest_by_time_not_by_arrival(store: SampleStore) -> None:
    put(store, A, (T0 + 10, 1.0, 1))
    put(store, A, (T0 + 5, 2.0, 1))
    put(store, B, (T0, 3.0, 3), (T0 - DAY, 4.0, 1))
    found = store.latest([B, A, make_series(77)])
    assert {s: (t, v, q) for s, t, v, q in _rows(found)} == {
        0: (T0 + 10, 1.0, 1),
        1: (T0, 3.0, 3),
    }
    put(store, A, (T0 + 10, NAN, 9))
    [(_, time_ms, value, quality)] = _rows(store.latest([A]))
    assert (time_ms, quality) == (T0 + 10, 9)
    assert math.isnan(value)


def _rows(batch: SampleBatch) -> list[tuple[int, int, float, int]]:
    columns = (batch.series, batch.time_ms, batch.value, batch.quality)
    return list(zip(*(c.tolist() for c in columns), strict=True))


def test_latest_of_many_series(store: SampleStore) -> None:
    many = [make_series(i) for i in range(2, 202)]
    store.register(many)
    for t in (T0, T0 + 1000):
        store.write(
            SampleBatch.of(
                [s.index for s in many], [t] * 200, [float(s.index) for s in many], [1] * 200
            )
        )
    found = store.latest(many)
    assert sorted(_rows(found)) == [(i, T0 + 1000, float(i), 1) for i in range(2, 202)]


def test_each_aggregate_takes_good_samples_only(store: SampleStore) -> None:
    put(
        store, A,
        (T0, 4.0, 2), (T0 + 1000, 1.0, 1), (T0 + 2000, 100.0, Flag.FAIL), (T0 + 3000, 4.0, 3),
        (T0 + 4000, NAN, Flag.MISSING),
        (T0 + MINUTE, 7.0, 1),
        (T0 + 2 * MINUTE, 9.0, Flag.FAIL),
        (T0 + 4 * MINUTE, 2.0, 2), (T0 + 4 * MINUTE + 1, 3.0, 2),
    )  # fmt: skip

    def steps(aggregate: str) -> list[tuple[float, float, int]]:
        r = store.read(A, T0, T0 + HOUR, MINUTE, aggregate)  # type: ignore[arg-type]
        return [
            ((t - T0) / MINUTE, v, q)
            for t, v, q in zip(
                r.time_ms.tolist(), r.value.tolist(), r.quality.tolist(), strict=True
            )
        ]

    assert steps("mean") == [(0, 3.0, 3), (1, 7.0, 1), (4, 2.5, 2)]
    assert steps("min") == [(0, 1.0, 3), (1, 7.0, 1), (4, 2.0, 2)]
    assert steps("max") == [(0, 4.0, 3), (1, 7.0, 1), (4, 3.0, 2)]
    assert steps("count") == [(0, 3.0, 3), (1, 1.0, 1), (4, 2.0, 2)]
    assert steps("last") == [(0, 4.0, 3), (1, 7.0, 1), (4, 3.0, 2)]


def test_an_envelope_tells_count_good_count_and_worst_flag(store: SampleStore) -> None:
    put(
        store, A,
        (T0, 4.0, 1), (T0 + 1, 100.0, 4), (T0 + 2, 2.0, 1),
        (T0 + MINUTE, 9.0, 4), (T0 + MINUTE + 1, NAN, 9),
        (T0 + 3 * MINUTE, 5.0, 3),
    )  # fmt: skip
    put(store, B, (T0 + 5 * MINUTE, 1.0, 2))
    a, b = store.envelope([A, B], T0, T0 + HOUR, MINUTE)
    assert [(t - T0) // MINUTE for t in a.time_ms.tolist()] == [0, 1, 3]
    assert a.count.tolist() == [3, 2, 1]
    assert a.good.tolist() == [2, 0, 1]
    assert a.quality.tolist() == [1, 4, 3]
    np.testing.assert_array_equal(a.min, [2.0, NAN, 5.0])
    np.testing.assert_array_equal(a.max, [4.0, NAN, 5.0])
    np.testing.assert_array_equal(a.mean, [3.0, NAN, 5.0])
    np.testing.assert_array_equal(a.last, [2.0, NAN, 5.0])
    assert b.time_ms.tolist() == [T0 + 5 * MINUTE]


def test_steps_are_aligned_to_the_epoch_and_hold_what_is_asked_for_only(store: SampleStore) -> None:
    put(store, A, *[(T0 + i * 1000, float(i), 1) for i in range(30)])
    found = store.read(A, T0 + 7000, T0 + 23_000, 10_000, "count")
    assert (found.time_ms - T0).tolist() == [0, 10_000, 20_000]
    assert found.value.tolist() == [3.0, 10.0, 3.0]


def test_local_days_begin_where_the_offset_says(store: SampleStore) -> None:
    seven = 7 * HOUR
    put(store, A, *[(T0 + i * HOUR, float(i), 1) for i in range(48)])
    found = store.read(A, T0 - seven, T0 + 2 * DAY, DAY, "count", -seven)
    assert (found.time_ms - T0).tolist() == [-seven, DAY - seven, 2 * DAY - seven]
    assert found.value.tolist() == [17.0, 24.0, 7.0]


def test_several_series_are_read_at_once(store: SampleStore) -> None:
    many = [make_series(i) for i in range(2, 12)]
    store.register(many)
    for s in many:
        put(store, s, *[(T0 + i * 1000, s.index + i / 10, 1) for i in range(20)])
    plain = store.read_many(many, T0, T0 + HOUR)
    assert [r.value[0] for r in plain] == [float(s.index) for s in many]
    counts = store.read_many(many, T0, T0 + HOUR, MINUTE, "count")
    assert all(r.value.tolist() == [20.0] for r in counts)


def test_a_scan_gives_everything_in_order(store: SampleStore) -> None:
    put(store, A, *[(T0 + i, float(i), 1) for i in range(2000)])
    put(store, B, (T0, 1.0, 1))
    pieces = list(store.scan([B, A], T0, T0 + 1500))
    assert next(s.index for s, _ in pieces) == 1
    values = np.concatenate([r.value for s, r in pieces if s.index == 0])
    assert values.tolist() == [float(i) for i in range(1500)]


def test_count_is_of_distinct_times_over_all_series_asked_for(store: SampleStore) -> None:
    put(store, A, *[(T0 + i * DAY, 1.0, 1) for i in range(10)])
    put(store, A, *[(T0 + i * DAY, 2.0, 1) for i in range(5, 12)])
    put(store, B, (T0, NAN, 9))
    assert store.count([A]) == 12
    assert store.count([A, B]) == 13
    assert store.count([]) == 0


def test_what_is_older_than_the_limit_is_forgotten(store: SampleStore) -> None:
    put(store, A, *[(T0 + i * HOUR, float(i), 1) for i in range(60)])
    put(store, B, (T0, 1.0, 1))
    store.delete_before(T0 + 30 * HOUR)
    assert [(t - T0) // HOUR for t, _, _ in raw(store, A)] == list(range(30, 60))
    assert store.count([A, B]) == 30
    assert _rows(store.latest([A, B])) == [(0, T0 + 59 * HOUR, 59.0, 1)]


def test_series_of_a_store_are_known_again_by_their_names(store: SampleStore) -> None:
    put(store, A, (T0, 1.0, 1))
    put(store, B, (T0, 1.0, 1))
    found = {(s.key, s.station, s.quantity) for s in store.series()}
    assert found == {(s.key, s.station, s.quantity) for s in (A, B)}


NASTY = [
    'quote " here', "apostrophe ' here", "comma, space and = sign", "line\nbreak", "carriage\rreturn",
    "tab\there", "../../../etc/passwd", "back\\slash", "ends with \\", "\u202eright to left\u202c",
    "đo bụi 😀 PM₂.₅", "percent %41 %", "#comment", "a/b/c", "'; DROP SERIES --", "$1 ${x} {y}", "\x00nul",
    " leading and trailing ", "\u2028line separator", "é vs e\u0301", "=1+2", "null", "-",
]  # fmt: skip


def test_names_of_every_kind_stay_as_they_are(store: SampleStore) -> None:
    many = [
        Series(
            10 + i, SeriesKey(name, f"d {name}", f"m {name}"), "g", f"s {name}", f"q {name}", "1"
        )
        for i, name in enumerate(NASTY)
    ]
    store.register(many)
    for s in many:
        put(store, s, (T0, float(s.index), 1), (T0 + 1000, 0.5, 1))
    assert {s.key: s.quantity for s in store.series() if s.key != A.key and s.key != B.key} == {
        s.key: s.quantity for s in many
    }
    for s in many:
        assert raw(store, s) == [(T0, float(s.index), 1), (T0 + 1000, 0.5, 1)]
        assert store.read(s, T0, T0 + HOUR, HOUR, "count").value.tolist() == [2.0]
    assert store.count(many) == 2 * len(many)
    assert len(store.latest(many)) == len(many)


def test_readers_see_whole_batches_while_a_writer_writes(store: SampleStore) -> None:
    failures: list[BaseException] = []
    written = threading.Event()

    def read() -> None:
        try:
            while not written.is_set():
                times = store.read(A, T0, T0 + HOUR).time_ms
                assert len(times) % 10 == 0
                assert (np.diff(times) == 1000).all()
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for r in readers:
        r.start()
    for i in range(60):
        put(store, A, *[(T0 + (10 * i + j) * 1000, 1.0, 1) for j in range(10)])
    written.set()
    for r in readers:
        r.join()
    assert not failures
    assert store.count([A]) == 600


samples = st.tuples(
    st.integers(0, 1),
    st.integers(0, 3 * DAY // 1000).map(lambda s: T0 + s * 1000),
    st.one_of(st.just(NAN), st.floats(-1e6, 1e6).map(lambda v: round(v, 3))),
    st.sampled_from([1, 2, 3, 4]),
).map(lambda x: x if not math.isnan(x[2]) else (*x[:3], 9))


@settings(max_examples=15)
@given(st.lists(st.lists(samples, max_size=15), max_size=5), st.integers(0, 10**6))
def test_any_history_reads_as_a_dictionary_would(
    store: SampleStore, batches: list[list[tuple[int, int, float, int]]], salt: int
) -> None:
    pair = [
        make_series(10**5 + 2 * salt, f"x{salt}"),
        make_series(10**5 + 2 * salt + 1, f"y{salt}"),
    ]
    store.register(pair)
    store.delete_before(T0 - 1)
    expected: dict[int, dict[int, tuple[float | None, int]]] = {0: {}, 1: {}}
    for batch in batches:
        store.write(
            SampleBatch.of(
                [pair[r[0]].index for r in batch],
                [r[1] for r in batch],
                [r[2] for r in batch],
                [r[3] for r in batch],
            )
        )
        for which, t, v, q in batch:
            expected[which][t] = (None if math.isnan(v) else v, q)
    for which in (0, 1):
        rows = raw(store, pair[which])
        seen = {t: (v, q) for t, v, q in rows}
        # hypothesis may try the same salt again: what is there from before is no mistake
        assert {t: seen[t] for t in expected[which]} == expected[which]
        assert [t for t, _, _ in rows] == sorted(seen)
        [envelope] = store.envelope([pair[which]], T0, T0 + 4 * DAY, 6 * HOUR)
        assert int(envelope.count.sum()) == len(rows)
        assert int(envelope.good.sum()) == sum(v is not None and q < 4 for _, v, q in rows)
