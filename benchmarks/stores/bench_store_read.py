"""How fast the stores answer what a chart and a map ask."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.result import Result
from benchmarks.stores.bench_store_ingest import T0, influx_server, make_series
from cloud_ingest.stores.embedded.store import EmbeddedStore
from cloud_ingest.stores.influxdb.client import Access, InfluxClient
from cloud_ingest.stores.influxdb.store import InfluxStore
from cloud_ingest.stores.protocol import SampleStore
from telemetry.batches import SampleBatch

DAY_MS = 86_400_000
DAYS = 30
SERIES = 1_000
EVERY_MS = 1_200_000
"""One sample in 20 minutes of each series: what InfluxDB takes in within the time of a benchmark."""
STEP_MS = 90 * 60_000
MANY = 10_000
TARGET_MS = 50.0


def month() -> Iterator[SampleBatch]:
    """30 days of 1,000 series, an hour or more a batch, as they would have come."""
    rng = np.random.default_rng(7)
    per_batch = 30
    times = np.arange(T0, T0 + DAYS * DAY_MS, EVERY_MS)
    for place in range(0, len(times), per_batch):
        part = times[place : place + per_batch]
        n = SERIES * len(part)
        yield SampleBatch.of(
            np.tile(np.arange(SERIES), len(part)),
            np.repeat(part, SERIES) + rng.integers(0, 1000, n),
            rng.normal(40, 9, n).round(1), np.ones(n),
        )  # fmt: skip


def times_ms(ask: Callable[[int], object], n: int) -> list[float]:
    """How long each of n questions took."""
    took = []
    for i in range(n):
        start = time.perf_counter()
        ask(i)
        took.append((time.perf_counter() - start) * 1e3)
    return took


def chart(store: SampleStore, step_ms: int) -> Callable[[int], object]:
    """The question of a chart: 30 days of one series in steps."""
    series = make_series(SERIES)

    def ask(i: int) -> object:
        return store.read(series[i * 37 % SERIES], T0, T0 + DAYS * DAY_MS, step_ms)

    return ask


def fill(store: SampleStore) -> None:
    """Put the month in."""
    store.register(make_series(SERIES))
    for batch in month():
        store.write(batch)


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    return float(np.percentile(values, 95))


def run() -> list[Result]:
    """The embedded store against InfluxDB and against the limit that a user feels."""
    folder = Path(tempfile.mkdtemp())
    store = EmbeddedStore(folder)
    fill(store)
    store.flush()
    store.maintain(T0 + (DAYS + 2) * DAY_MS)
    ours = {step: p95(times_ms(chart(store, step), 60)) for step in (STEP_MS, 5_184_000)}
    results = [
        Result(
            "store_read_chart", "30 days of one series among 1,000, 480 points, p95",
            ours[STEP_MS], "ms", "limit", TARGET_MS, 1.0, higher_is_better=False,
        ),
        Result(
            "store_read_chart_raw", "30 days to 500 points in a step that no level fits, p95",
            ours[5_184_000], "ms", "limit", TARGET_MS, 1.0, higher_is_better=False,
        ),
    ]  # fmt: skip
    many = make_series(MANY)
    store.register(many)
    n = np.arange(MANY)
    store.write(SampleBatch.of(n, np.full(MANY, T0 + 40 * DAY_MS), n, np.ones(MANY)))
    latest = p95(times_ms(lambda _: store.latest(many), 30))
    results.append(
        Result(
            "store_latest",
            "last value of 10,000 series, p95",
            latest,
            "ms",
            "limit",
            TARGET_MS,
            1.0,
            higher_is_better=False,
        )
    )
    store.close()
    shutil.rmtree(folder)
    return results + list(against_influx(ours[STEP_MS]))


def against_influx(ours_ms: float) -> Iterator[Result]:
    """The same question to InfluxDB, with the same samples."""
    with influx_server() as server:
        if server is None:
            return
        other = InfluxStore(InfluxClient(Access(server.url)), "month")
        other.prepare()
        fill(other)
        series = make_series(SERIES)
        where = "\"gateway\" = '{}' AND \"device\" = '{}'"

        def ask(i: int) -> object:
            key = series[i * 37 % SERIES].key
            return other._client.query(  # noqa: SLF001  # the plainest question, not ours
                "month",
                f'SELECT mean("value") FROM "pm2_5" WHERE {where.format(key.gateway, key.device)} '
                f"AND time >= {T0}ms AND time < {T0 + DAYS * DAY_MS}ms GROUP BY time({STEP_MS}ms)",
            )

        ask(0)
        theirs = p95(times_ms(ask, 60))
        other.close()
        yield Result(
            "store_read_chart_influxdb", "the same chart, asked of InfluxDB 1.x as plainly as can be",
            ours_ms, "ms", "InfluxDB 1.x, GROUP BY time()", theirs, 1.0, higher_is_better=False,
        )  # fmt: skip
