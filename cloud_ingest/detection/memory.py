"""The memory of a detector: named arrays with one row a series, which grow together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection.protocol import State

_SMALLEST = 64


@dataclass(frozen=True, slots=True)
class Column:
    """One named array: what a row holds, and what it starts with."""

    dtype: type[np.generic]
    start: float = 0.0
    shape: tuple[int, ...] = ()


class StateMismatchError(ValueError):
    """A saved state does not fit the detector that should take it up."""


class Memory:
    """Arrays by name, each with a row for every registered series."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = dict(columns)
        self.rows = 0
        self._arrays: State = {name: self._new(column, 0) for name, column in columns.items()}

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    @property
    def bytes_a_row(self) -> int:
        """What one series costs."""
        return sum(a.dtype.itemsize * int(np.prod(a.shape[1:])) for a in self._arrays.values())

    def make_room(self, rows: int) -> None:
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
        self.make_room(max(rows, default=0))
        for name in self._columns:
            array = self._arrays[name]
            array[:] = self._columns[name].start
            array[: len(state[name])] = state[name]

    @staticmethod
    def _new(column: Column, rows: int) -> NDArray[Any]:
        return np.full((rows, *column.shape), column.start, dtype=column.dtype)
