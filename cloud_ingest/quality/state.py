"""State of quality control for each series, and the samples of a batch that continue the series."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from telemetry.batches import Bool, Float64, Int64, SampleBatch, UInt8
from telemetry.quality import Flag


@dataclass(frozen=True, slots=True, eq=False)
class ConsecutiveSamples:
    """The samples of a batch that are newer than the state, sorted by series, then time.

    ``rows`` holds their indexes in the batch; ``whole`` is True where they are the whole batch in
    its own order. ``value`` is NaN where the device had none; ``before`` and ``after`` are the
    values of the neighbours in time, ``pause_ms`` is the time since the sample before. ``first``
    and ``last`` are the indexes of the first and last sample of each series.
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
        cls, batch: SampleBatch, series: Int64, missing: Bool, state: "SeriesState"
    ) -> "ConsecutiveSamples":
        """The samples that continue ``state``; ``series`` is that of each sample of the batch."""
        order, time_ms = np.arange(len(series)), batch.time_ms
        first = _first_of_each(series)
        whole = _is_sorted_and_newer(series, time_ms, first, state)
        if whole:
            value = np.where(missing, np.nan, batch.value)
        else:
            order = _newer(series, time_ms, state)
            series, time_ms = series[order], time_ms[order]
            first = _first_of_each(series)
            value = np.where(missing[order], np.nan, batch.value[order])
        last = np.append(first[1:], len(series)) - 1 if len(series) else first
        heads = series[first]
        before, after = np.empty_like(value), np.full(len(value), np.nan)
        before[1:] = value[:-1]
        before[first] = state.value[heads]
        after[:-1] = value[1:]
        after[last] = np.nan
        before_ms = np.empty_like(time_ms)
        before_ms[1:] = time_ms[:-1]
        known_ms = state.time_ms[heads]
        before_ms[first] = np.where(known_ms > 0, known_ms, time_ms[first])
        pause_ms = (time_ms - before_ms).astype(np.float64)
        return cls(order, whole, series, time_ms, value, before, after, pause_ms, first, last)

    def where(
        self, which: Bool, parameter: Float64
    ) -> tuple[Int64 | slice, Int64, Int64, Float64, Float64]:
        """Indexes, series, times, values and parameter of the marked samples that have a value."""
        which = which & np.isfinite(self.value)
        if which.all():
            return slice(None), self.series, self.time_ms, self.value, parameter
        at = np.flatnonzero(which)
        return at, self.series[at], self.time_ms[at], self.value[at], parameter[at]


def _first_of_each(series: Int64) -> Int64:
    """The index of the first entry of each run of equal series."""
    begins = np.ones(len(series), np.bool_)
    np.not_equal(series[1:], series[:-1], out=begins[1:])
    return np.flatnonzero(begins)


def _is_sorted_and_newer(series: Int64, time_ms: Int64, first: Int64, state: "SeriesState") -> bool:
    """True if all samples are sorted, without repetitions, and newer than the state."""
    later = (series[1:] == series[:-1]) & (time_ms[1:] > time_ms[:-1])
    if not (later | (series[1:] > series[:-1])).all():
        return False
    return bool((time_ms[first] > state.time_ms[series[first]]).all())


