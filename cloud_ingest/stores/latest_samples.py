"""The newest sample of each series, in memory."""

import threading

import numpy as np

from telemetry.batches import Bool, Int32, SampleBatch

NEVER = np.iinfo(np.int64).min


class LatestSamples:
    """The newest sample of each series, in arrays indexed by the series' number."""

    def __init__(self) -> None:
        self.time_ms = np.full(0, NEVER, np.int64)
        self.value = np.empty(0, np.float64)
        self.quality = np.empty(0, np.uint8)

    def update(self, batch: SampleBatch) -> None:
        """Take in samples; of two with the same time the later one given stands."""
        if not len(batch):
            return
        ends = batch.ends()
        if ends is not None:
            batch = batch.select(ends)  # no other one can be the newest of its series
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
        """The newest samples of those ``series`` that have one."""
        known = series[series < len(self.time_ms)]
        known = known[self.time_ms[known] != NEVER]
        return SampleBatch(known, self.time_ms[known], self.value[known], self.quality[known])

    def all(self) -> SampleBatch:
        """The newest sample of every series that has one."""
        return self.of(np.arange(len(self.time_ms), dtype=np.int32))

    def forget(self, series: Int32) -> None:
        """Know nothing of these ``series`` any more."""
        self.time_ms[series[series < len(self.time_ms)]] = NEVER

    def forget_before(self, time_ms: int) -> None:
        """Drop samples older than ``time_ms``."""
        self.time_ms[self.time_ms < time_ms] = NEVER


class LatestSamplesCache:
    """The newest samples of the series that this process writes, of a store that others write too.

    What a series had before must have been asked of the server once; from then on every write is
    seen here. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest = LatestSamples()
        self._asked = np.zeros(0, np.bool_)
        self._written = np.zeros(0, np.bool_)

    def written(self, batch: SampleBatch) -> None:
        """Note samples that are stored."""
        if len(batch):
            with self._lock:
                self._newest.update(batch)
                self._grow(int(batch.series.max()) + 1)
                self._written[batch.series] = True

    def found(self, asked: Int32, answer: SampleBatch) -> None:
        """Note what the server had for the series ``asked``."""
        if len(asked):
            with self._lock:
                self._grow(int(asked.max()) + 1)
                # what was written in the meantime stays where it is newer or as new
                have = self._newest.of(answer.series)
                self._newest.update(answer)
                self._newest.update(have)
                self._asked[asked] = True

    def owns(self, series: Int32) -> Bool:
        """Of which series the newest sample is known here."""
        with self._lock:
            self._grow(int(series.max()) + 1 if len(series) else 0)
            result: Bool = self._asked[series] & self._written[series]
            return result

    def of(self, series: Int32) -> SampleBatch:
        """The newest samples of those ``series`` that have one."""
        with self._lock:
            return self._newest.of(series)

    def forget(self, series: Int32) -> None:
        """Ask the server again for these series."""
        with self._lock:
            self._grow(int(series.max()) + 1 if len(series) else 0)
            self._asked[series] = False
            self._newest.forget(series)

    def forget_all(self) -> None:
        """Ask the server again for all series."""
        with self._lock:
            self._asked[:] = False
            self._newest = LatestSamples()

    def _grow(self, size: int) -> None:
        if size > len(self._asked):
            more = np.zeros(max(size, 2 * len(self._asked)) - len(self._asked), np.bool_)
            self._asked = np.concatenate([self._asked, more])
            self._written = np.concatenate([self._written, more])
