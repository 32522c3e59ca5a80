"""The latest sample of each series, in memory."""

import threading

import numpy as np

from telemetry.batches import Bool, Int32, SampleBatch

NEVER = np.iinfo(np.int64).min


class LatestSamples:
    """The latest sample of each series, in arrays by series index."""

    def __init__(self) -> None:
        self.time_ms = np.full(0, NEVER, np.int64)
        self.value = np.empty(0, np.float64)
        self.quality = np.empty(0, np.uint8)

    def update(self, batch: SampleBatch) -> None:
        """Add samples; of two with the same time the later one in the batch wins."""
        if not len(batch):
            return
        ends = batch.ends()
        if ends is not None:
            batch = batch.select(ends)  # only the last sample of a series can be its latest
        self._grow(int(batch.series.max()) + 1)
        newer = batch.time_ms >= self.time_ms[batch.series]
        series, time_ms = batch.series[newer], batch.time_ms[newer]
        np.maximum.at(self.time_ms, series, time_ms)
        wins = time_ms == self.time_ms[series]
        self.value[series[wins]] = batch.value[newer][wins]
        self.quality[series[wins]] = batch.quality[newer][wins]

    def _grow(self, size: int) -> None:
        have = len(self.time_ms)
        if size <= have:
            return
        more = max(size, 2 * have) - have
        self.time_ms = np.concatenate([self.time_ms, np.full(more, NEVER, np.int64)])
        self.value = np.concatenate([self.value, np.full(more, np.nan)])
        self.quality = np.concatenate([self.quality, np.zeros(more, np.uint8)])

    def of(self, series: Int32) -> SampleBatch:
        """The latest samples of ``series``; series without one are left out."""
        known = series[series < len(self.time_ms)]
        known = known[self.time_ms[known] != NEVER]
        return SampleBatch(known, self.time_ms[known], self.value[known], self.quality[known])

    def all(self) -> SampleBatch:
        """The latest sample of every series that has one."""
        return self.of(np.arange(len(self.time_ms), dtype=np.int32))

    def remove(self, series: Int32) -> None:
        """Remove the latest samples of ``series``."""
        self.time_ms[series[series < len(self.time_ms)]] = NEVER

    def remove_before(self, time_ms: int) -> None:
        """Remove samples older than ``time_ms``."""
        self.time_ms[self.time_ms < time_ms] = NEVER


class LatestSamplesCache:
    """The latest samples of the series that this process writes to a server. Thread-safe.

    Other processes write other series to the same server. A series is answered from here after it
    was queried from the server once and written by this process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest = LatestSamples()
        self._queried = np.zeros(0, np.bool_)
        self._written = np.zeros(0, np.bool_)

    def add_written(self, batch: SampleBatch) -> None:
        """Add samples that were stored."""
        if len(batch):
            with self._lock:
                self._latest.update(batch)
                self._grow(int(batch.series.max()) + 1)
                self._written[batch.series] = True

    def add_queried(self, queried: Int32, found: SampleBatch) -> None:
        """Add the samples that the server returned for the series ``queried``."""
        if len(queried):
            with self._lock:
                self._grow(int(queried.max()) + 1)
                # A sample written meanwhile wins if it is newer or has the same time.
                written = self._latest.of(found.series)
                self._latest.update(found)
                self._latest.update(written)
                self._queried[queried] = True

    def is_known(self, series: Int32) -> Bool:
        """True for each series whose latest sample is known here."""
        with self._lock:
            self._grow(int(series.max()) + 1 if len(series) else 0)
            result: Bool = self._queried[series] & self._written[series]
            return result

    def of(self, series: Int32) -> SampleBatch:
        """The latest samples of ``series``; series without one are left out."""
        with self._lock:
            return self._latest.of(series)

    def invalidate(self, series: Int32) -> None:
        """Query the server again for these series."""
        with self._lock:
            self._grow(int(series.max()) + 1 if len(series) else 0)
            self._queried[series] = False
            self._latest.remove(series)

    def invalidate_all(self) -> None:
        """Query the server again for all series."""
        with self._lock:
            self._queried[:] = False
            self._latest = LatestSamples()

    def _grow(self, size: int) -> None:
        if size > len(self._queried):
            more = np.zeros(max(size, 2 * len(self._queried)) - len(self._queried), np.bool_)
            self._queried = np.concatenate([self._queried, more])
            self._written = np.concatenate([self._written, more])
