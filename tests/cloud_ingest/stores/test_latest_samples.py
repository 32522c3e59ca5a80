"""The latest sample of each series, in the stores and in the event stream."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.live import LiveUpdates, SubscriptionFilter
from cloud_ingest.stores.latest_samples import LatestSamples
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=12)
SERIES = [Series(i, SeriesKey("g", "d", f"m{i}"), "bd", "s", "pm10", "u", 1000) for i in range(4)]


def batch_of(rows: list[tuple[int, int]]) -> SampleBatch:
    """Rows of series and time; the value is the position."""
    series, time_ms = zip(*rows, strict=True) if rows else ((), ())
    return SampleBatch.of(series, time_ms, range(len(rows)), [1] * len(rows))


@given(st.lists(ROWS, max_size=4))
def test_the_newest_sample_is_the_last_one_of_its_time_in_whatever_order(
    batches: list[list[tuple[int, int]]],
) -> None:
    newest, expected = LatestSamples(), dict[int, tuple[int, float]]()
    for number, rows in enumerate(batches):
        batch = batch_of(rows if number % 2 else sorted(rows))
        newest.update(batch)
        for s, t, v in zip(
            batch.series.tolist(), batch.time_ms.tolist(), batch.value.tolist(), strict=True
        ):
            if t >= expected.get(s, (0, 0.0))[0]:
                expected[s] = t, v
    found = newest.all()
    rows_found = zip(found.time_ms.tolist(), found.value.tolist(), strict=True)
    assert dict(zip(found.series.tolist(), rows_found, strict=True)) == expected


@given(ROWS, ROWS)
def test_watchers_are_told_the_newest_once(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    async def received() -> list[tuple[str, int]]:
        live = LiveUpdates(SERIES.__getitem__)
        watcher = live.subscribe(SubscriptionFilter())
        for batch in (batch_of(sorted(set(first))), batch_of(list(dict.fromkeys(second)))):
            live.publish_samples(batch)
        return [
            (name, time_ms)
            for _, data in await watcher.take(0)
            for name, time_ms in zip(data["series"], data["time_ms"], strict=True)
        ]

    before = dict(sorted(first))
    after = {s: max(t for r, t in second if r == s) for s, _ in second}
    news = {s: t for s, t in after.items() if t > before.get(s, 0)}
    expected = [(str(SERIES[s].key), t) for part in (before, news) for s, t in part.items()]
    assert sorted(asyncio.run(received())) == sorted(expected)
