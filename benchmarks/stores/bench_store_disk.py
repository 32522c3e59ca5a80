"""How much disk a sample takes: embedded store, InfluxDB, CSV."""

import os
import shutil
import tempfile
import time
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
SERIES = 100
EVERY_MS = 10_000
SAMPLES = SERIES * DAY_MS // EVERY_MS


def day() -> list[SampleBatch]:
    """A day of 100 series every 10 s: a daily curve, a random walk, one decimal, uneven times."""
    rng = np.random.default_rng(3)
    n = DAY_MS // EVERY_MS
    times = T0 + np.arange(n)[:, None] * EVERY_MS + rng.integers(0, 40, (n, SERIES))
    walk = np.cumsum(rng.normal(0, 0.2, (n, SERIES)), axis=0)
    curve = 10 * np.sin(2 * np.pi * np.arange(n) / n)[:, None]
    values = (40 + curve + walk + rng.normal(0, 0.5, (n, SERIES))).round(1)
    flags = rng.choice([1, 1, 1, 1, 1, 1, 1, 1, 1, 3], (n, SERIES))
    per_batch = 50
    return [
        SampleBatch.of(
            np.tile(np.arange(SERIES), len(times[i : i + per_batch])),
            times[i : i + per_batch].ravel(),
            values[i : i + per_batch].ravel(),
            flags[i : i + per_batch].ravel(),
        )
        for i in range(0, n, per_batch)
    ]


def fill(store: SampleStore, batches: list[SampleBatch]) -> None:
    """Write the day."""
    store.register(make_series(SERIES))
    for batch in batches:
        store.write(batch)


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def csv_bytes(batches: list[SampleBatch]) -> int:
    """The plainest CSV: series by name, time in ms, value, flag."""
    names = [str(s.key) for s in make_series(SERIES)]
    return sum(
        len(f"{names[s]},{t},{v},{q}\n")
        for b in batches
        for s, t, v, q in zip(
            b.series.tolist(), b.time_ms.tolist(), b.value.tolist(), b.quality.tolist(), strict=True
        )
    )


def influx_bytes(batches: list[SampleBatch]) -> float | None:
    """What InfluxDB has on disk once the day lies in TSM files; None where none is installed."""
    settings = {
        "INFLUXDB_DATA_CACHE_SNAPSHOT_WRITE_COLD_DURATION": "1s",
        "INFLUXDB_DATA_COMPACT_FULL_WRITE_COLD_DURATION": "1s",
    }
    os.environ.update(settings)
    try:
        with influx_server() as server:
            if server is None:
                return None
            store = InfluxStore(InfluxClient(Access(server.url)), "disk")
            store.prepare()
            fill(store, batches)
            store.close()
            return _settled(server._folder / "data")  # noqa: SLF001  # its files are what is measured
    finally:
        for name in settings:
            del os.environ[name]


def _settled(folder: Path) -> float:
    """The size of the series' files once it does not change any more."""
    found, since = 0, time.monotonic()
    end = since + 25
    while time.monotonic() < end:
        now = sum(p.stat().st_size for p in folder.rglob("*.tsm") if "_1" not in p.parts[-4])
        if now != found:
            found, since = now, time.monotonic()
        if found and time.monotonic() - since > 4:
            break
        time.sleep(0.5)
    return float(found)


def run() -> list[Result]:
    """Bytes a sample, in each."""
    batches = day()
    folder = Path(tempfile.mkdtemp())
    store = EmbeddedStore(folder)
    fill(store, batches)
    store.flush()
    store.maintain(T0 + 2 * DAY_MS)
    store.close()
    raw = size(folder / "raw") / SAMPLES
    levels = size(folder) / SAMPLES
    shutil.rmtree(folder)
    text = csv_bytes(batches) / SAMPLES
    results = [
        Result("store_disk_csv", "raw samples against CSV", raw, "bytes/sample", "CSV", text, 0.2, False),
        Result(
            "store_disk_levels", "the whole folder, with minutes, hours and days, against CSV",
            levels, "bytes/sample", "CSV", text, 0.3, higher_is_better=False,
        ),
    ]  # fmt: skip
    theirs = influx_bytes(batches)
    if theirs is not None:
        results.append(
            Result(
                "store_disk_influxdb",
                "raw samples against InfluxDB 1.x",
                raw,
                "bytes/sample",
                "InfluxDB 1.x (its TSM files)",
                theirs / SAMPLES,
                1.0,
                higher_is_better=False,
            )
        )
    return results
