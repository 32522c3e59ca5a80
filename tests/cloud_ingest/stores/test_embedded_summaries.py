"""Summaries, late samples, retention and compaction of the embedded store."""

import json
import math
import random
import threading
from pathlib import Path

import numpy as np
import pytest

from cloud_ingest.stores import summaries
from cloud_ingest.stores.configuration import KeepConfiguration
from cloud_ingest.stores.embedded import compaction
from cloud_ingest.stores.embedded.files import manifest
from cloud_ingest.stores.embedded.files.manifest import ParquetPart
from cloud_ingest.stores.embedded.files.parquet_parts import PartFiles
from cloud_ingest.stores.embedded.files.summary_file import SummaryFile
from cloud_ingest.stores.embedded.store import EmbeddedStore
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey
from tests.cloud_ingest.stores.conftest import CENTURIES_LATER_MS, close_all_days

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
T0 = 1_767_225_600_000
D0 = T0 // DAY


def make_series(index: int, quantity: str = "pm2_5") -> Series:
    return Series(index, SeriesKey("g", "d", f"m{index}"), "", "s", quantity, "1")


A, B, WIND = make_series(0), make_series(1), make_series(2, "wind_direction")


def put(store: EmbeddedStore, series: Series, times: list[int], values: list[float]) -> None:
    n = len(times)
    store.write(SampleBatch.of([series.index] * n, times, values, [1] * n))


def minutely(days: int, series: int = 2) -> SampleBatch:
    rng = np.random.default_rng(1)
    times = np.arange(T0, T0 + days * DAY, MINUTE)
    n = len(times)
    return SampleBatch.of(
        np.repeat(np.arange(series), n), np.tile(times, series),
        rng.normal(50, 10, n * series).round(1), rng.choice([1, 1, 2, 3, 4], n * series),
    )  # fmt: skip


def columns(
    store: EmbeddedStore, series: Series, span: tuple[int, int], step: int, offset: int = 0
):
    [e] = store.envelope([series], *span, step, offset)
    return {
        n: getattr(e, n)
        for n in ("time_ms", "mean", "min", "max", "last", "count", "good", "quality")
    }


def reads_alike(a: dict, b: dict) -> None:
    for name, values in a.items():
        np.testing.assert_allclose(values, b[name], rtol=1e-12, err_msg=name)


SPANS = [
    ((T0, T0 + 5 * DAY), HOUR, 0),
    ((T0 + 12_345, T0 + 3 * DAY + 777), HOUR, 0),
    ((T0 + 12_345, T0 + 3 * DAY + 777), 15 * MINUTE, 0),
    ((T0 - DAY, T0 + 9 * DAY), DAY, -7 * HOUR),
    ((T0, T0 + 4 * DAY), 2 * DAY, 0),
    ((T0, T0 + 4 * DAY), 90_000, 0),
    ((T0 + 100, T0 + 200_000), HOUR, 0),
    ((T0 + 10, T0 + 20), DAY, 0),
]


def test_summaries_say_what_the_samples_say(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, chunk_rows=3000)
    store.write(minutely(4))
    expected = [columns(store, s, *q) for s in (A, B) for q in SPANS]
    close_all_days(store)
    assert len(store._layout.closed) == 4
    for want, got in zip(
        expected, (columns(store, s, *q) for s in (A, B) for q in SPANS), strict=True
    ):
        reads_alike(want, got)
    store.close()


def test_summaries_are_read_where_they_are_and_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EmbeddedStore(tmp_path)
    store.write(minutely(3))
    close_all_days(store)
    monkeypatch.setattr(PartFiles, "read", lambda *_: pytest.fail("samples were read"))
    assert len(store.read(A, T0, T0 + 3 * DAY, HOUR).time_ms) == 72
    assert len(store.read(A, T0, T0 + 3 * DAY, DAY).time_ms) == 3
    store.close()


