"""The interface of an evaluator: samples in, verdicts out. It uses neither a clock nor files."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from alert_rules.rule import Rule, Selector
from telemetry.batches import Bool, Float64, Int32, Int64, SampleBatch, UInt8
from telemetry.series import Series

State: TypeAlias = dict[str, NDArray[np.generic]]
"""The state of an evaluator: named arrays, one row for each series."""

DEFAULT_GAP_MS = 60_000
GAP_INTERVALS = 3

RuleT = TypeVar("RuleT", bound=Rule)
ScalarT = TypeVar("ScalarT", bound=np.generic)


class AnomalyScores(Protocol):
    """What evaluators read of an anomaly detector's scores; one entry for each sample."""

    @property
    def score(self) -> Float64:
        """Decimal logarithm of the return period in hours."""
        ...

    @property
    def expected(self) -> Float64:
        """The expected value, in the series' unit."""
        ...

    @property
    def reason(self) -> UInt8:
        """The detector's reason code."""
        ...


@dataclass(frozen=True, eq=False)
class SortedSamples:
    """Usable samples, sorted by series, then time, without duplicates.

    ``scores`` has an entry for each sample if there is a detector. ``selections`` caches what
    ``SeriesIndex.select`` returned, for rules that share an index.
    """

    series: Int32
    time_ms: Int64
    value: Float64
    scores: AnomalyScores | None = None
    selections: "dict[SeriesIndex, SelectedSamples]" = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.series)

    @classmethod
    def of(cls, batch: SampleBatch) -> "SortedSamples":
        """The samples of ``batch``, sorted; the newest one for each (series, time)."""
        ordered = batch.without_duplicates()
        return cls(ordered.series, ordered.time_ms, ordered.value)

    @cached_property
    def heads(self) -> Int32:
        """The index of each series that has samples, once."""
        heads: Int32 = self.series[self._begins]
        return heads

    @cached_property
    def lengths(self) -> Int64:
        """The number of samples of each of ``heads``."""
        return np.diff(np.append(self._begins, len(self.series)))

    @cached_property
    def _begins(self) -> Int64:
        return np.flatnonzero(group_starts(self.series))


