"""Synthetic series and batches for the tests of the detectors."""

import numpy as np

from telemetry.batches import SampleBatch
from telemetry.quality import Flag
from telemetry.series import Series, SeriesKey

HOUR_MS = 3_600_000


def one_series(index, quantity="pm2_5", station="st", metric=None, interval_ms=0):
    key = SeriesKey(f"g-{station}", "d", metric or f"m{index}")
    return Series(index, key, "grp", station, quantity, "ug/m3", interval_ms)


def batch_of(index, hours, values, flag=Flag.PASS):
    n = len(values)
    times = np.round(np.asarray(hours) * HOUR_MS).astype(np.int64)
    return SampleBatch.of(np.broadcast_to(index, n), times, values, [int(flag)] * n)


def same(a, b):
    names = ("score", "expected", "low", "high", "reason", "since_ms", "onset")
    return all(
        np.array_equal(getattr(a, n), getattr(b, n), equal_nan=n in names[1:4]) for n in names
    )


def joined(scores):
    """Scores of consecutive batches as one dictionary of columns."""
    names = ("score", "expected", "low", "high", "reason", "since_ms", "onset")
    return {n: np.concatenate([getattr(s, n) for s in scores]) for n in names}


def write_series_file(path, rows=1200):
    """A sine with noise each quarter of an hour, and a spike in row 1000."""
    rng = np.random.default_rng(1)
    start = np.datetime64("2026-01-01T00:00:00")
    with path.open("w") as out:
        out.write("timestamp,value\n")
        for i in range(rows):
            value = 20 + 5 * np.sin(i / 15) + rng.normal(0, 0.3) + (30 if i == 1000 else 0)
            stamp = str(start + np.timedelta64(15 * i, "m")).replace("T", " ")
            out.write(f"{stamp},{value:.3f}\n")
