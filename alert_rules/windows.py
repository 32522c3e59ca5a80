"""Windows over completed buckets: sliding windows, windows of bits, and tumbling windows.

The mean of a window is the mean of its buckets' means. The regulations define it so: a 24-hour mean
is the mean of the one-hour means.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alert_rules.buckets import BucketNumbers
from alert_rules.evaluator import State, copy_state, group_starts, grown
from telemetry.batches import Float64, Int32, Int64


class SlidingWindow:
    """Stores the last ``length`` - 1 values of each row and returns the window of each new bucket.

    With ``single_precision`` the values are stored as float32.
    """

    _NO_VALUE: float = np.nan

    def __init__(self, length: int, bucket_ms: int, *, single_precision: bool = False) -> None:
        self.length = length
        kind = np.float32 if single_precision else np.float64
        self._value: NDArray[Any] = np.empty((0, max(length - 1, 0)), kind)
        self._last = BucketNumbers(bucket_ms)

    def lengthen(self, length: int) -> None:
        """Make the window at least ``length`` buckets long; only before it has rows."""
        self.length = max(self.length, length)
        self._value = np.empty((0, self.length - 1), self._value.dtype)

    def grow(self, size: int) -> None:
        """Extend the state to ``size`` rows."""
        self._value = grown(self._value, size, self._NO_VALUE)
        self._last.grow(size)

    def advance(self, row: Int32, number: Int64, value: Float64) -> Float64:
        """Add one value for each new bucket, sorted by row, then number.

        Returns the windows that end with these buckets: shape (buckets, length), newest value
        first, NaN for a bucket without a value.
        """
        out = np.full((len(row), self.length), np.nan)
        if not len(row):
            return out
        out[:, 0] = value
        first = group_starts(row)
        self._fill_from_batch(out, row, number, value)
        if self.length > 1:
            self._fill_from_state(out, row, number)
            last = np.append(first[1:], True)
            self._store(row[last], out[last, : self.length - 1])
            self._last[row[last]] = number[last]
        return out

    def _fill_from_batch(self, out: Float64, row: Int32, number: Int64, value: Float64) -> None:
        n = len(row)
        for back in range(1, min(self.length, n)):
            lag = number[back:] - number[:-back]
            near = (row[back:] == row[:-back]) & (lag < self.length)
            if not near.any():
                break
            at = np.flatnonzero(near)
            out[at + back, lag[at]] = value[at]

    def _fill_from_state(self, out: Float64, row: Int32, number: Int64) -> None:
        lag = number - self._last[row]
        near = np.flatnonzero(lag < self.length)
        stored = self._stored(row[near])
        for back in range(self.length - 1):
            position = lag[near] + back
            inside = position < self.length
            if not inside.any():
                break
            out[near[inside], position[inside]] = stored[inside, back]

    def _stored(self, row: Int32) -> NDArray[Any]:
        values: NDArray[Any] = self._value[row]
        return values

    def _store(self, row: Int32, values: Float64) -> None:
        self._value[row] = values

    def state(self) -> State:
        """The stored values."""
        return {"window_value": self._value, "window_last": self._last.array}

    def restore(self, state: State) -> None:
        """Continue from a saved state; its window may be longer or shorter."""
        copy_state(state, self.state())


class BitWindow(SlidingWindow):
    """A sliding window of ones and zeros, stored as bits. A bucket without a value counts as 0."""

    _NO_VALUE = 0

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
    """Tumbling windows that have ended.

    ``position`` is where the last bucket of each window stands among the buckets given to
    ``advance``; ``count`` is the number of buckets with a value.
    """

    position: Int64
    mean: Float64
    count: Int64


class TumblingWindow:
    """Means over consecutive windows of ``length`` buckets, by local clock.

    The sum is kept as the sum of differences from the window's first value, so that buckets with
    equal values have exactly that value as their mean.
    """

    def __init__(self, length: int, bucket_ms: int) -> None:
        self.length = length
        self._window = BucketNumbers(bucket_ms)
        self._count = np.empty(0, np.int32)
        self._first = np.empty(0, np.float64)
        self._sum = np.empty(0, np.float64)

    def grow(self, size: int) -> None:
        """Extend the state to ``size`` rows."""
        self._window.grow(size)
        self._count = grown(self._count, size, 0)
        self._first, self._sum = grown(self._first, size, 0.0), grown(self._sum, size, 0.0)

    def advance(self, row: Int32, number: Int64, following: Int64, value: Float64) -> ClosedWindows:
        """Add completed buckets, sorted by row, then number (NaN: no value)."""
        window = number // self.length
        begins = group_starts(row)
        head_of_row = begins.copy()
        begins[1:] |= window[1:] != window[:-1]
        head = np.flatnonzero(begins)
        end = np.append(head[1:], len(row))
        owner = row[head]
        continues = head_of_row[head] & (self._window[owner] == window[head])
        count = np.where(continues, self._count[owner], 0)
        first = np.where(continues, self._first[owner], 0.0)
        total = np.where(continues, self._sum[owner], 0.0)
        for offset in range(int((end - head).max(initial=0))):
            own = np.flatnonzero(head + offset < end)
            x = value[head[own] + offset]
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
        """The current windows."""
        return {
            "clock_window": self._window.array, "clock_count": self._count,
            "clock_first": self._first, "clock_sum": self._sum,
        }  # fmt: skip

    def restore(self, state: State) -> None:
        """Continue from a saved state."""
        copy_state(state, self.state())