@dataclass(frozen=True, slots=True, eq=False)
class SelectedSamples:
    """The samples of the series in an index, by row, then time.

    ``mask`` marks them among all samples; None if all samples are selected.
    """

    row: Int32
    time_ms: Int64
    value: Float64
    mask: Bool | None

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """Whether a condition is true, at moments sorted by row, then time.

    ``level`` is 0 where it is false, 1 where only the first threshold is passed, 2 where the second
    is passed too, and so on. Nothing is known about a moment without a verdict.
    """

    row: Int32
    time_ms: Int64
    level: NDArray[np.int8]
    value: Float64

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def empty(cls) -> "Verdicts":
        """No verdicts."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int8), np.empty(0))

    def select(self, mask: Bool) -> "Verdicts":
        """The verdicts where ``mask`` is true."""
        return Verdicts(self.row[mask], self.time_ms[mask], self.level[mask], self.value[mask])


class SeriesIndex:
    """The series that a rule watches, each with its row in the rule's state arrays."""

    def __init__(self) -> None:
        self.series: list[Series] = []
        self._row_of = np.empty(0, np.int32)
        self.is_complete = False
        """True if every registered series is in the index, and its row is its series index."""

    def __len__(self) -> int:
        return len(self.series)

    def bind(self, series: Sequence[Series], watches: Callable[[Series], bool]) -> None:
        """Give a row to each watched series that has none; update the metadata of the others."""
        top = max((s.index for s in series), default=-1) + 1
        self._row_of = grown(self._row_of, top, -1)
        for one in series:
            row = int(self._row_of[one.index])
            if row >= 0:
                self.series[row] = one
            elif watches(one):
                self._row_of[one.index] = len(self.series)
                self.series.append(one)
        self.is_complete = len(self.series) == len(self._row_of) and bool(
            (self._row_of == np.arange(len(self._row_of))).all()
        )

    def row_of(self, series_index: int) -> int:
        """The row of a series, -1 if it has none."""
        return int(self._row_of[series_index]) if series_index < len(self._row_of) else -1

    def rows_of(self, series_index: Int32) -> Int32:
        """The rows of registered series, -1 where a series has none."""
        rows: Int32 = self._row_of[series_index]
        return rows

    def series_of(self, row: Int32) -> Int32:
        """The series indexes of rows."""
        if self.is_complete:
            return row
        return np.fromiter((self.series[i].index for i in row.tolist()), np.int32, len(row))

    def has_rows_of(self, other: "SeriesIndex") -> bool:
        """True if both are the same index, or both cover every registered series."""
        return self is other or (self.is_complete and other.is_complete)

    def intervals_ms(self, row: Int32) -> Int64:
        """The expected time between samples, for each of ``row``."""
        return np.fromiter((self.series[i].interval_ms for i in row.tolist()), np.int64, len(row))

    @property
    def interval_ms(self) -> Int64:
        """The expected time between samples, for all rows."""
        return np.fromiter((s.interval_ms for s in self.series), np.int64, len(self.series))

    def select(self, samples: SortedSamples) -> SelectedSamples:
        """The samples of the series in this index."""
        found = samples.selections.get(self)
        if found is None:
            row, mask = self._select_rows(samples)
            time_ms, value = samples.time_ms, samples.value
            if mask is not None:
                time_ms, value = time_ms[mask], value[mask]
            found = samples.selections[self] = SelectedSamples(row, time_ms, value, mask)
        return found

    def _select_rows(self, samples: SortedSamples) -> tuple[Int32, Bool | None]:
        if self.is_complete:
            return samples.series, None
        row, length = self._row_of[samples.heads], samples.lengths
        known = row >= 0
        if not known.any():
            return np.empty(0, np.int32), np.zeros(len(samples), np.bool_)
        if not known.all():
            return np.repeat(row[known], length[known]), np.repeat(known, length)
        if (row == samples.heads).all():
            return samples.series, None
        return np.repeat(row, length), None

    def gap_ms(self, given_ms: int | None, cadence_ms: int = 0) -> Int64:
        """For each row, the longest pause that does not count as missing data.

        ``given_ms`` is what the rule says. Otherwise it follows from the series' interval and from
        ``cadence_ms``, the time between verdicts.
        """
        if given_ms is not None:
            return np.full(len(self), given_ms, np.int64)
        usual = np.maximum(self.interval_ms * GAP_INTERVALS, DEFAULT_GAP_MS)
        return np.maximum(usual, cadence_ms * 3 // 2)


class Evaluator(ABC):
    """Evaluates the condition of one rule over the samples of its series.

    Deterministic: the same samples in the same order give the same verdicts, however they are split
    into calls.
    """

    def __init__(self, select: Selector) -> None:
        self.index = SeriesIndex()
        self._select = select

    def watches(self, series: Series) -> bool:
        """True if ``series`` gets verdicts: here if the rule selects it."""
        return self._select.matches(series)

    def inputs(self) -> Iterable[tuple[Series, tuple[Series, ...]]]:
        """Each series that gets verdicts, with every series whose samples they need: here itself."""
        return ((one, (one,)) for one in self.index.series)

    def selection_key(self) -> str | None:
        """Rules with the same key watch the same series and can share an index; None: no sharing."""
        return self._select.model_dump_json()

    def bind(self, series: Sequence[Series]) -> None:
        """Register series; may be called again. State arrays grow and keep their contents."""
        self.index.bind(series, self.watches)
        self.grow(len(self.index))

    @abstractmethod
    def grow(self, size: int) -> None:
        """Extend the state to ``size`` rows."""

    @abstractmethod
    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """The verdicts for samples that are newer than all samples before."""

    @abstractmethod
    def state(self) -> State:
        """The whole state, as arrays whose first axis is the row."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Continue from a saved state; its arrays may have fewer rows than the index."""

    def gap_ms(self, given_ms: int | None) -> Int64:
        """For each row, the longest pause between verdicts that does not count as missing data."""
        return self.index.gap_ms(given_ms)


@dataclass(frozen=True, slots=True)
class RuleKind(Generic[RuleT]):
    """One kind of rule: the model of its fields, and a factory for evaluators of such a rule."""

    rule: type[RuleT]
    evaluator: Callable[[RuleT], Evaluator]


def grown(array: NDArray[ScalarT], size: int, fill: float | bool) -> NDArray[ScalarT]:
    """``array`` with its first axis at least ``size`` long; new entries are ``fill``."""
    if len(array) >= size:
        return array
    larger = np.full((size, *array.shape[1:]), fill, dtype=array.dtype)
    larger[: len(array)] = array
    return larger


def copy_state(source: State, target: State) -> None:
    """Copy each array of ``source`` into that of the same name, as far as both reach."""
    for name, array in target.items():
        if name in source:
            common = np.minimum(source[name].shape, array.shape)
            part = tuple(slice(n) for n in common)
            array[part] = source[name][part]


def group_starts(row: Int32) -> Bool:
    """True at the first entry of each row; ``row`` is sorted."""
    first = np.ones(len(row), np.bool_)
    np.not_equal(row[1:], row[:-1], out=first[1:])
    return first


def one_per_row(row: Int32) -> bool:
    """True if no row comes twice; ``row`` is sorted."""
    return len(row) < 2 or bool((row[1:] != row[:-1]).all())


def as_index(row: Int32, size: int) -> Int32 | slice:
    """What addresses distinct sorted rows in state arrays of ``size``: a slice where that suffices."""
    return slice(None) if len(row) == size and (not size or row[-1] == size - 1) else row


def last_true(mask: Bool) -> Int64:
    """For each entry, the index of the last true entry up to it (0 if there is none)."""
    return np.maximum.accumulate(np.where(mask, np.arange(len(mask)), 0))