def test_late_samples_change_the_summaries_at_once_and_after_the_next_closing(
    tmp_path: Path,
) -> None:
    store = EmbeddedStore(tmp_path)
    put(store, A, [T0 + i * HOUR for i in range(72)], [1.0] * 72)
    put(store, B, [T0 + i * HOUR for i in range(72)], [1.0] * 72)
    close_all_days(store)
    put(store, A, [T0 + 5 * HOUR, T0 + 5 * HOUR + 1, T0 + 30 * HOUR + 1], [7.0, 4.0, 3.0])

    def check() -> None:
        hours = store.read(A, T0, T0 + 3 * DAY, HOUR, "max")
        assert [v for v in hours.value.tolist() if v != 1.0] == [7.0, 3.0]
        assert store.read(A, T0, T0 + 3 * DAY, DAY, "count").value.tolist() == [25.0, 25.0, 24.0]
        assert store.read(B, T0, T0 + 3 * DAY, DAY, "count").value.tolist() == [24.0, 24.0, 24.0]

    check()
    store.flush()
    check()
    close_all_days(store)
    check()
    assert not any(store._layout.unsummarised(day) for day in store._layout.days)
    store.close()
    store = EmbeddedStore(tmp_path)
    check()
    store.close()


def test_hours_stay_when_raw_samples_are_forgotten(tmp_path: Path) -> None:
    keep = KeepConfiguration(raw_days=90)
    store = EmbeddedStore(tmp_path, keep)
    put(
        store,
        A,
        [T0 + i * HOUR + j for i in range(240) for j in range(3)],
        [float(j) for _ in range(240) for j in range(3)],
    )
    store.maintain(T0 + 95 * DAY)
    store.maintain(T0 + 95 * DAY + 2 * HOUR)
    raw = store.read(A, T0, T0 + 10 * DAY).time_ms
    assert raw.min() == T0 + 5 * DAY
    assert not list((tmp_path / "raw").glob("2026-01-0[1-5]/*"))
    hours = store.read(A, T0, T0 + 10 * DAY, HOUR, "count")
    assert hours.value.tolist() == [3.0] * 240
    # a span that begins within an hour whose samples are gone: the whole hour stands for it
    cut = store.read(A, T0 + 30 * MINUTE, T0 + 3 * HOUR, HOUR, "mean")
    assert (cut.time_ms - T0).tolist() == [0, HOUR, 2 * HOUR]
    store.close()


def test_samples_later_than_the_retention_are_added_to_the_hours_once(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, KeepConfiguration(raw_days=10))
    put(store, A, [T0 + i * HOUR for i in range(48)], [2.0] * 48)
    store.maintain(T0 + 30 * DAY)
    store.maintain(T0 + 30 * DAY + 2 * HOUR)
    assert store.count([A]) == 0
    for _ in range(2):  # the same batch is sent twice
        put(store, A, [T0 + 10 * HOUR + 5, T0 + 10 * HOUR + 6], [8.0, 6.0])
        put(store, B, [T0 + 10 * HOUR + 5], [1.0])
    store.maintain(T0 + 30 * DAY + 3 * HOUR)
    store.maintain(T0 + 30 * DAY + 5 * HOUR)
    [hours] = store.envelope([A], T0, T0 + 2 * DAY, HOUR)
    assert len(hours) == 48
    assert hours.count[10] == 3
    assert hours.mean[10] == pytest.approx((2 + 8 + 6) / 3)
    assert hours.max[10] == 8.0
    assert store.read(A, T0, T0 + 2 * DAY, DAY, "count").value.tolist() == [26.0, 24.0]
    assert store.read(B, T0, T0 + 2 * DAY, HOUR, "count").value.tolist() == [1.0]
    assert not store._manifest.parts
    store.close()


def test_levels_are_forgotten_by_their_own_limits(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, KeepConfiguration(raw_days=1, minute_days=3, hour_days=None))
    put(store, A, [T0 + i * MINUTE for i in range(5 * 1440)], [1.0] * 5 * 1440)
    for hours in (0, 2, 4):
        store.maintain(T0 + 6 * DAY + hours * HOUR)
    assert store.read(A, T0, T0 + 9 * DAY).time_ms.size == 0
    assert store.read(A, T0, T0 + 9 * DAY, MINUTE).time_ms.min() == T0 + 3 * DAY
    assert store.read(A, T0, T0 + 9 * DAY, HOUR).time_ms.size == 120
    assert store.read(A, T0, T0 + 9 * DAY, DAY).time_ms.size == 5
    store.close()


