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


class Scored(Protocol):
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


Picked: TypeAlias = "tuple[Int32, Bool | None]"
"""The slots of the samples that are meant, and which samples these are (None: all)."""


@dataclass(frozen=True, eq=False)
class Runs:
    """Usable samples by series, then time, without repetitions: what evaluators read.

    ``scores`` is there where there is a detector, with an entry for each sample. ``picked`` is what
    was found out for rules that share their members.
    """

    series: Int32
    time_ms: Int64
    value: Float64
    scores: Scored | None = None
    picked: "dict[Members, Picked]" = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.series)

    @classmethod
    def of(cls, batch: SampleBatch) -> "Runs":
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
        return np.flatnonzero(run_starts(self.series))


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """Whether a condition holds, moment by moment: by slot, then time.

    ``level`` is 0 where it does not hold, else 1 for the first bound, 2 for the next and so on.
    A moment without a verdict is a moment about which nothing is known.
    """

    slot: Int32
    time_ms: Int64
    level: NDArray[np.int8]
    value: Float64

    def __len__(self) -> int:
        return len(self.slot)

    @classmethod
    def none(cls) -> "Verdicts":
        """Nothing is known of anything."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int8), np.empty(0))

    def select(self, which: Bool) -> "Verdicts":
        """Those where the mask is true."""
        return Verdicts(self.slot[which], self.time_ms[which], self.level[which], self.value[which])


class Members:
    """The series that take part in a rule, each in a slot of the rule's state arrays."""

    def __init__(self) -> None:
        self.series: list[Series] = []
        self._slot_of = np.empty(0, np.int32)
        self.all_known = False

    def __len__(self) -> int:
        return len(self.series)

    def bind(self, series: Sequence[Series], wanted: Callable[[Series], bool]) -> None:
        """Give a slot to each wanted series that has none; what is known of the others is renewed."""
        top = max((s.index for s in series), default=-1) + 1
        if top > len(self._slot_of):
            grown = np.full(top, -1, np.int32)
            grown[: len(self._slot_of)] = self._slot_of
            self._slot_of = grown
        for one in series:
            slot = int(self._slot_of[one.index])
            if slot >= 0:
                self.series[slot] = one
            elif wanted(one):
                self._slot_of[one.index] = len(self.series)
                self.series.append(one)
        self.all_known = len(self.series) == len(self._slot_of) and bool(
            (self._slot_of == np.arange(len(self._slot_of))).all()
        )

    def slot(self, series_index: int) -> int:
        """The slot of a series, -1 if it has none."""
        return int(self._slot_of[series_index]) if series_index < len(self._slot_of) else -1

    def slots(self, series_index: Int32) -> Int32:
        """The slots of series that are known, -1 where one has none."""
        slot: Int32 = self._slot_of[series_index]
        return slot

    def indices(self, slot: Int32) -> Int32:
        """The numbers of the series in slots."""
        if self.all_known:
            return slot
        return np.fromiter((self.series[i].index for i in slot.tolist()), np.int32, len(slot))

    def alike(self, other: "Members") -> bool:
        """Whether these are all series there are, and so are the others."""
        return self is other or (self.all_known and other.all_known)

    def intervals_ms(self, slot: Int32) -> Int64:
        """How often samples are expected in slots."""
        return np.fromiter((self.series[i].interval_ms for i in slot.tolist()), np.int64, len(slot))

    @property
    def interval_ms(self) -> Int64:
        """How often samples are expected, for all slots."""
        return np.fromiter((s.interval_ms for s in self.series), np.int64, len(self.series))

    def pick(self, runs: Runs) -> Picked:
        """The slots of the samples that are meant, and which samples these are (None: all)."""
        if self.all_known:
            return runs.series, None
        found = runs.picked.get(self)
        if found is None:
            found = runs.picked[self] = self._pick(runs)
        return found

    def _pick(self, runs: Runs) -> Picked:
        slot, length = self._slot_of[runs.heads], runs.lengths
        meant = slot >= 0
        if not meant.any():
            return np.empty(0, np.int32), np.zeros(len(runs), np.bool_)
        if not meant.all():
            return np.repeat(slot[meant], length[meant]), np.repeat(meant, length)
        if (slot == runs.heads).all():
            return runs.series, None
        return np.repeat(slot, length), None

    def gap_ms(self, given_ms: int | None, cadence_ms: int = 0) -> Int64:
        """For each slot, the longest pause that is no missing data."""
        if given_ms is not None:
            return np.full(len(self), given_ms, np.int64)
        usual = np.maximum(self.interval_ms * GAP_INTERVALS, DEFAULT_GAP_MS)
        return np.maximum(usual, cadence_ms * 3 // 2)


class Evaluator(ABC):
    """Judges the samples of its members in the order of time, remembering what it must.

    Pure: the same samples in the same order give the same verdicts, in however many calls.
    """

    def __init__(self) -> None:
        self.members = Members()

    @abstractmethod
    def wants(self, series: Series) -> bool:
        """Whether ``series`` is the subject of verdicts."""

    def selection(self) -> str | None:
        """In which words its series are selected, if nothing else decides which it wants."""
        return None

    def bind(self, series: Sequence[Series]) -> None:
        """Make series known; more may come later. State arrays grow, what they hold stays."""
        self.members.bind(series, self.wants)
        self.grow(len(self.members))

    @abstractmethod
    def grow(self, size: int) -> None:
        """Make room in the state for ``size`` slots."""

    @abstractmethod
    def evaluate(self, runs: Runs) -> Verdicts:
        """The verdicts that these samples, all newer than those before, allow."""

    @abstractmethod
    def state(self) -> State:
        """Everything remembered, as arrays whose first axis is the slot."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Go on from a state; its arrays may be shorter than the members are many."""

    def gap_ms(self, given_ms: int | None) -> Int64:
        """For each slot, the longest pause between verdicts that is no missing data."""
        return self.members.gap_ms(given_ms)


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


def run_starts(slot: Int32) -> Bool:
    """True at the first entry of each slot in an array sorted by slot."""
    first = np.ones(len(slot), np.bool_)
    np.not_equal(slot[1:], slot[:-1], out=first[1:])
    return first


def is_single(slot: Int32) -> bool:
    """Whether each slot comes once, in an array sorted by slot."""
    return len(slot) < 2 or bool((slot[1:] != slot[:-1]).all())


def places(slot: Int32, size: int) -> Int32 | slice:
    """How to address single slots in state arrays of ``size``: all of them need no look-up."""
    return slice(None) if len(slot) == size and (not size or slot[-1] == size - 1) else slot


def last_true(mark: Bool) -> Int64:
    """For each place, the index of the nearest true place at or before it (0 if there is none)."""
    return np.maximum.accumulate(np.where(mark, np.arange(len(mark)), 0))
