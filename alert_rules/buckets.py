"""Buckets: samples aggregated over spans of time of equal length, by local clock.

A bucket is complete once a sample of its series after its end has arrived.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alert_rules.evaluator import State, as_index, copy_state, group_starts, grown, one_per_row
from telemetry.batches import Bool, Float64, Int32, Int64
from telemetry.time.local_time import from_local_ms, to_local_ms

_INT32_BUCKET_MS = 10_000  # numbers of buckets at least this long fit into 32 bits until 2650


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Completed buckets, sorted by row, then number.

    ``number`` counts buckets of this length since 1970 in local time. ``following`` is the number
    of the row's next bucket that has samples. ``low`` and ``high`` equal ``mean`` unless the
    aggregator keeps extremes.
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
        """The buckets where a mask is true, or at given positions."""
        return Buckets(*(getattr(self, f.name)[which] for f in fields(self)))


class BucketNumbers:
    """One bucket number for each row; far in the past where a row has none yet."""

    def __init__(self, bucket_ms: int) -> None:
        kind: type[np.signedinteger[Any]] = np.int32 if bucket_ms >= _INT32_BUCKET_MS else np.int64
        self.array: NDArray[np.signedinteger[Any]] = np.empty(0, kind)

    def grow(self, size: int) -> None:
        """Extend to ``size`` rows."""
        self.array = grown(self.array, size, int(np.iinfo(self.array.dtype).min) // 4)

    def __getitem__(self, row: Int32 | slice) -> Int64:
        return self.array[row].astype(np.int64)

    def __setitem__(self, row: Int32 | slice, number: Int64) -> None:
        self.array[row] = number


class BucketAggregator:
    """Aggregates the samples of each row's current bucket.

    With ``single_precision`` the extremes are stored as float32.
    """

    def __init__(self, bucket_ms: int, *, single_precision: bool = False) -> None:
        self.bucket_ms = bucket_ms
        self._extremes = False
        self._number = BucketNumbers(bucket_ms)
        self._count = np.empty(0, np.int32)
        self._sum = np.empty(0, np.float64)
        kind = np.float32 if single_precision else np.float64
        self._low: NDArray[np.floating[Any]] = np.empty(0, kind)
        self._high: NDArray[np.floating[Any]] = np.empty(0, kind)

    def keep_extremes(self) -> None:
        """Keep the lowest and highest value of each bucket too, from now on."""
        self._extremes = True

    def grow(self, size: int) -> None:
        """Extend the state to ``size`` rows."""
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
        """Add samples, sorted by row, then time; returns the buckets that they complete, if any."""
        if not len(row):
            return None
        number = to_local_ms(time_ms) // self.bucket_ms
        if one_per_row(row):
            return self._add(row, number, np.ones(1, np.int64), value, value, value)
        return self._advance_many(row, number, value)

    def _add(
        self, row: Int32, number: Int64, count: Int64, total: Float64, low: Float64, high: Float64
    ) -> Buckets | None:
        """Add what each row, which comes once, has in one bucket."""
        at = as_index(row, len(self._count))
        moved = number > self._number[at]
        completed = None
        if moved.any():
            leaving = moved & (self._count[at] > 0)
            completed = self._current(row[leaving], number[leaving])
            self._begin(row[moved], number[moved])
        self._sum[at] += total
        self._count[at] += count
        if self._extremes:
            self._low[at] = np.minimum(self._low[at], low)
            self._high[at] = np.maximum(self._high[at], high)
        return completed

    def _begin(self, row: Int32, number: Int64) -> None:
        self._number[row] = number
        self._count[row], self._sum[row] = 0, 0.0
        if self._extremes:
            self._low[row], self._high[row] = np.inf, -np.inf

    def _current(self, row: Int32, following: Int64) -> Buckets | None:
        """The current buckets of rows, which are complete now."""
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
        # g_…: one entry for each group of samples in the same row and bucket
        g_row, g_number = row[at], number[at]
        g_count = np.diff(np.append(at, len(row)))
        g_sum = np.add.reduceat(value, at)
        g_low, g_high = g_sum, g_sum
        if self._extremes:
            g_low, g_high = np.minimum.reduceat(value, at), np.maximum.reduceat(value, at)
        if one_per_row(g_row):
            return self._add(g_row, g_number, g_count, g_sum, g_low, g_high)
        g_first = group_starts(g_row)
        ends = np.append(g_first[1:], True)

        head = np.flatnonzero(g_first)
        continues = head[self._number[g_row[head]] >= g_number[head]]
        kept = g_row[continues]
        g_count[continues] += self._count[kept]
        g_sum[continues] += self._sum[kept]
        if self._extremes:
            g_low[continues] = np.minimum(g_low[continues], self._low[kept])
            g_high[continues] = np.maximum(g_high[continues], self._high[kept])
        g_number[continues] = self._number[kept]
        left = head[(self._number[g_row[head]] < g_number[head]) & (self._count[g_row[head]] > 0)]
        before = self._current(g_row[left], g_number[left])

        completed = ~ends
        following = np.append(g_number[1:], 0)
        inside = Buckets(
            g_row[completed], g_number[completed], following[completed], g_count[completed],
            g_sum[completed] / g_count[completed], g_low[completed], g_high[completed],
        )  # fmt: skip
        tail = g_row[ends]
        self._number[tail], self._count[tail], self._sum[tail] = (
            g_number[ends], g_count[ends], g_sum[ends],
        )  # fmt: skip
        if self._extremes:
            self._low[tail], self._high[tail] = g_low[ends], g_high[ends]
        return _merged(before, inside)

    def state(self) -> State:
        """The current buckets."""
        state: State = {
            "step_number": self._number.array, "step_count": self._count, "step_sum": self._sum,
        }  # fmt: skip
        if self._extremes:
            state |= {"step_low": self._low, "step_high": self._high}
        return state

    def restore(self, state: State) -> None:
        """Continue from a saved state."""
        copy_state(state, self.state())


def _merged(before: Buckets | None, inside: Buckets) -> Buckets | None:
    """Both together, sorted by row, then number."""
    if before is None:
        return inside if len(inside) else None
    if not len(inside):
        return before
    columns = [
        np.concatenate([getattr(before, f.name), getattr(inside, f.name)]) for f in fields(inside)
    ]
    order = np.lexsort((columns[1], columns[0]))
    return Buckets(*(c[order] for c in columns))
