"""What quality control remembers of each series, and the samples that continue it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from telemetry.batches import Bool, Float64, Int64, SampleBatch, UInt8
from telemetry.quality import Flag


@dataclass(frozen=True, slots=True, eq=False)
class ConsecutiveSamples:
    """The samples of a batch that are newer than what is known, by series, then time.

    ``rows`` is where they stand in the batch; ``whole``: it holds nothing else, in this order.
    ``value`` is NaN where the device had none. ``first`` and ``last`` are the places of each
    series' first and last sample here.
    """

    rows: Int64
    whole: bool
    series: Int64
    time_ms: Int64
    value: Float64
    before: Float64
    after: Float64
    pause_ms: Float64
    first: Int64
    last: Int64

    @classmethod
    def of(
        cls, batch: SampleBatch, index: Int64, missing: Bool, memory: "SeriesState"
    ) -> "ConsecutiveSamples":
        """The samples that continue ``memory``."""
        order, series, time_ms = np.arange(len(index)), index, batch.time_ms
        first = _begins(series)
        whole = _continues(series, time_ms, first, memory)
        if whole:
            value = np.where(missing, np.nan, batch.value)
        else:
            order = _fresh(series, time_ms, memory)
            series, time_ms = series[order], time_ms[order]
            first = _begins(series)
            value = np.where(missing[order], np.nan, batch.value[order])
        last = np.append(first[1:], len(series)) - 1 if len(series) else first
        heads = series[first]
        before, after = np.empty_like(value), np.full(len(value), np.nan)
        before[1:] = value[:-1]
        before[first] = memory.value[heads]
        after[:-1] = value[1:]
        after[last] = np.nan
        before_ms = np.empty_like(time_ms)
        before_ms[1:] = time_ms[:-1]
        known_ms = memory.time_ms[heads]
        before_ms[first] = np.where(known_ms > 0, known_ms, time_ms[first])
        pause_ms = (time_ms - before_ms).astype(np.float64)
        return cls(order, whole, series, time_ms, value, before, after, pause_ms, first, last)

    def where(
        self, asked: Bool, number: Float64
    ) -> tuple[Int64 | slice, Int64, Int64, Float64, Float64]:
        """Places, series, times, values and numbers of those asked for that have a value."""
        meant = asked & np.isfinite(self.value)
        if meant.all():
            return slice(None), self.series, self.time_ms, self.value, number
        at = np.flatnonzero(meant)
        return at, self.series[at], self.time_ms[at], self.value[at], number[at]


def _begins(series: Int64) -> Int64:
    """Where each series begins."""
    begins = np.ones(len(series), np.bool_)
    np.not_equal(series[1:], series[:-1], out=begins[1:])
    return np.flatnonzero(begins)


def _continues(series: Int64, time_ms: Int64, first: Int64, memory: "SeriesState") -> bool:
    """Whether all samples are in order, without repetitions, and newer than what is known."""
    later = (series[1:] == series[:-1]) & (time_ms[1:] > time_ms[:-1])
    if not (later | (series[1:] > series[:-1])).all():
        return False
    return bool((time_ms[first] > memory.time_ms[series[first]]).all())


def _fresh(series: Int64, time_ms: Int64, memory: "SeriesState") -> Int64:
    """The places, in order, of samples newer than what is known, of those alike the first."""
    order = np.lexsort((time_ms, series))
    series, time_ms = series[order], time_ms[order]
    fresh = time_ms > memory.time_ms[series]
    fresh[1:] &= (series[1:] != series[:-1]) | (time_ms[1:] != time_ms[:-1])
    return order[fresh]


_ALWAYS = {
    "time_ms": (0, "i8"), "value": (np.nan, "f8"), "before": (np.nan, "f8"),
    "flag": (Flag.MISSING, "u1"),
}  # fmt: skip
_FLAT = {
    "_flat_since_ms": (0, "i8"), "_flat_low": (np.inf, "f8"), "_flat_high": (-np.inf, "f8"),
}  # fmt: skip
_PERIODS = {
    "_period": (-1, "i8"), "_count": (0.0, "f8"), "_mean": (0.0, "f8"), "_squares": (0.0, "f8"),
    "_deviation": (np.nan, "f8"),
}  # fmt: skip


class SeriesState:
    """Two samples of each series, its flat run, and the spread of the period under way."""

    def __init__(self) -> None:
        self.time_ms = np.empty(0, np.int64)
        self.value = np.empty(0)
        self.before = np.empty(0)
        self.flag = np.empty(0, np.uint8)
        self._flat_since_ms = np.empty(0, np.int64)
        self._flat_low = np.empty(0)
        self._flat_high = np.empty(0)
        self._period = np.empty(0, np.int64)
        self._count = np.empty(0)
        self._mean = np.empty(0)
        self._squares = np.empty(0)
        self._deviation = np.empty(0)
        self._size = 0

    @property
    def nbytes(self) -> int:
        """The bytes of everything remembered."""
        return sum(a.nbytes for a in vars(self).values() if isinstance(a, np.ndarray))

    def grow(self, size: int, *, flat: bool = True, periods: bool = True) -> None:
        """Make room for ``size`` series; flat runs and periods only where they are watched."""
        self._size = max(self._size, size)
        self._extend(_ALWAYS)
        if flat:
            self._extend(_FLAT)
        if periods:
            self._extend(_PERIODS)

    def _extend(self, columns: Mapping[str, tuple[float, str]]) -> None:
        for name, (fill, kind) in columns.items():
            array = getattr(self, name)
            extra = self._size - len(array)
            if extra > 0:
                setattr(self, name, np.append(array, np.full(extra, fill, kind)))

    def follow(self, run: ConsecutiveSamples, flags: UInt8) -> None:
        """These are the newest samples now; ``flags`` are those of the last of each series."""
        at, last = run.series[run.last], run.last
        self.before[at] = run.before[last]
        self.value[at], self.time_ms[at], self.flag[at] = run.value[last], run.time_ms[last], flags

    def flat_ms(self, run: ConsecutiveSamples, tolerance: Float64) -> Float64:
        """For how long each value has moved by less than its tolerance.

        A run begins anew where its range reaches the tolerance. Steps as large as that end it for
        certain; only where many smaller ones add up must samples be gone through one by one.
        """
        found = np.zeros(len(run.rows))
        there, series, time_ms, value, near = run.where(tolerance > 0, tolerance)
        if not len(series):
            return found
        first = np.ones(len(series), np.bool_)
        first[1:] = series[1:] != series[:-1]
        breaks = first.copy()
        breaks[1:] |= ~(np.abs(value[1:] - value[:-1]) < near[1:])
        begin = np.flatnonzero(breaks)
        low, high = np.minimum.reduceat(value, begin), np.maximum.reduceat(value, begin)
        since = time_ms[begin].copy()
        head = np.flatnonzero(first[begin])
        who = series[begin[head]]
        goes_on = np.isfinite(self._flat_low[who])
        reach = np.fmax(self._flat_high[who], value[begin[head]]) - np.fmin(
            self._flat_low[who], value[begin[head]]
        )
        goes_on &= reach < near[begin[head]]
        kept = head[goes_on]
        low[kept] = np.minimum(low[kept], self._flat_low[who[goes_on]])
        high[kept] = np.maximum(high[kept], self._flat_high[who[goes_on]])
        since[kept] = self._flat_since_ms[who[goes_on]]
        starts = np.repeat(since, np.diff(np.append(begin, len(value))))
        for g in np.flatnonzero(~(high - low < near[begin])):
            end = begin[g + 1] if g + 1 < len(begin) else len(value)
            went_on = bool(g in kept)
            low[g], high[g] = self._scan_run(
                series[begin[g]], value[begin[g] : end], time_ms[begin[g] : end],
                near[begin[g]], starts[begin[g] : end], went_on=went_on,
            )  # fmt: skip
            since[g] = starts[end - 1]
        found[there] = time_ms - starts
        ends = np.append(begin[1:], len(value)) - 1
        tail = np.ones(len(begin), np.bool_)
        tail[:-1] = series[ends[:-1]] != series[begin[1:]]
        at = series[begin[tail]]
        self._flat_low[at], self._flat_high[at] = low[tail], high[tail]
        self._flat_since_ms[at] = since[tail]
        return found

    def _scan_run(
        self, who: np.int64, value: Float64, time_ms: Int64, near: np.float64, starts: Int64,
        *, went_on: bool,
    ) -> tuple[float, float]:  # fmt: skip
        """Fill in when the flat run of each sample began, one by one; gives the last run's range."""
        low, high, since = float("inf"), float("-inf"), int(time_ms[0])
        if went_on:
            low, high = float(self._flat_low[who]), float(self._flat_high[who])
            since = int(self._flat_since_ms[who])
        for i, x in enumerate(value.tolist()):
            low, high = min(low, x), max(high, x)
            if not high - low < near:
                low, high, since = x, x, int(time_ms[i])
            starts[i] = since
        return low, high

    def deviation(self, run: ConsecutiveSamples, period_ms: Float64) -> Float64:
        """The standard deviation of the period before that of each sample; NaN if unknown."""
        found = np.full(len(run.rows), np.nan)
        there, series, time_ms, value, period_ms = run.where(period_ms > 0, period_ms)
        if not len(series):
            return found
        period = (time_ms // period_ms).astype(np.int64)
        breaks = np.ones(len(series), np.bool_)
        breaks[1:] = (series[1:] != series[:-1]) | (period[1:] != period[:-1])
        begin = np.flatnonzero(breaks)
        group = np.cumsum(breaks) - 1
        who, when = series[begin], period[begin]
        count = np.diff(np.append(begin, len(value))).astype(np.float64)
        mean = np.add.reduceat(value, begin) / count
        squares = np.add.reduceat((value - mean[group]) ** 2, begin)
        first = np.ones(len(begin), np.bool_)
        first[1:] = who[1:] != who[:-1]
        self._join(first & (self._period[who] == when), who, count, mean, squares)

        spread = np.where(count >= 2, np.sqrt(squares / count), np.nan)
        earlier = np.empty(len(begin))
        earlier[1:] = spread[:-1]
        head = who[first]
        old = np.where(
            self._count[head] >= 2, np.sqrt(self._squares[head] / np.maximum(self._count[head], 1)), np.nan
        )  # fmt: skip
        earlier[first] = np.where(self._period[head] == when[first], self._deviation[head], old)
        found[there] = earlier[group]
        last = np.append(first[1:], True)
        at = who[last]
        self._period[at], self._count[at], self._mean[at] = when[last], count[last], mean[last]
        self._squares[at], self._deviation[at] = squares[last], earlier[last]
        return found

    def _join(
        self, same: Bool, who: Int64, count: Float64, mean: Float64, squares: Float64
    ) -> None:
        """Add what is remembered of the period under way (Chan, Golub and LeVeque's formula)."""
        at = who[same]
        n, apart = self._count[at], mean[same] - self._mean[at]
        total = n + count[same]
        squares[same] += self._squares[at] + apart**2 * n * count[same] / total
        mean[same] -= apart * n / total
        count[same] = total