def _newer(series: Int64, time_ms: Int64, state: "SeriesState") -> Int64:
    """Sorted indexes of the samples newer than the state; of several at one time, the first."""
    order = np.lexsort((time_ms, series))
    series, time_ms = series[order], time_ms[order]
    fresh = time_ms > state.time_ms[series]
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
    """The last two samples of each series, its flat run, and the statistics of its current period."""

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
        """Bytes of all arrays."""
        return sum(a.nbytes for a in vars(self).values() if isinstance(a, np.ndarray))

    def grow(self, size: int, *, flat: bool = True, periods: bool = True) -> None:
        """Make room for ``size`` series; flat runs and periods only where a test needs them."""
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

    def follow(self, samples: ConsecutiveSamples, flags: UInt8) -> None:
        """Store the newest samples; ``flags`` are those of the last sample of each series."""
        at, last = samples.series[samples.last], samples.last
        self.before[at] = samples.before[last]
        self.value[at], self.time_ms[at], self.flag[at] = (
            samples.value[last],
            samples.time_ms[last],
            flags,
        )

    def flat_ms(self, samples: ConsecutiveSamples, tolerance: Float64) -> Float64:
        """Milliseconds for which each value has varied by less than its tolerance.

        A flat run ends where the range of its values reaches the tolerance. A single step of this
        size ends it in any case. Where smaller steps add up, ``_scan_run`` examines each sample.
        """
        found = np.zeros(len(samples.rows))
        which, series, time_ms, value, near = samples.where(tolerance > 0, tolerance)
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
        head_series = series[begin[head]]
        continues = np.isfinite(self._flat_low[head_series])
        reach = np.fmax(self._flat_high[head_series], value[begin[head]]) - np.fmin(
            self._flat_low[head_series], value[begin[head]]
        )
        continues &= reach < near[begin[head]]
        kept = head[continues]
        low[kept] = np.minimum(low[kept], self._flat_low[head_series[continues]])
        high[kept] = np.maximum(high[kept], self._flat_high[head_series[continues]])
        since[kept] = self._flat_since_ms[head_series[continues]]
        starts = np.repeat(since, np.diff(np.append(begin, len(value))))
        for g in np.flatnonzero(~(high - low < near[begin])):
            end = begin[g + 1] if g + 1 < len(begin) else len(value)
            continued = bool(g in kept)
            low[g], high[g] = self._scan_run(
                series[begin[g]], value[begin[g] : end], time_ms[begin[g] : end],
                near[begin[g]], starts[begin[g] : end], continued=continued,
            )  # fmt: skip
            since[g] = starts[end - 1]
        found[which] = time_ms - starts
        ends = np.append(begin[1:], len(value)) - 1
        tail = np.ones(len(begin), np.bool_)
        tail[:-1] = series[ends[:-1]] != series[begin[1:]]
        at = series[begin[tail]]
        self._flat_low[at], self._flat_high[at] = low[tail], high[tail]
        self._flat_since_ms[at] = since[tail]
        return found

    def _scan_run(
        self, series: np.int64, value: Float64, time_ms: Int64, near: np.float64, starts: Int64,
        *, continued: bool,
    ) -> tuple[float, float]:  # fmt: skip
        """Fill ``starts`` with the start of the flat run of each sample; the range of the last run."""
        low, high, since = float("inf"), float("-inf"), int(time_ms[0])
        if continued:
            low, high = float(self._flat_low[series]), float(self._flat_high[series])
            since = int(self._flat_since_ms[series])
        for i, x in enumerate(value.tolist()):
            low, high = min(low, x), max(high, x)
            if not high - low < near:
                low, high, since = x, x, int(time_ms[i])
            starts[i] = since
        return low, high

    def deviation(self, samples: ConsecutiveSamples, period_ms: Float64) -> Float64:
        """Standard deviation of the period before that of each sample; NaN if unknown."""
        found = np.full(len(samples.rows), np.nan)
        which, series, time_ms, value, period_ms = samples.where(period_ms > 0, period_ms)
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
        found[which] = earlier[group]
        last = np.append(first[1:], True)
        at = who[last]
        self._period[at], self._count[at], self._mean[at] = when[last], count[last], mean[last]
        self._squares[at], self._deviation[at] = squares[last], earlier[last]
        return found

    def _join(
        self, same: Bool, who: Int64, count: Float64, mean: Float64, squares: Float64
    ) -> None:
        """Add the earlier part of the current period (formula of Chan, Golub and LeVeque)."""
        at = who[same]
        n, apart = self._count[at], mean[same] - self._mean[at]
        total = n + count[same]
        squares[same] += self._squares[at] + apart**2 * n * count[same] / total
        mean[same] -= apart * n / total
        count[same] = total
