"""How fast the stores take samples in, beside the barest loop that writes the same rows."""

import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np

from benchmarks.result import Result
from cloud_ingest.stores.embedded.store import EmbeddedStore
from cloud_ingest.stores.influxdb.client import Access, InfluxClient
from cloud_ingest.stores.influxdb.line_protocol import lines, prefix
from cloud_ingest.stores.influxdb.store import InfluxStore
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey
from tests.servers import InfluxDB

T0 = 1_767_225_600_000
SERIES = 1_000
ROWS = 5_000
ROUNDS = 3


def make_series(n: int) -> list[Series]:
    """Series as a province has them: ten metrics of each gateway."""
    return [
        Series(
            i, SeriesKey(f"bd-{i // 10:04d}", f"dev{i % 10}", "pm2_5"), "bd", "s", "pm2_5", "ug/m3"
        )
        for i in range(n)
    ]


def make_batches(count: int, first: int = 0) -> list[SampleBatch]:
    """Batches of 5,000 samples, five of each of 1,000 series, times a little uneven."""
    rng = np.random.default_rng(first)
    made = []
    for b in range(first, first + count):
        step = np.repeat(np.arange(ROWS // SERIES), SERIES)
        times = T0 + (b * (ROWS // SERIES) + step) * 1000 + rng.integers(0, 50, ROWS)
        values = rng.normal(30, 8, ROWS).round(1)
        made.append(
            SampleBatch.of(np.tile(np.arange(SERIES), ROWS // SERIES), times, values, np.ones(ROWS))
        )
    return made


def median_rates(
    ours: Callable[[list[SampleBatch]], None], bare: Callable[[list[SampleBatch]], None], count: int
) -> tuple[float, float]:
    """Rows a second of both, median of rounds that take turns."""
    rates: tuple[list[float], list[float]] = ([], [])
    for round_ in range(ROUNDS):
        batches = make_batches(count, round_ * count)
        for function, found in zip((ours, bare), rates, strict=True):
            start = time.perf_counter()
            function(batches)
            found.append(count * ROWS / (time.perf_counter() - start))
    return float(np.median(rates[0])), float(np.median(rates[1]))


def embedded() -> Iterator[Result]:
    """The embedded store with its upkeep at work, and a bare DuckDB table without a key."""
    folder = Path(tempfile.mkdtemp())
    store = EmbeddedStore(folder / "store")
    stop = threading.Event()

    def maintain() -> None:
        while not stop.wait(0.05):
            store.maintain(T0)

    keeper = threading.Thread(target=maintain)
    keeper.start()
    table = duckdb.connect(str(folder / "bare.duckdb"))
    table.execute(
        "CREATE TABLE samples (series INT, time_ms BIGINT, value DOUBLE, quality UTINYINT)"
    )

    def ours(batches: list[SampleBatch]) -> None:
        for batch in batches:
            store.write(batch)
        store.flush()

    def bare(batches: list[SampleBatch]) -> None:
        for b in batches:
            rows = {"s": b.series, "t": b.time_ms, "v": b.value, "q": b.quality}
            table.register("rows", rows)
            table.execute("INSERT INTO samples SELECT * FROM rows")
        table.execute("CHECKPOINT")

    rate, reference = median_rates(ours, bare, 300)
    yield Result(
        "store_ingest_embedded", "write 1.5 M samples in batches of 5,000 until they lie sorted in parts",
        rate, "samples/s", "bare loop, DuckDB table without a key, one commit a batch", reference, 0.9,
    )  # fmt: skip
    stop.set()
    keeper.join()
    store.close()
    table.close()
    shutil.rmtree(folder)


@contextmanager
def influx_server() -> Iterator[InfluxDB | None]:
    """A real InfluxDB of this run's own; None where none is installed."""
    program = shutil.which("influxd")
    if program is None:
        yield None
        return
    folder = Path(tempfile.mkdtemp())
    server = InfluxDB(program, folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


def influx() -> Iterator[Result]:
    """The InfluxDB store, and posting text that was made before."""
    with influx_server() as server:
        if server is None:
            return
        client = InfluxClient(Access(server.url))
        store = InfluxStore(client, f"ours-{uuid.uuid4().hex[:8]}")
        bare_store = InfluxStore(client, "bare")
        for s in (store, bare_store):
            s.prepare()
        series = make_series(SERIES)
        store.register(series)
        prefixes = [prefix(s) for s in series]

        def ours(batches: list[SampleBatch]) -> None:
            for batch in batches:
                store.write(batch)

        ready: list[bytes] = []

        def bare(_: list[SampleBatch]) -> None:
            for text in ready:
                client.write("bare", text)

        def with_text(batches: list[SampleBatch]) -> None:
            ready[:] = ["\n".join(lines(b, prefixes)).encode() for b in batches]

        rates: tuple[list[float], list[float]] = ([], [])
        for round_ in range(5):
            batches = make_batches(40, round_ * 40)
            with_text(batches)
            turns = ((ours, rates[0]), (bare, rates[1]))
            for function, found in turns if round_ % 2 else reversed(turns):
                start = time.perf_counter()
                function(batches)
                found.append(40 * ROWS / (time.perf_counter() - start))
        yield Result(
            "store_ingest_influxdb", "write batches of 5,000 samples to InfluxDB 1.x",
            float(np.median(rates[0])), "samples/s", "posting ready-made line protocol",
            float(np.median(rates[1])), 0.9,
        )  # fmt: skip


def run() -> list[Result]:
    """Both stores."""
    return [*embedded(), *influx()]
