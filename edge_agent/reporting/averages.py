"""Aggregates the readings of a window to mean, minimum, maximum and count (no I/O)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """How the readings of a quantity are aggregated."""

    MEAN = auto()
    ANGLE = auto()
    LAST = auto()


def window_end_ms(time_ms: int, every_ms: int) -> int:
    """The end of the window that contains a time; windows begin at multiples of ``every_ms``."""
    return (time_ms // every_ms + 1) * every_ms


@dataclass(slots=True)
class Window:
    """The aggregate of the readings of one metric since the window began."""

    kind: Kind
    count: int = 0
    total: float = 0.0
    error: float = 0.0
    """The rounding error of ``total``."""
    minimum: float = math.inf
    maximum: float = -math.inf
    east: float = 0.0
    north: float = 0.0
    last: float = 0.0

    def add(self, value: float) -> None:
        """Add a reading."""
        self.count += 1
        self.last = value
        if self.kind is Kind.ANGLE:
            self.north += math.cos(math.radians(value))
            self.east += math.sin(math.radians(value))
        elif self.kind is Kind.MEAN:
            self._sum(value)
            self.minimum, self.maximum = min(self.minimum, value), max(self.maximum, value)

    def _sum(self, value: float) -> None:
        """Neumaier's summation: as exact as with twice the digits."""
        total = self.total + value
        bigger, smaller = (
            (self.total, value) if abs(self.total) >= abs(value) else (value, self.total)
        )
        self.error += (bigger - total) + smaller
        self.total = total

    def close(self) -> dict[str, float]:
        """The results of the window, by the ending of the metric's name; the next window begins.

        The mean has no ending. For an angle it is the direction of the mean vector, for a total or a
        state the last reading. Empty if there was no reading.
        """
        results = self._results() if self.count else {}
        self.restore([0, 0.0, 0.0, math.inf, -math.inf, 0.0, 0.0, 0.0])
        return results

    def _results(self) -> dict[str, float]:
        if self.kind is Kind.LAST:
            return {"": self.last}
        if self.kind is Kind.ANGLE:
            return {"": _direction(self.east, self.north), "/count": float(self.count)}
        return {
            "": min(max((self.total + self.error) / self.count, self.minimum), self.maximum),
            "/min": self.minimum,
            "/max": self.maximum,
            "/count": float(self.count),
        }

    @property
    def state(self) -> list[float]:
        """The state to save."""
        return [self.count, self.total, self.error, self.minimum, self.maximum, self.east, self.north,
                self.last]  # fmt: skip

    def restore(self, state: Sequence[float]) -> None:
        """Continue from a saved state."""
        count, *sums = state
        self.count = int(count)
        (self.total, self.error, self.minimum, self.maximum, self.east, self.north, self.last) = (
            sums
        )


def _direction(east: float, north: float) -> float:
    return round(math.degrees(math.atan2(east, north)) % 360.0, 9) % 360.0


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of the values lie, linearly interpolated."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