def test_the_mean_of_directions_is_a_direction(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.register([A, WIND])
    for s in (A, WIND):
        put(store, s, [T0, T0 + 1, T0 + HOUR, T0 + HOUR + 1], [350.0, 20.0, 5.0, 15.0])
    for _ in range(2):
        by_hour = store.read(WIND, T0, T0 + DAY, HOUR).value
        np.testing.assert_allclose(by_hour, [5.0, 10.0])
        np.testing.assert_allclose(store.read(WIND, T0, T0 + DAY, DAY).value, [7.5], atol=0.1)
        np.testing.assert_allclose(store.read(A, T0, T0 + DAY, HOUR).value, [185.0, 10.0])
        close_all_days(store)
    store.close()


def test_small_parts_of_a_day_are_merged_and_large_ones_left_alone(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, chunk_rows=50)
    for i in range(40):
        put(store, A, [T0 + i * 1000 + j for j in range(10)], [float(i)] * 10)
        put(store, B, [T0 + i * 1000 + j for j in range(10)], [float(i)] * 10)
        store.flush()
        store.maintain(T0 + HOUR)
        assert len({p.group for p in store._manifest.parts}) < 15
    assert store.count([A, B]) == 800
    assert (np.diff(store.read(A, T0, T0 + DAY).time_ms) > 0).all()
    store.close()


def test_a_closed_day_is_not_closed_again_for_a_few_late_samples_within_the_hour(
    tmp_path: Path,
) -> None:
    store = EmbeddedStore(tmp_path)
    store.write(minutely(1))
    now = T0 + 2 * DAY
    store.flush()
    store.maintain(now)
    put(store, A, [T0 + 5], [1.0])
    store.flush()
    assert compaction.day_to_close(store._layout, now + MINUTE, store._closed_at_ms) is None
    assert compaction.day_to_close(store._layout, now + HOUR, store._closed_at_ms) == D0
    store.write(minutely(1))
    store.flush()
    assert compaction.day_to_close(store._layout, now + MINUTE - 1, store._closed_at_ms) is None
    assert compaction.day_to_close(store._layout, now + MINUTE, store._closed_at_ms) == D0
    store.close()


def test_chunks_cover_all_series_and_keep_to_their_size() -> None:
    series, rows = np.array([2, 5, 6, 9, 12]), np.array([4, 4, 20, 1, 1])
    assert list(compaction.chunks(series, rows, 8)) == [(2, 5), (6, 6), (9, 12)]


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / manifest.NAME).write_text('{"format": 99}')
    with pytest.raises(Exception, match=r"format 99"):
        EmbeddedStore(tmp_path)


def test_the_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    part = ParquetPart(640, 3, 10, 5, 9, 0, 4, 3)
    m = manifest.Manifest().changed([part], kept_from={"raw": 5}, next_number=9)
    manifest.save(tmp_path, m)
    assert manifest.load(tmp_path) == m
    assert json.loads((tmp_path / manifest.NAME).read_text())["format"] == manifest.FORMAT


