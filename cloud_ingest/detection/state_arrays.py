"""The memory of a detector: named arrays with one row a series, which grow together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection.detector import State

_SMALLEST = 64
_LARGEST = 1e30


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One named array: what a row holds, and what it starts with."""

    dtype: type[np.generic]
    start: float = 0.0
    shape: tuple[int, ...] = ()


class StateMismatchError(ValueError):
    """A saved state does not fit the detector that should take it up."""


class StateArrays:
    """Arrays by name, each with a row for every registered series."""

    def __init__(self, columns: Mapping[str, ArraySpec]) -> None:
        self._columns = dict(columns)
        self.rows = 0
        self._arrays: State = {name: self._new(column, 0) for name, column in columns.items()}

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    @property
    def bytes_per_row(self) -> int:
        """What one series costs."""
        return sum(a.dtype.itemsize * int(np.prod(a.shape[1:])) for a in self._arrays.values())

    def grow(self, rows: int) -> None:
        """Have at least this many rows; those that are there keep what they hold."""
        self.rows = max(self.rows, rows)
        for name, old in self._arrays.items():
            if len(old) >= rows:
                continue
            new = self._new(self._columns[name], max(rows, _SMALLEST, 2 * len(old)))
            new[: len(old)] = old
            self._arrays[name] = new

    def save(self) -> State:
        """Copies of the rows in use."""
        return {name: array[: self.rows].copy() for name, array in self._arrays.items()}

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over saved rows. StateMismatchError where names or shapes differ."""
        missing = self._columns.keys() - state.keys()
        if missing:
            raise StateMismatchError(f"the saved state lacks {', '.join(sorted(missing))}")
        rows = {len(state[name]) for name in self._columns}
        if len(rows) > 1:
            raise StateMismatchError("the arrays of the saved state differ in length")
        for name, column in self._columns.items():
            if state[name].shape[1:] != column.shape:
                raise StateMismatchError(
                    f"{name} has rows of {state[name].shape[1:]}, not {column.shape}"
                )
        self.grow(max(rows, default=0))
        for name in self._columns:
            array = self._arrays[name]
            array[:] = self._columns[name].start
            array[: len(state[name])] = state[name]

    @staticmethod
    def _new(column: ArraySpec, rows: int) -> NDArray[Any]:
        return np.full((rows, *column.shape), column.start, dtype=column.dtype)


class SparseState:
    """A time in milliseconds, or another number, of the few series that have one now."""

    def __init__(self) -> None:
        self._series = np.empty(0, np.int32)
        self._number = np.empty(0)  # milliseconds are exact in float64 until the year 287,000

    def values_of(self, series: NDArray[np.signedinteger[Any]]) -> NDArray[np.float64]:
        """The numbers of some series, NaN where there is none."""
        found = np.full(len(series), np.nan)
        if len(self._series):
            at = np.minimum(np.searchsorted(self._series, series), len(self._series) - 1)
            known = self._series[at] == series
            found[known] = self._number[at[known]]
        return found

    def times_of(
        self, series: NDArray[np.signedinteger[Any]], usual: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The times of some series, the usual one where there is none."""
        found = self.values_of(series)
        return np.where(np.isnan(found), usual, found).astype(np.int64)

    def assign(
        self,
        series: NDArray[np.signedinteger[Any]],
        number: NDArray[Any],
        which: NDArray[np.bool_],
    ) -> None:
        """Remember the numbers of the marked series (each once), forget those of the others given."""
        if not len(self._series) and not which.any():
            return
        others = ~np.isin(self._series, series)
        kept = np.concatenate([self._series[others], series[which]]).astype(np.int32)
        order = np.argsort(kept)
        self._series = kept[order]
        self._number = np.concatenate([self._number[others], number[which]])[order]

    def save(self, name: str) -> State:
        """What is remembered, as two arrays: whose, and what."""
        return {f"{name}_of": self._series, name: self._number}

    def load(self, state: Mapping[str, NDArray[Any]], name: str) -> None:
        """Take over what was saved under a name. StateMismatchError where there is nothing."""
        if name not in state or f"{name}_of" not in state:
            raise StateMismatchError(f"the saved state lacks {name}")
        self._series, self._number = state[f"{name}_of"], state[name]


class StateTable:
    """StateTable of all series in one table, a line for each field: what a round takes as a whole."""

    def __init__(self, start: NDArray[np.float32]) -> None:
        self._start = start
        self._table = np.empty((len(start), 0), np.float32)
        self.rows = 0

    @property
    def bytes_per_row(self) -> int:
        """What one series costs."""
        return self._start.nbytes

    def __getitem__(self, field: int) -> NDArray[np.float32]:
        line: NDArray[np.float32] = self._table[field]
        return line

    def grow(self, rows: int) -> None:
        """Have at least this many series; those that are there keep what they hold."""
        self.rows = max(self.rows, rows)
        old = self._table.shape[1]
        if old < rows:
            size = max(rows, _SMALLEST, old + old // 2)
            table = np.repeat(self._start[:, None], size, axis=1)
            table[:, :old] = self._table
            self._table = table

    def take(self, series: NDArray[np.signedinteger[Any]]) -> NDArray[np.float32]:
        """The numbers of some series, (fields, series), to work on and to ``put`` back."""
        adjoining = _adjoining(series)
        if adjoining is not None:
            return self._table[:, adjoining].copy()
        return self._table.take(series, axis=1)

    def put(self, series: NDArray[np.signedinteger[Any]], numbers: NDArray[np.float32]) -> None:
        """Take back what ``take`` gave."""
        adjoining = _adjoining(series)
        self._table[:, series if adjoining is None else adjoining] = numbers

    def save(self) -> NDArray[np.float32]:
        """A copy, with a row for each series."""
        return self._table[:, : self.rows].T.copy()

    def load(self, saved: NDArray[Any]) -> None:
        """Take over saved rows. StateMismatchError where their length differs."""
        if saved.ndim != 2 or saved.shape[1] != len(self._start):
            raise StateMismatchError(f"numbers has rows of {saved.shape[1:]}")
        self.grow(len(saved))
        self._table[:] = self._start[:, None]
        self._table[:, : len(saved)] = saved.T


def _adjoining(series: NDArray[np.signedinteger[Any]]) -> slice | None:
    """The slice that these series are, in order, if they are one."""
    if not len(series):
        return slice(0, 0)
    first, n = int(series[0]), len(series)
    if int(series[-1]) - first != n - 1 or not (series[1:] > series[:-1]).all():
        return None
    return slice(first, first + n)


def saved_table(state: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """The saved rows of ``StateTable``. StateMismatchError where there are none."""
    if "numbers" not in state:
        raise StateMismatchError("the saved state lacks numbers")
    return state["numbers"]


def clip_to_float32(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values as ``StateTable`` can hold them: beyond 1e30 there is only 1e30."""
    reached: NDArray[np.float64] = np.minimum(np.maximum(value, -_LARGEST), _LARGEST)
    return reached
