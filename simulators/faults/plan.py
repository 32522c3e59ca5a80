"""Which faults a device has at a moment."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from simulators.signals.randomness import Int64, key_of, uniform

Bool = NDArray[np.bool_]


class FaultKind(StrEnum):
    """Kinds of faults; each says what ``value`` means for it."""

    NO_ANSWER = "no_answer"
    """The device is silent."""
    LATE = "late"
    """Answers come ``value`` milliseconds late (1,500)."""
    CRC_ERROR = "crc_error"
    """The check sum of a frame is wrong."""
    TRUNCATED = "truncated"
    """Only the first half of a frame arrives."""
    MERGED = "merged"
    """The frame before comes once more, joined to this one."""
    GARBAGE = "garbage"
    """Noise on the line before a frame."""
    ECHO = "echo"
    """The adapter hears what was sent: the request comes back before the answer."""
    WRONG_UNIT = "wrong_unit"
    """Another unit seems to answer."""
    EXCEPTION = "exception"
    """The device refuses with exception code ``value`` (4, device failure)."""
    STUCK = "stuck"
    """Values stay what they were when it began."""
    SPIKE = "spike"
    """Values are ``value`` times what they should be (8)."""
    DRIFT = "drift"
    """Values grow by ``value`` (0.1: a tenth) an hour."""
    UNIT_SWAPPED = "unit_swapped"
    """Values come in another unit, such as degrees Fahrenheit."""
    MISSING = "missing"
    """The device says that it has no reading."""
    CLOCK_WRONG = "clock_wrong"
    """The device's clock is off by ``value`` seconds (3,600)."""
    UNPLUGGED = "unplugged"
    """The serial adapter is pulled: its port vanishes and comes back. On TCP: nobody listens."""
    POWER_CUT = "power_cut"
    """Gateway and devices lose power: ports vanish; when they are back, sensors warm up again."""


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
    """A fault from ``start_ms`` until ``end_ms`` (simulated), in a share of the cases.

    ``probability`` below 1 throws the dice anew at each answer or reading; ``every_ms`` lets the
    span come back. ``metrics`` limits faults of values to some metrics.
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
        """Its value, or what is usual for its kind."""
        return DEFAULTS.get(self.kind, 0.0) if self.value is None else self.value

    def span_ms(self, time_ms: int) -> tuple[int, int] | None:
        """When the span that holds ``time_ms`` begins and ends; None outside of all."""
        if time_ms < self.start_ms:
            return None
        begin = self.start_ms
        if self.every_ms:
            begin += (time_ms - self.start_ms) // self.every_ms * self.every_ms
        end = begin + self.end_ms - self.start_ms
        return (begin, end) if time_ms < end else None

    def spans(self, time_ms: Int64) -> tuple[Bool, Int64]:
        """For many moments: whether it lasts there, and when that span began."""
        since = time_ms - self.start_ms
        begin = np.full(len(time_ms), self.start_ms, dtype=np.int64)
        if self.every_ms:
            begin += since // self.every_ms * self.every_ms
        return (since >= 0) & (time_ms - begin < self.end_ms - self.start_ms), begin


class FaultPlan:
    """The faults of one device (or port); ``seed`` and ``name`` decide where chance falls."""

    def __init__(self, faults: Iterable[Fault], seed: int, name: str) -> None:
        self.faults = tuple(faults)
        self._keys = [key_of(seed, name, i, f.kind) for i, f in enumerate(self.faults)]

    def __bool__(self) -> bool:
        return bool(self.faults)

    def active(self, kinds: frozenset[FaultKind], time_ms: int, turn: int) -> list[Fault]:
        """The faults of some kinds at a moment; ``turn`` numbers the throws of the dice."""
        found = []
        for fault, key in zip(self.faults, self._keys, strict=True):
            if fault.kind not in kinds or fault.span_ms(time_ms) is None:
                continue
            if fault.probability >= 1.0 or float(uniform(key, turn)) < fault.probability:
                found.append(fault)
        return found

    def affected(self, fault: Fault, time_ms: Int64, turn: Int64) -> tuple[Bool, Int64]:
        """For many moments: whether one of its faults strikes, and when that span began."""
        lasts, begin = fault.spans(time_ms)
        if fault.probability < 1.0:
            key = self._keys[self.faults.index(fault)]
            lasts = lasts & (uniform(key, turn) < fault.probability)
        return lasts, begin

    def of_kinds(self, kinds: frozenset[FaultKind]) -> list[Fault]:
        """The faults of some kinds, whenever they are."""
        return [f for f in self.faults if f.kind in kinds]