class Crash(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("seed", range(3))
def test_whatever_moment_a_crash_takes_nothing_is_lost_or_doubled(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies at every step that writes to the disk; then the store is opened again."""
    random_ = random.Random(seed)
    model: dict[tuple[int, int], float] = {}
    clock = T0 + DAY
    left = [10**9]

    def dies(function):
        def call(*args, **kwargs):
            left[0] -= 1
            if left[0] <= 0:
                raise Crash
            result = function(*args, **kwargs)
            left[0] -= 1
            if left[0] <= 0:
                raise Crash
            return result

        return call

    for owner, name in (
        (PartFiles, "_write"), (manifest, "save"), (Path, "unlink"), (Path, "replace"),
        (SummaryFile, "put"), (compaction, "mark_closed"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, dies(getattr(owner, name)))
    for _ in range(20):
        left[0] = 10**9
        store = EmbeddedStore(tmp_path, chunk_rows=7)
        left[0] = random_.randint(1, 40)
        try:
            for _ in range(6):
                n = random_.randint(1, 8)
                rows = [
                    (
                        random_.randint(0, 4),
                        T0 + random_.randint(0, 3 * 96) * 15 * MINUTE,
                        random_.random(),
                    )
                    for _ in range(n)
                ]
                store.write(SampleBatch.of(*zip(*rows, strict=True), [1] * n))
                model.update({(s, t): v for s, t, v in rows})
                clock += random_.choice([MINUTE, HOUR, 12 * HOUR])
                store.flush()
                store.maintain(clock)
        except Crash:
            store._journal.close()
            __import__("os").close(store._lock_file)
        else:
            store.close()
    left[0] = 10**9
    store = EmbeddedStore(tmp_path)
    for s in range(5):
        series = make_series(s)
        found = store.read(series, 0, 1 << 60)
        mine = {t: v for (i, t), v in model.items() if i == s}
        assert dict(zip(found.time_ms.tolist(), found.value.tolist(), strict=True)) == mine
        by_hour = store.read(series, 0, CENTURIES_LATER_MS, HOUR, "count")
        assert by_hour.value.sum() == len(mine)
        by_day = store.read(series, 0, CENTURIES_LATER_MS, DAY, "max")
        best: dict[int, float] = {}
        for t, v in mine.items():
            best[t // DAY] = max(best.get(t // DAY, 0.0), v)
        assert (
            dict(zip((by_day.time_ms // DAY).tolist(), by_day.value.tolist(), strict=True)) == best
        )
    assert store.count([make_series(s) for s in range(5)]) == len(model)
    store.close()


def test_compaction_does_not_keep_a_writer_waiting(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, flush_rows=20_000, chunk_rows=50_000)
    stop = threading.Event()
    broken: list[BaseException] = []

    def maintain() -> None:
        try:
            while not stop.is_set():
                store.maintain(T0 + 40 * DAY)
                store._closed_at_ms.clear()
        except BaseException as error:
            broken.append(error)

    keeper = threading.Thread(target=maintain)
    keeper.start()
    n = 2000
    rng = np.random.default_rng(2)
    for i in range(150):
        times = T0 + (i * n + np.arange(n)) * 5000
        batch = SampleBatch.of(rng.integers(0, 50, n), times, rng.normal(size=n), np.ones(n))
        store.write(batch)
    stop.set()
    keeper.join()
    assert not broken
    assert store.count([make_series(i) for i in range(50)]) == 150 * n
    store.close()


def test_coarser_steps_from_finer_ones_are_the_same() -> None:
    batch = minutely(2).sorted()
    direct = summaries.summarise(batch, 3 * HOUR)
    twice = summaries.coarsen(summaries.summarise(batch, MINUTE), 3 * HOUR)
    for name in ("series", "time_ms", "mean", "min", "max", "last", "count", "good", "quality"):
        np.testing.assert_allclose(getattr(direct, name), getattr(twice, name), rtol=1e-12)


def test_flags_of_a_step_are_the_worst_that_took_part() -> None:
    batch = SampleBatch.of([0] * 4, [0, 1, 2, 3], [1.0, 2.0, math.nan, 5.0], [2, 1, 9, 4])
    assert summaries.summarise(batch, 10).quality.tolist() == [1]
    assert summaries.summarise(batch.select(np.array([2, 3])), 10).quality.tolist() == [4]


def test_memory_is_bounded_though_nobody_maintains_the_store(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, flush_rows=100)
    for i in range(100):
        put(store, A, [T0 + i * 1000 + j for j in range(50)], [1.0] * 50)
        assert store._rows_in_memory() <= 600
    assert store.count([A]) == 5000
    store.close()
