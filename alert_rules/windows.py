"""Samples gathered into steps of time, and windows over steps that are complete.

A step is complete once a later sample of its series has come. Means over a window are means of
its steps' means, as the regulations say it: the mean of the one-hour means.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alert_rules.evaluator import State, grown, is_single, places, run_starts
from telemetry.batches import Bool, Float64, Int32, Int64
from telemetry.local_time import from_local_ms, to_local_ms

_INT32_STEP_MS = 10_000  # numbers of steps as long as this fit into 32 bits until 2650


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

    def select(self, which: Bool | Int64) -> "Steps":
        """Those where the mask is true, or at these places."""
        return Steps(*(getattr(self, name)[which] for name in Steps.__dataclass_fields__))


class StepNumbers:
    """One step's number for each slot, long before all others where there is none yet."""

    def __init__(self, step_ms: int) -> None:
        kind: type[np.signedinteger[Any]] = np.int32 if step_ms >= _INT32_STEP_MS else np.int64
        self.array: NDArray[np.signedinteger[Any]] = np.empty(0, kind)

    def grow(self, size: int) -> None:
        """Make room for ``size`` slots."""
        self.array = grown(self.array, size, int(np.iinfo(self.array.dtype).min) // 4)

    def __getitem__(self, slot: Int32 | slice) -> Int64:
        return self.array[slot].astype(np.int64)

    def __setitem__(self, slot: Int32 | slice, number: Int64) -> None:
        self.array[slot] = number


class Stepper:
    """Gathers the samples of each slot's current step; on request also their range.

    With ``coarse`` the range takes half the room and has seven digits.
    """

    def __init__(self, step_ms: int, *, coarse: bool = False) -> None:
        self.step_ms = step_ms
        self._extremes = False
        self._number = StepNumbers(step_ms)
        self._count = np.empty(0, np.int32)
        self._sum = np.empty(0, np.float64)
        kept = np.float32 if coarse else np.float64
        self._low: NDArray[np.floating[Any]] = np.empty(0, kept)
        self._high: NDArray[np.floating[Any]] = np.empty(0, kept)

    def keep_extremes(self) -> None:
        """From now on keep the range of each step too."""
        self._extremes = True

    def grow(self, size: int) -> None:
        """Make room for ``size`` slots."""
        self._number.grow(size)
        self._count = grown(self._count, size, 0)
        self._sum = grown(self._sum, size, 0.0)
        size = size if self._extremes else 0
        self._low = grown(self._low, size, np.inf)
        self._high = grown(self._high, size, -np.inf)

    def end_ms(self, number: Int64) -> Int64:
        """When steps end, in UTC milliseconds."""
        return from_local_ms((number + 1) * self.step_ms)

    def advance(self, slot: Int32, time_ms: Int64, value: Float64) -> Steps | None:
        """Take samples in, by slot, then time; give the steps that they complete (None: none)."""
        if not len(slot):
            return None
        number = to_local_ms(time_ms) // self.step_ms
        if is_single(slot):
            return self._join(slot, number, np.ones(1, np.int64), value, value, value)
        return self._advance_many(slot, number, value)

    def _join(
        self, slot: Int32, number: Int64, count: Int64, total: Float64, low: Float64, high: Float64
    ) -> Steps | None:
        """Take in what each slot, which is there once, has in one step."""
        at = places(slot, len(self._count))
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
        low, high = mean, mean
        if self._extremes:
            low = self._low[slot].astype(np.float64)
            high = self._high[slot].astype(np.float64)
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

    _NOTHING: float = np.nan

    def __init__(self, length: int, step_ms: int, *, coarse: bool = False) -> None:
        self.length = length
        kept = np.float32 if coarse else np.float64
        self._value: NDArray[Any] = np.empty((0, max(length - 1, 0)), kept)
        self._last = StepNumbers(step_ms)

    def lengthen(self, length: int) -> None:
        """Remember at least so many steps; before there are any slots."""
        self.length = max(self.length, length)
        self._value = np.empty((0, self.length - 1), self._value.dtype)

    def grow(self, size: int) -> None:
        """Make room for ``size`` slots."""
        self._value = grown(self._value, size, self._NOTHING)
        self._last.grow(size)

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
        held = self._held(slot[near])
        for back in range(self.length - 1):
            place = lag[near] + back
            ok = place < self.length
            if not ok.any():
                break
            out[near[ok], place[ok]] = held[ok, back]

    def _remember(self, out: Float64, slot: Int32, number: Int64, last: Bool) -> None:
        self._hold(slot[last], out[last, : self.length - 1])
        self._last[slot[last]] = number[last]

    def _held(self, slot: Int32) -> NDArray[Any]:
        rows: NDArray[Any] = self._value[slot]
        return rows

    def _hold(self, slot: Int32, rows: Float64) -> None:
        self._value[slot] = rows

    def state(self) -> State:
        """The steps remembered."""
        return {"window_value": self._value, "window_last": self._last.array}

    def restore(self, state: State) -> None:
        """Go on from a state."""
        for name, array in self.state().items():
            source = state.get(name)
            if source is not None:
                part = tuple(slice(n) for n in np.minimum(source.shape, array.shape))
                array[part] = source[part]


class Marks(Windows):
    """Windows over what is but 1 or 0 (or not known, which counts as 0): a bit for each step."""

    _NOTHING = 0

    def __init__(self, length: int, step_ms: int) -> None:
        super().__init__(length, step_ms)
        self._value = np.empty((0, self.length // 8 + 1), np.uint8)

    def _held(self, slot: Int32) -> NDArray[Any]:
        return np.unpackbits(self._value[slot], axis=1)

    def _hold(self, slot: Int32, rows: Float64) -> None:
        bits = np.zeros((len(slot), 8 * self._value.shape[1]), np.bool_)
        bits[:, : rows.shape[1]] = rows == 1.0
        self._value[slot] = np.packbits(bits, axis=1)

    def from_windows(self, value: Float64, last: Int64) -> State:
        """What a state would be whose steps are in windows; ``value`` is 1 or 0."""
        rows = value[:, : self.length - 1]
        marks = Marks(self.length, 0)
        marks.grow(len(value))
        slots = np.arange(len(value), dtype=np.int32)
        marks._hold(slots, rows)
        marks._last[slots] = last
        return marks.state()


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """Windows that are complete: the place of each one's last step, its mean, its steps' count."""

    place: Int64
    mean: Float64
    count: Int64


class ClockWindows:
    """Means over windows by the clock, ``length`` steps each, gathered while they are under way.

    What is summed is the distance from the window's first step, so that steps that are alike have
    exactly that mean.
    """

    def __init__(self, length: int, step_ms: int) -> None:
        self.length = length
        self._window = StepNumbers(step_ms)
        self._count = np.empty(0, np.int32)
        self._first = np.empty(0, np.float64)
        self._sum = np.empty(0, np.float64)

    def grow(self, size: int) -> None:
        """Make room for ``size`` slots."""
        self._window.grow(size)
        self._count = grown(self._count, size, 0)
        self._first, self._sum = grown(self._first, size, 0.0), grown(self._sum, size, 0.0)

    def advance(self, slot: Int32, number: Int64, following: Int64, value: Float64) -> Ended:
        """Take completed steps in, by slot, then number (NaN: does not count); what has ended."""
        window = number // self.length
        begins = run_starts(slot)
        head_of_slot = begins.copy()
        begins[1:] |= window[1:] != window[:-1]
        head = np.flatnonzero(begins)
        end = np.append(head[1:], len(slot))
        owner = slot[head]
        goes_on = head_of_slot[head] & (self._window[owner] == window[head])
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
        newest = np.append(head_of_slot[head][1:], True)
        at = owner[newest]
        self._window[at], self._count[at] = window[head[newest]], count[newest]
        self._first[at], self._sum[at] = first[newest], total[newest]
        over = following[end - 1] // self.length > window[head]
        mean = first + total / np.maximum(count, 1)
        return Ended(end[over] - 1, mean[over], count[over].astype(np.int64))

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

    def from_windows(self, value: Float64, last: Int64) -> State:
        """What a state would be whose last steps (newest first, up to ``last``) are in windows."""
        number = last[:, None] - np.arange(value.shape[1])
        window = last // self.length
        counts = ~np.isnan(value) & (number // self.length == window[:, None])
        first = np.where(counts, value, 0.0)[np.arange(len(value)), counts.argmax(axis=1)]
        total = np.where(counts, value - first[:, None], 0.0).sum(axis=1)
        return {
            "clock_window": window, "clock_count": counts.sum(axis=1), "clock_first": first,
            "clock_sum": total,
        }  # fmt: skip
