"""Samples gathered into buckets of time, and windows over buckets that are complete.

A step is complete once a later sample of its series has come. Means over a window are means of
its buckets' means, as the regulations say it: the mean of the one-hour means.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alert_rules.evaluator import State, as_index, group_starts, grown, one_per_row
from telemetry.batches import Bool, Float64, Int32, Int64
from telemetry.local_time import from_local_ms, to_local_ms

_INT32_STEP_MS = 10_000  # numbers of buckets as long as this fit into 32 bits until 2650


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Completed buckets by row, then number. ``number`` counts buckets in local time.

    ``following`` is the number of the next step of the row that has samples.
    """

    row: Int32
    number: Int64
    following: Int64
    count: Int64
    mean: Float64
    low: Float64
    high: Float64

    def __len__(self) -> int:
        return len(self.row)

    def select(self, which: Bool | Int64) -> "Buckets":
        """Those where the mask is true, or at these places."""
        return Buckets(*(getattr(self, name)[which] for name in Buckets.__dataclass_fields__))


class BucketNumbers:
    """One step's number for each row, long before all others where there is none yet."""

    def __init__(self, bucket_ms: int) -> None:
        kind: type[np.signedinteger[Any]] = np.int32 if bucket_ms >= _INT32_STEP_MS else np.int64
        self.array: NDArray[np.signedinteger[Any]] = np.empty(0, kind)

    def grow(self, size: int) -> None:
        """Make room for ``size`` rows."""
        self.array = grown(self.array, size, int(np.iinfo(self.array.dtype).min) // 4)

    def __getitem__(self, row: Int32 | slice) -> Int64:
        return self.array[row].astype(np.int64)

    def __setitem__(self, row: Int32 | slice, number: Int64) -> None:
        self.array[row] = number


class BucketAggregator:
    """Gathers the samples of each row's current step; on request also their range.

    With ``coarse`` the range takes half the room and has seven digits.
    """

    def __init__(self, bucket_ms: int, *, coarse: bool = False) -> None:
        self.bucket_ms = bucket_ms
        self._extremes = False
        self._number = BucketNumbers(bucket_ms)
        self._count = np.empty(0, np.int32)
        self._sum = np.empty(0, np.float64)
        kept = np.float32 if coarse else np.float64
        self._low: NDArray[np.floating[Any]] = np.empty(0, kept)
        self._high: NDArray[np.floating[Any]] = np.empty(0, kept)

    def keep_extremes(self) -> None:
        """From now on keep the range of each step too."""
        self._extremes = True

    def grow(self, size: int) -> None:
        """Make room for ``size`` rows."""
        self._number.grow(size)
        self._count = grown(self._count, size, 0)
        self._sum = grown(self._sum, size, 0.0)
        size = size if self._extremes else 0
        self._low = grown(self._low, size, np.inf)
        self._high = grown(self._high, size, -np.inf)

    def end_ms(self, number: Int64) -> Int64:
        """When buckets end, in UTC milliseconds."""
        return from_local_ms((number + 1) * self.bucket_ms)

    def advance(self, row: Int32, time_ms: Int64, value: Float64) -> Buckets | None:
        """Take samples in, by row, then time; give the buckets that they complete (None: none)."""
        if not len(row):
            return None
        number = to_local_ms(time_ms) // self.bucket_ms
        if one_per_row(row):
            return self._join(row, number, np.ones(1, np.int64), value, value, value)
        return self._advance_many(row, number, value)

    def _join(
        self, row: Int32, number: Int64, count: Int64, total: Float64, low: Float64, high: Float64
    ) -> Buckets | None:
        """Take in what each row, which is there once, has in one step."""
        at = as_index(row, len(self._count))
        moved = number > self._number[at]
        done = None
        if moved.any():
            leaving = moved & (self._count[at] > 0)
            done = self._leave(row[leaving], number[leaving])
            self._begin(row[moved], number[moved])
        self._sum[at] += total
        self._count[at] += count
        if self._extremes:
            self._low[at] = np.minimum(self._low[at], low)
            self._high[at] = np.maximum(self._high[at], high)
        return done

    def _begin(self, row: Int32, number: Int64) -> None:
        self._number[row] = number
        self._count[row], self._sum[row] = 0, 0.0
        if self._extremes:
            self._low[row], self._high[row] = np.inf, -np.inf

    def _leave(self, row: Int32, following: Int64) -> Buckets | None:
        if not len(row):
            return None
        count = self._count[row]
        mean = self._sum[row] / count
        low, high = mean, mean
        if self._extremes:
            low = self._low[row].astype(np.float64)
            high = self._high[row].astype(np.float64)
        return Buckets(row, self._number[row], following, count.astype(np.int64), mean, low, high)

    def _advance_many(self, row: Int32, number: Int64, value: Float64) -> Buckets | None:
        first = group_starts(row)
        begins = first.copy()
        begins[1:] |= number[1:] != number[:-1]
        at = np.flatnonzero(begins)
        g_row, g_number = row[at], number[at]
        g_count = np.diff(np.append(at, len(row)))
        g_sum = np.add.reduceat(value, at)
        g_low, g_high = g_sum, g_sum
        if self._extremes:
            g_low, g_high = np.minimum.reduceat(value, at), np.maximum.reduceat(value, at)
        if one_per_row(g_row):
            return self._join(g_row, g_number, g_count, g_sum, g_low, g_high)
        g_first = group_starts(g_row)
        ends = np.append(g_first[1:], True)

        head = np.flatnonzero(g_first)
        goes_on = head[self._number[g_row[head]] >= g_number[head]]
        kept = g_row[goes_on]
        g_count[goes_on] += self._count[kept]
        g_sum[goes_on] += self._sum[kept]
        if self._extremes:
            g_low[goes_on] = np.minimum(g_low[goes_on], self._low[kept])
            g_high[goes_on] = np.maximum(g_high[goes_on], self._high[kept])
        g_number[goes_on] = self._number[kept]
        left = head[(self._number[g_row[head]] < g_number[head]) & (self._count[g_row[head]] > 0)]
        before = self._leave(g_row[left], g_number[left])

        done = ~ends
        following = np.append(g_number[1:], 0)
        inside = Buckets(
            g_row[done], g_number[done], following[done], g_count[done],
            g_sum[done] / g_count[done], g_low[done], g_high[done],
        )  # fmt: skip
        tail = g_row[ends]
        self._number[tail], self._count[tail], self._sum[tail] = (
            g_number[ends], g_count[ends], g_sum[ends],
        )  # fmt: skip
        if self._extremes:
            self._low[tail], self._high[tail] = g_low[ends], g_high[ends]
        return _merged(before, inside)

    def state(self) -> State:
        """The buckets under way."""
        kept: State = {
            "step_number": self._number.array, "step_count": self._count, "step_sum": self._sum,
        }  # fmt: skip
        if self._extremes:
            kept |= {"step_low": self._low, "step_high": self._high}
        return kept

    def restore(self, state: State) -> None:
        """Go on from a state."""
        for name, array in self.state().items():
            source = state.get(name)
            if source is not None:
                array[: len(source)] = source[: len(array)]


def _merged(before: Buckets | None, inside: Buckets) -> Buckets | None:
    if before is None:
        return inside if len(inside) else None
    if not len(inside):
        return before
    columns = [
        np.concatenate([getattr(before, n), getattr(inside, n)])
        for n in Buckets.__dataclass_fields__
    ]
    order = np.lexsort((columns[1], columns[0]))
    return Buckets(*(c[order] for c in columns))


class SlidingWindow:
    """Remembers the last ``length`` - 1 buckets of each row and looks back from new ones.

    With ``coarse`` values take half the room and have seven digits.
    """

    _NOTHING: float = np.nan

    def __init__(self, length: int, bucket_ms: int, *, coarse: bool = False) -> None:
        self.length = length
        kept = np.float32 if coarse else np.float64
        self._value: NDArray[Any] = np.empty((0, max(length - 1, 0)), kept)
        self._last = BucketNumbers(bucket_ms)

    def lengthen(self, length: int) -> None:
        """Remember at least so many buckets; before there are any rows."""
        self.length = max(self.length, length)
        self._value = np.empty((0, self.length - 1), self._value.dtype)

    def grow(self, size: int) -> None:
        """Make room for ``size`` rows."""
        self._value = grown(self._value, size, self._NOTHING)
        self._last.grow(size)

    def look_back(self, row: Int32, number: Int64, value: Float64) -> Float64:
        """For each new step the values of the window that ends with it, newest first.

        Shape (buckets, length); NaN where a step has no (valid) value. Entries by row, then number.
        """
        out = np.full((len(row), self.length), np.nan)
        if not len(row):
            return out
        out[:, 0] = value
        first = group_starts(row)
        self._look_into_batch(out, row, number, value)
        if self.length > 1:
            self._look_into_memory(out, row, number)
            self._remember(out, row, number, np.append(first[1:], True))
        return out

    def _look_into_batch(self, out: Float64, row: Int32, number: Int64, value: Float64) -> None:
        n = len(row)
        for back in range(1, min(self.length, n)):
            lag = number[back:] - number[:-back]
            near = (row[back:] == row[:-back]) & (lag < self.length)
            if not near.any():
                break
            at = np.flatnonzero(near)
            out[at + back, lag[at]] = value[at]

    def _look_into_memory(self, out: Float64, row: Int32, number: Int64) -> None:
        lag = number - self._last[row]
        near = np.flatnonzero(lag < self.length)
        held = self._stored(row[near])
        for back in range(self.length - 1):
            place = lag[near] + back
            ok = place < self.length
            if not ok.any():
                break
            out[near[ok], place[ok]] = held[ok, back]

    def _remember(self, out: Float64, row: Int32, number: Int64, last: Bool) -> None:
        self._store(row[last], out[last, : self.length - 1])
        self._last[row[last]] = number[last]

    def _stored(self, row: Int32) -> NDArray[Any]:
        values: NDArray[Any] = self._value[row]
        return values

    def _store(self, row: Int32, values: Float64) -> None:
        self._value[row] = values

    def state(self) -> State:
        """The buckets remembered."""
        return {"window_value": self._value, "window_last": self._last.array}

    def restore(self, state: State) -> None:
        """Go on from a state."""
        for name, array in self.state().items():
            source = state.get(name)
            if source is not None:
                part = tuple(slice(n) for n in np.minimum(source.shape, array.shape))
                array[part] = source[part]


class BitWindow(SlidingWindow):
    """Windows over what is but 1 or 0 (or not known, which counts as 0): a bit for each step."""

    _NOTHING = 0

    def __init__(self, length: int, bucket_ms: int) -> None:
        super().__init__(length, bucket_ms)
        self._value = np.empty((0, self.length // 8 + 1), np.uint8)

    def _stored(self, row: Int32) -> NDArray[Any]:
        return np.unpackbits(self._value[row], axis=1)

    def _store(self, row: Int32, values: Float64) -> None:
        bits = np.zeros((len(row), 8 * self._value.shape[1]), np.bool_)
        bits[:, : values.shape[1]] = values == 1.0
        self._value[row] = np.packbits(bits, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class ClosedWindows:
    """Windows that are complete: the place of each one's last step, its mean, its buckets' count."""

    place: Int64
    mean: Float64
    count: Int64


class TumblingWindow:
    """Means over windows by the clock, ``length`` buckets each, gathered while they are under way.

    What is summed is the distance from the window's first step, so that buckets that are has_rows_of have
    exactly that mean.
    """

    def __init__(self, length: int, bucket_ms: int) -> None:
        self.length = length
        self._window = BucketNumbers(bucket_ms)
        self._count = np.empty(0, np.int32)
        self._first = np.empty(0, np.float64)
        self._sum = np.empty(0, np.float64)

    def grow(self, size: int) -> None:
        """Make room for ``size`` rows."""
        self._window.grow(size)
        self._count = grown(self._count, size, 0)
        self._first, self._sum = grown(self._first, size, 0.0), grown(self._sum, size, 0.0)

    def advance(self, row: Int32, number: Int64, following: Int64, value: Float64) -> ClosedWindows:
        """Take completed buckets in, by row, then number (NaN: does not count); what has ended."""
        window = number // self.length
        begins = group_starts(row)
        head_of_row = begins.copy()
        begins[1:] |= window[1:] != window[:-1]
        head = np.flatnonzero(begins)
        end = np.append(head[1:], len(row))
        owner = row[head]
        goes_on = head_of_row[head] & (self._window[owner] == window[head])
        count = np.where(goes_on, self._count[owner], 0)
        first = np.where(goes_on, self._first[owner], 0.0)
        total = np.where(goes_on, self._sum[owner], 0.0)
        for step in range(int((end - head).max(initial=0))):
            own = np.flatnonzero(head + step < end)
            x = value[head[own] + step]
            own, x = own[~np.isnan(x)], x[~np.isnan(x)]
            first[own] = np.where(count[own] == 0, x, first[own])
            total[own] += x - first[own]
            count[own] += 1
        newest = np.append(head_of_row[head][1:], True)
        at = owner[newest]
        self._window[at], self._count[at] = window[head[newest]], count[newest]
        self._first[at], self._sum[at] = first[newest], total[newest]
        over = following[end - 1] // self.length > window[head]
        mean = first + total / np.maximum(count, 1)
        return ClosedWindows(end[over] - 1, mean[over], count[over].astype(np.int64))

    def state(self) -> State:
        """The windows under way."""
        return {
            "clock_window": self._window.array, "clock_count": self._count,
            "clock_first": self._first, "clock_sum": self._sum,
        }  # fmt: skip

    def restore(self, state: State) -> None:
        """Go on from a state."""
        for name, array in self.state().items():
            source = state.get(name)
            if source is not None:
                array[: len(source)] = source[: len(array)]
