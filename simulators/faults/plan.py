"""The faults of a device over time."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from simulators.signals.randomness import Int64, key_of, uniform

Bool = NDArray[np.bool_]


class FaultKind(StrEnum):
    """Kinds of faults, with the meaning of ``value``."""

    NO_ANSWER = "no_answer"
    """The device is silent."""
    LATE = "late"
    """Answers are ``value`` milliseconds late (1,500)."""
    CRC_ERROR = "crc_error"
    """The checksum of a frame is wrong."""
    TRUNCATED = "truncated"
    """Only the first half of a frame arrives."""
    MERGED = "merged"
    """The previous frame is repeated before this one."""
    GARBAGE = "garbage"
    """Noise on the line before a frame."""
    ECHO = "echo"
    """The adapter echoes: the request comes back before the answer."""
    WRONG_UNIT = "wrong_unit"
    """The answer has the address of another unit."""
    EXCEPTION = "exception"
    """The device answers with exception code ``value`` (4, device failure)."""
    STUCK = "stuck"
    """Values do not change from the start of the fault."""
    SPIKE = "spike"
    """Values are multiplied by ``value`` (8)."""
    DRIFT = "drift"
    """Values grow by ``value`` in an hour (0.1: 10 %)."""
    UNIT_SWAPPED = "unit_swapped"
    """Values are in another unit, such as degrees Fahrenheit."""
    MISSING = "missing"
    """The device reports that it has no reading."""
    CLOCK_WRONG = "clock_wrong"
    """The clock of the device is wrong by ``value`` seconds (3,600)."""
    UNPLUGGED = "unplugged"
    """The serial adapter is removed: its port vanishes and returns. On TCP: no server listens."""
    POWER_CUT = "power_cut"
    """Gateway and devices lose power: ports vanish; afterwards sensors warm up again."""


DEFAULTS = {
    FaultKind.LATE: 1500.0,
    FaultKind.EXCEPTION: 4.0,
    FaultKind.SPIKE: 8.0,
    FaultKind.DRIFT: 0.1,
    FaultKind.CLOCK_WRONG: 3600.0,
}
OF_ANSWERS = frozenset(
    {
        FaultKind.NO_ANSWER, FaultKind.LATE, FaultKind.CRC_ERROR, FaultKind.TRUNCATED, FaultKind.MERGED, FaultKind.GARBAGE,
        FaultKind.ECHO, FaultKind.WRONG_UNIT, FaultKind.EXCEPTION,
    }
)  # fmt: skip
OF_VALUES = frozenset(
    {
        FaultKind.STUCK,
        FaultKind.SPIKE,
        FaultKind.DRIFT,
        FaultKind.UNIT_SWAPPED,
        FaultKind.MISSING,
        FaultKind.CLOCK_WRONG,
    }
)
SILENCING = frozenset(
    {FaultKind.NO_ANSWER, FaultKind.MISSING, FaultKind.UNPLUGGED, FaultKind.POWER_CUT}
)
OF_PORTS = frozenset({FaultKind.UNPLUGGED, FaultKind.POWER_CUT})


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault from ``start_ms`` until ``end_ms`` (simulated time).

    With ``probability`` below 1 it affects a random share of the answers or readings. ``every_ms``
    repeats the span. ``metrics`` limits faults of values to some metrics.
    """

    kind: FaultKind
    start_ms: int = 0
    end_ms: int = 2**62
    probability: float = 1.0
    value: float | None = None
    every_ms: int = 0
    metrics: frozenset[str] = frozenset()

    @property
    def amount(self) -> float:
        """The value, or the default of the kind."""
        return DEFAULTS.get(self.kind, 0.0) if self.value is None else self.value

    def span_ms(self, time_ms: int) -> tuple[int, int] | None:
        """Start and end of the span that contains ``time_ms``; None outside all spans."""
        if time_ms < self.start_ms:
            return None
        begin = self.start_ms
        if self.every_ms:
            begin += (time_ms - self.start_ms) // self.every_ms * self.every_ms
        end = begin + self.end_ms - self.start_ms
        return (begin, end) if time_ms < end else None

    def spans(self, time_ms: Int64) -> tuple[Bool, Int64]:
        """For many times: whether the fault is active, and the start of that span."""
        since = time_ms - self.start_ms
        begin = np.full(len(time_ms), self.start_ms, dtype=np.int64)
        if self.every_ms:
            begin += since // self.every_ms * self.every_ms
        return (since >= 0) & (time_ms - begin < self.end_ms - self.start_ms), begin


class FaultPlan:
    """The faults of one device or port; ``seed`` and ``name`` determine the random choices."""

    def __init__(self, faults: Iterable[Fault], seed: int, name: str) -> None:
        self.faults = tuple(faults)
        self._keys = [key_of(seed, name, i, f.kind) for i, f in enumerate(self.faults)]

    def __bool__(self) -> bool:
        return bool(self.faults)

    def active(self, kinds: frozenset[FaultKind], time_ms: int, turn: int) -> list[Fault]:
        """The active faults of some kinds; ``turn`` is the number of the random choice."""
        found = []
        for fault, key in zip(self.faults, self._keys, strict=True):
            if fault.kind not in kinds or fault.span_ms(time_ms) is None:
                continue
            if fault.probability >= 1.0 or float(uniform(key, turn)) < fault.probability:
                found.append(fault)
        return found

    def affected(self, fault: Fault, time_ms: Int64, turn: Int64) -> tuple[Bool, Int64]:
        """For many times: whether a fault affects the value, and the start of that span."""
        lasts, begin = fault.spans(time_ms)
        if fault.probability < 1.0:
            key = self._keys[self.faults.index(fault)]
            lasts = lasts & (uniform(key, turn) < fault.probability)
        return lasts, begin

    def of_kinds(self, kinds: frozenset[FaultKind]) -> list[Fault]:
        """All faults of some kinds, active or not."""
        return [f for f in self.faults if f.kind in kinds]
