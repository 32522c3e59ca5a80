"""Samples gathered into steps of time, and windows over steps that are complete.

A step is complete once a later sample of its series has come. Means over a window are means of
its steps' means, as the regulations say it: the mean of the one-hour means.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alert_rules.evaluation import State, grown, is_single, places, run_starts
from telemetry.batches import Bool, Float64, Int32, Int64

LOCAL_OFFSET_MS = 7 * 3_600_000
"""Viet Nam is seven hours ahead of UTC all year; days and hours of limits are local."""
_NEVER = np.iinfo(np.int64).min // 4


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Completed steps by slot, then number. ``number`` counts steps in local time.

    ``following`` is the number of the next step of the slot that has samples.
    """

    slot: Int32
    number: Int64
    following: Int64
    count: Int64
    mean: Float64
    low: Float64
    high: Float64

    def __len__(self) -> int:
        return len(self.slot)

    def select(self, which: Bool) -> "Steps":
        """Those where the mask is true."""
        return Steps(*(getattr(self, name)[which] for name in Steps.__dataclass_fields__))


class Stepper:
    """Gathers the samples of each slot's current step; with ``extremes`` also their range."""

    def __init__(self, step_ms: int, *, extremes: bool = False) -> None:
        self.step_ms = step_ms
        self._extremes = extremes
        self._number = np.empty(0, np.int64)
        self._count = np.empty(0, np.int32)
        self._sum = np.empty(0, np.float64)
        self._low = np.empty(0, np.float64)
        self._high = np.empty(0, np.float64)

    def keep_extremes(self) -> None:
        """From now on keep the range of each step too."""
        self._extremes = True

    def grow(self, size: int) -> None:
        """Make room for ``size`` slots."""
        self._number = grown(self._number, size, _NEVER)
        self._count = grown(self._count, size, 0)
        self._sum = grown(self._sum, size, 0.0)
        size = size if self._extremes else 0
        self._low = grown(self._low, size, np.inf)
        self._high = grown(self._high, size, -np.inf)

    def end_ms(self, number: Int64) -> Int64:
        """When steps end, in UTC milliseconds."""
        return (number + 1) * self.step_ms - LOCAL_OFFSET_MS

    def advance(self, slot: Int32, time_ms: Int64, value: Float64) -> Steps | None:
        """Take samples in, by slot, then time; give the steps that they complete (None: none)."""
        if not len(slot):
            return None
        number = (time_ms + LOCAL_OFFSET_MS) // self.step_ms
        if is_single(slot):
            return self._join(slot, number, np.ones(1, np.int64), value, value, value)
        return self._advance_many(slot, number, value)

    def _join(
        self, slot: Int32, number: Int64, count: Int64, total: Float64, low: Float64, high: Float64
    ) -> Steps | None:
        """Take in what each slot, which is there once, has in one step."""
        at = places(slot, len(self._number))
        moved = number > self._number[at]
        done = None
        if moved.any():
            leaving = moved & (self._count[at] > 0)
            done = self._leave(slot[leaving], number[leaving])
            self._begin(slot[moved], number[moved])
        self._sum[at] += total
        self._count[at] += count
        if self._extremes:
            self._low[at] = np.minimum(self._low[at], low)
            self._high[at] = np.maximum(self._high[at], high)
        return done

    def _begin(self, slot: Int32, number: Int64) -> None:
        self._number[slot] = number
        self._count[slot], self._sum[slot] = 0, 0.0
        if self._extremes:
            self._low[slot], self._high[slot] = np.inf, -np.inf

    def _leave(self, slot: Int32, following: Int64) -> Steps | None:
        if not len(slot):
            return None
        count = self._count[slot]
        mean = self._sum[slot] / count
        low, high = (self._low[slot], self._high[slot]) if self._extremes else (mean, mean)
        return Steps(slot, self._number[slot], following, count.astype(np.int64), mean, low, high)

    def _advance_many(self, slot: Int32, number: Int64, value: Float64) -> Steps | None:
        first = run_starts(slot)
        begins = first.copy()
        begins[1:] |= number[1:] != number[:-1]
        at = np.flatnonzero(begins)
        g_slot, g_number = slot[at], number[at]
        g_count = np.diff(np.append(at, len(slot)))
        g_sum = np.add.reduceat(value, at)
        g_low, g_high = g_sum, g_sum
        if self._extremes:
            g_low, g_high = np.minimum.reduceat(value, at), np.maximum.reduceat(value, at)
        if is_single(g_slot):
            return self._join(g_slot, g_number, g_count, g_sum, g_low, g_high)
        g_first = run_starts(g_slot)
        ends = np.append(g_first[1:], True)

        head = np.flatnonzero(g_first)
        goes_on = head[self._number[g_slot[head]] >= g_number[head]]
        kept = g_slot[goes_on]
        g_count[goes_on] += self._count[kept]
        g_sum[goes_on] += self._sum[kept]
        if self._extremes:
            g_low[goes_on] = np.minimum(g_low[goes_on], self._low[kept])
            g_high[goes_on] = np.maximum(g_high[goes_on], self._high[kept])
        g_number[goes_on] = self._number[kept]
        left = head[(self._number[g_slot[head]] < g_number[head]) & (self._count[g_slot[head]] > 0)]
        before = self._leave(g_slot[left], g_number[left])

        done = ~ends
        following = np.append(g_number[1:], 0)
        inside = Steps(
            g_slot[done], g_number[done], following[done], g_count[done],
            g_sum[done] / g_count[done], g_low[done], g_high[done],
        )  # fmt: skip
        tail = g_slot[ends]
        self._number[tail], self._count[tail], self._sum[tail] = (
            g_number[ends], g_count[ends], g_sum[ends],
        )  # fmt: skip
        if self._extremes:
            self._low[tail], self._high[tail] = g_low[ends], g_high[ends]
        return _merged(before, inside)

    def state(self) -> State:
        """The steps under way."""
        kept: State = {
            "step_number": self._number, "step_count": self._count, "step_sum": self._sum,
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


def _merged(before: Steps | None, inside: Steps) -> Steps | None:
    if before is None:
        return inside if len(inside) else None
    if not len(inside):
        return before
    columns = [
        np.concatenate([getattr(before, n), getattr(inside, n)]) for n in Steps.__dataclass_fields__
    ]
    order = np.lexsort((columns[1], columns[0]))
    return Steps(*(c[order] for c in columns))


class Windows:
    """Remembers the last ``length`` - 1 steps of each slot and looks back from new ones.

    With ``coarse`` values take half the room and have seven digits.
    """

    def __init__(self, length: int, *, coarse: bool = False) -> None:
        self.length = length
        kept = np.float32 if coarse else np.float64
        self._value: NDArray[np.floating[Any]] = np.empty((0, max(length - 1, 0)), kept)
        self._last = np.empty(0, np.int64)

    def lengthen(self, length: int) -> None:
        """Remember at least so many steps; before there are any slots."""
        self.length = max(self.length, length)
        self._value = np.empty((0, self.length - 1), self._value.dtype)

    def grow(self, size: int) -> None:
        """Make room for ``size`` slots."""
        self._value = grown(self._value, size, np.nan)
        self._last = grown(self._last, size, _NEVER)

    def look_back(self, slot: Int32, number: Int64, value: Float64) -> Float64:
        """For each new step the values of the window that ends with it, newest first.

        Shape (steps, length); NaN where a step has no (valid) value. Entries by slot, then number.
        """
        out = np.full((len(slot), self.length), np.nan)
        if not len(slot):
            return out
        out[:, 0] = value
        first = run_starts(slot)
        self._look_into_batch(out, slot, number, value)
        if self.length > 1:
            self._look_into_memory(out, slot, number)
            self._remember(out, slot, number, np.append(first[1:], True))
        return out

    def _look_into_batch(self, out: Float64, slot: Int32, number: Int64, value: Float64) -> None:
        n = len(slot)
        for back in range(1, min(self.length, n)):
            lag = number[back:] - number[:-back]
            near = (slot[back:] == slot[:-back]) & (lag < self.length)
            if not near.any():
                break
            at = np.flatnonzero(near)
            out[at + back, lag[at]] = value[at]

    def _look_into_memory(self, out: Float64, slot: Int32, number: Int64) -> None:
        lag = number - self._last[slot]
        near = np.flatnonzero(lag < self.length)
        for back in range(self.length - 1):
            place = lag[near] + back
            ok = place < self.length
            if not ok.any():
                break
            at = near[ok]
            out[at, place[ok]] = self._value[slot[at], back]

    def _remember(self, out: Float64, slot: Int32, number: Int64, last: Bool) -> None:
        self._value[slot[last]] = out[last, : self.length - 1]
        self._last[slot[last]] = number[last]

    def state(self) -> State:
        """The steps remembered."""
        return {"window_value": self._value, "window_last": self._last}

    def restore(self, state: State) -> None:
        """Go on from a state."""
        for name, array in self.state().items():
            source = state.get(name)
            if source is not None:
                part = tuple(slice(n) for n in np.minimum(source.shape, array.shape))
                array[part] = source[part]
