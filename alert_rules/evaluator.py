"""What goes into an evaluator and what comes out of it; nothing here knows a clock or a file."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from alert_rules.rule import Rule
from telemetry.batches import Bool, Float64, Int32, Int64, SampleBatch, UInt8
from telemetry.series import Series

State: TypeAlias = dict[str, NDArray[np.generic]]

DEFAULT_GAP_MS = 60_000
GAP_INTERVALS = 3

RuleT = TypeVar("RuleT", bound=Rule)
ScalarT = TypeVar("ScalarT", bound=np.generic)


class AnomalyScores(Protocol):
    """An anomaly detector's judgement of each sample, as its ``Scores`` hold it."""

    @property
    def score(self) -> Float64:
        """Decimal logarithm of the return period in hours."""
        ...

    @property
    def expected(self) -> Float64:
        """What would have been usual, in the series' unit."""
        ...

    @property
    def reason(self) -> UInt8:
        """Why it scored."""
        ...


RowSelection: TypeAlias = "tuple[Int32, Bool | None]"
"""The rows of the samples that are chosen, and which samples these are (None: all)."""


@dataclass(frozen=True, eq=False)
class SortedSamples:
    """Usable samples by series, then time, without repetitions: what evaluators read.

    ``scores`` is there where there is a detector, with an entry for each sample. ``selections`` is what
    was found out for rules that share their members.
    """

    series: Int32
    time_ms: Int64
    value: Float64
    scores: AnomalyScores | None = None
    selections: "dict[SeriesIndex, RowSelection]" = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.series)

    @classmethod
    def of(cls, batch: SampleBatch) -> "SortedSamples":
        """The samples of ``batch`` in order, one for each (series, time)."""
        ordered = batch.newest_only()
        return cls(ordered.series, ordered.time_ms, ordered.value)

    @cached_property
    def heads(self) -> Int32:
        """Each series that has samples, once."""
        heads: Int32 = self.series[self._begins]
        return heads

    @cached_property
    def lengths(self) -> Int64:
        """How many samples each of ``heads`` has."""
        return np.diff(np.append(self._begins, len(self.series)))

    @cached_property
    def _begins(self) -> Int64:
        return np.flatnonzero(group_starts(self.series))


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """Whether a condition holds, moment by moment: by row, then time.

    ``level`` is 0 where it does not hold, else 1 for the first threshold, 2 for the next and so on.
    A moment without a verdict is a moment about which nothing is known.
    """

    row: Int32
    time_ms: Int64
    level: NDArray[np.int8]
    value: Float64

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def empty(cls) -> "Verdicts":
        """Nothing is known of anything."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int8), np.empty(0))

    def select(self, which: Bool) -> "Verdicts":
        """Those where the mask is true."""
        return Verdicts(self.row[which], self.time_ms[which], self.level[which], self.value[which])


class SeriesIndex:
    """The series that take part in a rule, each in a row of the rule's state arrays."""

    def __init__(self) -> None:
        self.series: list[Series] = []
        self._row_of = np.empty(0, np.int32)
        self.all_known = False

    def __len__(self) -> int:
        return len(self.series)

    def bind(self, series: Sequence[Series], wanted: Callable[[Series], bool]) -> None:
        """Give a row to each wanted series that has none; what is known of the others is renewed."""
        top = max((s.index for s in series), default=-1) + 1
        if top > len(self._row_of):
            grown = np.full(top, -1, np.int32)
            grown[: len(self._row_of)] = self._row_of
            self._row_of = grown
        for one in series:
            row = int(self._row_of[one.index])
            if row >= 0:
                self.series[row] = one
            elif wanted(one):
                self._row_of[one.index] = len(self.series)
                self.series.append(one)
        self.all_known = len(self.series) == len(self._row_of) and bool(
            (self._row_of == np.arange(len(self._row_of))).all()
        )

    def row_of(self, series_index: int) -> int:
        """The row of a series, -1 if it has none."""
        return int(self._row_of[series_index]) if series_index < len(self._row_of) else -1

    def rows_of(self, series_index: Int32) -> Int32:
        """The rows of series that are known, -1 where one has none."""
        row: Int32 = self._row_of[series_index]
        return row

    def numbers_of(self, row: Int32) -> Int32:
        """The numbers of the series in rows."""
        if self.all_known:
            return row
        return np.fromiter((self.series[i].index for i in row.tolist()), np.int32, len(row))

    def has_rows_of(self, other: "SeriesIndex") -> bool:
        """Whether these are all series there are, and so are the others."""
        return self is other or (self.all_known and other.all_known)

    def intervals_ms(self, row: Int32) -> Int64:
        """How often samples are expected in rows."""
        return np.fromiter((self.series[i].interval_ms for i in row.tolist()), np.int64, len(row))

    @property
    def interval_ms(self) -> Int64:
        """How often samples are expected, for all rows."""
        return np.fromiter((s.interval_ms for s in self.series), np.int64, len(self.series))

    def select(self, samples: SortedSamples) -> RowSelection:
        """The rows of the samples that are chosen, and which samples these are (None: all)."""
        if self.all_known:
            return samples.series, None
        found = samples.selections.get(self)
        if found is None:
            found = samples.selections[self] = self._select(samples)
        return found

    def _select(self, samples: SortedSamples) -> RowSelection:
        row, length = self._row_of[samples.heads], samples.lengths
        chosen = row >= 0
        if not chosen.any():
            return np.empty(0, np.int32), np.zeros(len(samples), np.bool_)
        if not chosen.all():
            return np.repeat(row[chosen], length[chosen]), np.repeat(chosen, length)
        if (row == samples.heads).all():
            return samples.series, None
        return np.repeat(row, length), None

    def gap_ms(self, given_ms: int | None, cadence_ms: int = 0) -> Int64:
        """For each row, the longest pause that is no missing data."""
        if given_ms is not None:
            return np.full(len(self), given_ms, np.int64)
        usual = np.maximum(self.interval_ms * GAP_INTERVALS, DEFAULT_GAP_MS)
        return np.maximum(usual, cadence_ms * 3 // 2)


class Evaluator(ABC):
    """Judges the samples of its members in the order of time, remembering what it must.

    Pure: the same samples in the same order give the same verdicts, in however many calls.
    """

    def __init__(self) -> None:
        self.index = SeriesIndex()

    @abstractmethod
    def watches(self, series: Series) -> bool:
        """Whether ``series`` is the subject of verdicts."""

    def selection_key(self) -> str | None:
        """In which words its series are selected, if nothing else decides which it watches."""
        return None

    def bind(self, series: Sequence[Series]) -> None:
        """Make series known; more may come later. State arrays grow, what they hold stays."""
        self.index.bind(series, self.watches)
        self.grow(len(self.index))

    @abstractmethod
    def grow(self, size: int) -> None:
        """Make room in the state for ``size`` rows."""

    @abstractmethod
    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """The verdicts that these samples, all newer than those before, allow."""

    @abstractmethod
    def state(self) -> State:
        """Everything remembered, as arrays whose first axis is the row."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Go on from a state; its arrays may be shorter than the members are many."""

    def gap_ms(self, given_ms: int | None) -> Int64:
        """For each row, the longest pause between verdicts that is no missing data."""
        return self.index.gap_ms(given_ms)


@dataclass(frozen=True, slots=True)
class RuleKind(Generic[RuleT]):
    """One kind of rule: the schema of its fields, and what makes an evaluator of such a rule."""

    rule: type[RuleT]
    evaluator: Callable[[RuleT], Evaluator]


def grown(array: NDArray[ScalarT], size: int, fill: float | bool) -> NDArray[ScalarT]:
    """``array`` with its first axis at least ``size`` long, new places filled."""
    if len(array) >= size:
        return array
    larger = np.full((size, *array.shape[1:]), fill, dtype=array.dtype)
    larger[: len(array)] = array
    return larger


def group_starts(row: Int32) -> Bool:
    """True at the first entry of each row in an array sorted by row."""
    first = np.ones(len(row), np.bool_)
    np.not_equal(row[1:], row[:-1], out=first[1:])
    return first


def one_per_row(row: Int32) -> bool:
    """Whether each row comes once, in an array sorted by row."""
    return len(row) < 2 or bool((row[1:] != row[:-1]).all())


def as_index(row: Int32, size: int) -> Int32 | slice:
    """How to address single rows in state arrays of ``size``: all of them need no look-up."""
    return slice(None) if len(row) == size and (not size or row[-1] == size - 1) else row


def last_true(mark: Bool) -> Int64:
    """For each place, the index of the nearest true place at or before it (0 if there is none)."""
    return np.maximum.accumulate(np.where(mark, np.arange(len(mark)), 0))
