"""The interface of every detector, and the meaning of its score."""

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
"""The state of a detector as named arrays, ready for ``numpy.savez``."""

HOURS_PER_MONTH = 730.5
NEVER = -(2**62)
"""A time before all samples, in milliseconds."""
HIGHEST_SCORE = 9.0
"""No history is long enough for rarer events."""


class Reason(IntEnum):
    """Why a sample has a score: what is unusual, or what is wrong with the sensor."""

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
    # Faults of the sensor: the value is probably wrong. Rules rely on the codes from 32 on.
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


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of a batch: arrays with one entry for each sample, in the order of the batch.

    ``score`` is the decimal logarithm of a return period in hours, 0 to 9: 2 means that the series
    does this about once in 100 hours. It is 0 where nothing was judged (late, repeated, missing or
    failed samples, and while the detector still learns). ``expected`` and the band ``low`` to
    ``high`` are in the unit of the series, NaN while they are not known. ``reason`` holds Reason
    codes, ``since_ms`` the start of the present event. ``onset`` is above 0 only in the sample
    where an event begins or gets much worse: its height in the detector's own measure.
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
        """Scores of a batch in which nothing was judged."""
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
        """Overwrite the entries at ``where`` (mask or indexes) with other scores."""
        for field in fields(self):
            getattr(self, field.name)[where] = getattr(scores, field.name)

    def select(self, which: Bool | Int64) -> "Scores":
        """The entries where the mask is True, or at the given indexes."""
        return Scores(*(getattr(self, field.name)[which] for field in fields(self)))


class HeldScores:
    """Scores of sorted samples where each judgement holds until the next one.

    ``begin`` holds the index of the first sample of each judgement in ``judged``. The onset belongs
    to that sample only. Without a reason, ``since_ms`` is the time of each sample. The arrays with
    one entry for each sample, as in ``Scores``, are computed on access.
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
        return self._held(self.judged.score)

    @property
    def expected(self) -> Float64:
        """The expected value."""
        return self._held(self.judged.expected)

    @property
    def low(self) -> Float64:
        """The lower end of the band."""
        return self._held(self.judged.low)

    @property
    def high(self) -> Float64:
        """The upper end of the band."""
        return self._held(self.judged.high)

    @property
    def reason(self) -> UInt8:
        """Reason codes."""
        return self._held(self.judged.reason)

    @property
    def since_ms(self) -> Int64:
        """Start of the present event."""
        since_ms = self._held(self.judged.since_ms)
        calm = self.reason == Reason.NONE
        since_ms[calm] = self.time_ms[calm]
        return since_ms

    @property
    def onset(self) -> Float64:
        """Height of the onset, in the sample where it happens."""
        onset = np.zeros(len(self))
        onset[self.begin] = self.judged.onset
        return onset

    def select(self, which: Bool | Int64) -> Scores:
        """The entries where the mask is True, or at the given indexes."""
        return Scores(*(getattr(self, field.name)[which] for field in fields(Scores)))

    def _held(self, column: NDArray[ScalarT]) -> NDArray[ScalarT]:
        length = np.diff(np.append(self.begin, len(self)))
        return np.repeat(column, length)


AnyScores = Scores | HeldScores
"""What a detector returns for a batch: one entry for each sample."""


class Detector(Protocol):
    """Judges the samples of all series from earlier samples only.

    A batch may hold any series in any order. Within a series, samples are judged in the order of
    time. A sample that is not newer than the newest one of its series is neither judged nor learnt.
    The same samples in the same order give the same scores, however they are cut into batches and
    across ``state`` and ``restore``.
    """

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series; may be called again for new or changed series."""
        ...

    def update(self, batch: SampleBatch) -> AnyScores:
        """Judge each sample, then learn from it. Every series must be registered."""
        ...

    def state(self) -> State:
        """A copy of everything learnt."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from what ``state`` returned, with the same series registered.

        StateMismatchError where the state is of another version or detector.
        """
        ...


def threshold_for_budget(alerts_per_month: float) -> float:
    """The score at which a series gives about this many alerts a month.

    ValueError where the budget is not positive.
    """
    if not alerts_per_month > 0:
        raise ValueError("a budget is a positive number of alerts a month")
    return math.log10(HOURS_PER_MONTH / alerts_per_month)
