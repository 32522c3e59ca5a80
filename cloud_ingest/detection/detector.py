"""What every detector takes and gives, and what its score means."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from telemetry.batches import Bool, Float64, Int64, SampleBatch, UInt8
from telemetry.series import Series

ScalarT = TypeVar("ScalarT", bound=np.generic)
State = dict[str, NDArray[Any]]
"""A detector's whole memory as named arrays, ready for ``numpy.savez``."""

HOURS_A_MONTH = 730.5
NEVER = -(2**62)
"""Before all time stamps."""
HIGHEST_SCORE = 9.0
"""No history is long enough to tell what happens less often than this."""


class Reason(IntEnum):
    """Why a sample scored: what is unusual, or what is wrong with the sensor."""

    NONE = 0
    # Unusual for this series.
    HIGH = 1
    LOW = 2
    RISE = 3
    FALL = 4
    UNSTEADY = 5
    QUIET = 6
    HIGH_FOR_TIME = 7
    LOW_FOR_TIME = 8
    SHIFT_UP = 9
    SHIFT_DOWN = 10
    # The sensor is not telling the truth.
    SPIKE = 32
    STUCK = 33
    OFFSET = 34
    DRIFT = 35
    GAIN = 36
    DROPOUT = 37
    SATURATED = 38
    OUT_OF_STEP = 39
    VISIT = 40
    ERRATIC = 41

    @property
    def is_fault(self) -> bool:
        """Whether the sensor is in doubt, not the world."""
        return self >= Reason.SPIKE


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """A detector's judgement, one entry for each sample of the batch, in the batch's order.

    ``score`` is the decimal logarithm of a return period in hours: 2 means "this series does
    that about once in 100 hours". 0 where nothing was judged (late, repeated, missing or failed
    samples, and while the detector still learns). ``expected`` with its band ``low``..``high``
    is in the series' own unit, NaN where the detector has no opinion yet. ``reason`` holds
    Reason codes and ``since_ms`` the time at which the present reason began. ``onset`` is above 0
    only in the sample with which an event begins or gets much worse: how far it goes beyond the
    series' own history, in a detector's own measure.
    """

    score: Float64
    expected: Float64
    low: Float64
    high: Float64
    reason: UInt8
    since_ms: Int64
    onset: Float64

    def __len__(self) -> int:
        return len(self.score)

    @classmethod
    def unjudged(cls, batch: SampleBatch) -> "Scores":
        """Scores that say nothing, for a detector to fill in."""
        n = len(batch)
        return cls(
            np.zeros(n),
            np.full(n, np.nan),
            np.full(n, np.nan),
            np.full(n, np.nan),
            np.zeros(n, dtype=np.uint8),
            batch.time_ms.copy(),
            np.zeros(n),
        )

    def put(self, where: Bool | Int64, scores: "AnyScores") -> None:
        """Write other scores, one for each place."""
        for field in fields(self):
            getattr(self, field.name)[where] = getattr(scores, field.name)

    def select(self, which: Bool | Int64) -> "Scores":
        """Those where the mask is true, or at the given places."""
        return Scores(*(getattr(self, field.name)[which] for field in fields(self)))


class HeldScores:
    """Scores of samples in the order of their series, where a judgement stands until the next one.

    ``begin`` says from which sample on each of ``judged`` stands; its onset is that sample's alone.
    What is not unusual has no beginning: its ``since_ms`` is each sample's own time. The entries
    for each sample, as ``Scores`` has them, are made when they are asked for.
    """

    def __init__(self, begin: Int64, judged: Scores, time_ms: Int64) -> None:
        self.begin = begin
        self.judged = judged
        self.time_ms = time_ms

    def __len__(self) -> int:
        return len(self.time_ms)

    @property
    def score(self) -> Float64:
        """Decimal logarithm of the return period in hours."""
        return self._each(self.judged.score)

    @property
    def expected(self) -> Float64:
        """What was to be expected."""
        return self._each(self.judged.expected)

    @property
    def low(self) -> Float64:
        """The lower end of the band."""
        return self._each(self.judged.low)

    @property
    def high(self) -> Float64:
        """The upper end of the band."""
        return self._each(self.judged.high)

    @property
    def reason(self) -> UInt8:
        """Reason codes."""
        return self._each(self.judged.reason)

    @property
    def since_ms(self) -> Int64:
        """When the present reason began."""
        found = self._each(self.judged.since_ms)
        calm = self.reason == 0
        found[calm] = self.time_ms[calm]
        return found

    @property
    def onset(self) -> Float64:
        """How far beyond the own history, where an event begins."""
        found = np.zeros(len(self))
        found[self.begin] = self.judged.onset
        return found

    def select(self, which: Bool | Int64) -> Scores:
        """Those where the mask is true, or at the given places."""
        return Scores(*(getattr(self, field.name)[which] for field in fields(Scores)))

    def _each(self, column: NDArray[ScalarT]) -> NDArray[ScalarT]:
        run = np.diff(np.append(self.begin, len(self)))
        return np.repeat(column, run)


AnyScores = Scores | HeldScores
"""What a detector says of a batch: one entry for each of its samples."""


class Detector(Protocol):
    """Judges samples of all series as they come, from what came before and nothing else.

    A batch may hold any series in any order. Within one series, samples are judged in the order
    of time; a sample that is not newer than the newest one seen is not judged and not learnt
    from. The same samples in the same order give the same scores, in whatever batches they come
    and across ``state``/``restore``.
    """

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series; may be called again with others or changed ones."""
        ...

    def update(self, batch: SampleBatch) -> AnyScores:
        """Judge each sample, then learn from it. Every series must be registered."""
        ...

    def state(self) -> State:
        """A copy of everything learnt."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``state`` gave, with the same series registered."""
        ...


def threshold_for_budget(alerts_a_month: float) -> float:
    """The score from which to alert so that a series alerts about that often.

    ValueError where the budget is not positive.
    """
    if not alerts_a_month > 0:
        raise ValueError("a budget is a positive number of alerts a month")
    return math.log10(HOURS_A_MONTH / alerts_a_month)
