"""State of a detector as numpy arrays that grow with the number of series."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection.detector import State

_SMALLEST = 64
_LARGEST = 1e30

SeriesIndex = NDArray[np.signedinteger[Any]]


class StateMismatchError(ValueError):
    """A saved state does not fit the detector that should restore it."""


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array of ``StateArrays``: dtype, initial value and the shape of a row."""

    dtype: type[np.generic]
    start: float = 0.0
    shape: tuple[int, ...] = ()


class StateArrays:
    """Named arrays with one row for each series."""

    def __init__(self, specs: Mapping[str, ArraySpec]) -> None:
        self._specs = dict(specs)
        self.rows = 0
        self._arrays: State = {name: self._new(spec, 0) for name, spec in specs.items()}

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    @property
    def bytes_per_row(self) -> int:
        """Bytes for each series."""
        return sum(a.dtype.itemsize * int(np.prod(a.shape[1:])) for a in self._arrays.values())

    def grow(self, rows: int) -> None:
        """Make room for at least ``rows`` series; existing rows keep their values."""
        self.rows = max(self.rows, rows)
        for name, old in self._arrays.items():
            if len(old) >= rows:
                continue
            new = self._new(self._specs[name], max(rows, _SMALLEST, 2 * len(old)))
            new[: len(old)] = old
            self._arrays[name] = new

    def save(self) -> State:
        """Copies of the rows in use."""
        return {name: array[: self.rows].copy() for name, array in self._arrays.items()}

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore saved rows. StateMismatchError where names or shapes differ."""
        missing = self._specs.keys() - state.keys()
        if missing:
            raise StateMismatchError(f"the saved state lacks {', '.join(sorted(missing))}")
        rows = {len(state[name]) for name in self._specs}
        if len(rows) > 1:
            raise StateMismatchError("the arrays of the saved state differ in length")
        for name, spec in self._specs.items():
            if state[name].shape[1:] != spec.shape:
                raise StateMismatchError(
                    f"{name} has rows of {state[name].shape[1:]}, not {spec.shape}"
                )
        self.grow(max(rows, default=0))
        for name, spec in self._specs.items():
            array = self._arrays[name]
            array[:] = spec.start
            array[: len(state[name])] = state[name]

    @staticmethod
    def _new(spec: ArraySpec, rows: int) -> NDArray[Any]:
        return np.full((rows, *spec.shape), spec.start, dtype=spec.dtype)


class StateTable:
    """One float32 table (fields, series), for state that a tick reads and writes as a whole."""

    def __init__(self, start: NDArray[np.float32]) -> None:
        self._start = start
        self._table = np.empty((len(start), 0), np.float32)
        self.rows = 0

    @property
    def bytes_per_row(self) -> int:
        """Bytes for each series."""
        return self._start.nbytes

    def __getitem__(self, field: int) -> NDArray[np.float32]:
        values: NDArray[np.float32] = self._table[field]
        return values

    def grow(self, rows: int) -> None:
        """Make room for at least ``rows`` series; existing series keep their values."""
        self.rows = max(self.rows, rows)
        old = self._table.shape[1]
        if old < rows:
            size = max(rows, _SMALLEST, old + old // 2)
            table = np.repeat(self._start[:, None], size, axis=1)
            table[:, :old] = self._table
            self._table = table

    def take(self, series: SeriesIndex) -> NDArray[np.float32]:
        """A copy of the state of some series, (fields, series)."""
        adjacent = _adjacent(series)
        if adjacent is not None:
            return self._table[:, adjacent].copy()
        return self._table.take(series, axis=1)

    def put(self, series: SeriesIndex, values: NDArray[np.float32]) -> None:
        """Write back what ``take`` returned."""
        adjacent = _adjacent(series)
        self._table[:, series if adjacent is None else adjacent] = values

    def save(self) -> State:
        """A copy as an array ``table`` with one row for each series."""
        return {"table": self._table[:, : self.rows].T.copy()}

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what ``save`` returned. StateMismatchError where the table is missing or differs."""
        if "table" not in state:
            raise StateMismatchError("the saved state lacks table")
        saved = state["table"]
        if saved.ndim != 2 or saved.shape[1] != len(self._start):
            raise StateMismatchError(
                f"table has rows of {saved.shape[1:]}, not {self._start.shape}"
            )
        self.grow(len(saved))
        self._table[:] = self._start[:, None]
        self._table[:, : len(saved)] = saved.T


def clip_to_float32(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values limited to ±1e30, so that their sums and differences fit in float32."""
    clipped: NDArray[np.float64] = np.minimum(np.maximum(value, -_LARGEST), _LARGEST)
    return clipped


def _adjacent(series: SeriesIndex) -> slice | None:
    """The slice that equals ``series``; None where the indexes are not consecutive."""
    if not len(series):
        return slice(0, 0)
    first, n = int(series[0]), len(series)
    if int(series[-1]) - first != n - 1 or not (series[1:] > series[:-1]).all():
        return None
    return slice(first, first + n)
