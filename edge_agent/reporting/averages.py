"""Many readings of a fast sensor as mean, least, most and number of a window (no I/O)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """How the readings of a quantity are put together."""

    MEAN = auto()
    ANGLE = auto()
    LAST = auto()


def window_end_ms(time_ms: int, every_ms: int) -> int:
    """The end of the window in which a moment lies; windows begin at whole multiples of it."""
    return (time_ms // every_ms + 1) * every_ms


@dataclass(slots=True)
class Window:
    """What the readings of one metric since the window began come to."""

    kind: Kind
    count: int = 0
    total: float = 0.0
    rest: float = 0.0
    """What rounding has kept out of ``total``."""
    least: float = math.inf
    most: float = -math.inf
    east: float = 0.0
    north: float = 0.0
    last: float = 0.0

    def add(self, value: float) -> None:
        """Take a reading."""
        self.count += 1
        self.last = value
        if self.kind is Kind.ANGLE:
            self.north += math.cos(math.radians(value))
            self.east += math.sin(math.radians(value))
        elif self.kind is Kind.MEAN:
            self._sum(value)
            self.least, self.most = min(self.least, value), max(self.most, value)

    def _sum(self, value: float) -> None:
        """Neumaier's summation: as exact as if there were twice the digits."""
        total = self.total + value
        bigger, smaller = (
            (self.total, value) if abs(self.total) >= abs(value) else (value, self.total)
        )
        self.rest += (bigger - total) + smaller
        self.total = total

    def close(self) -> dict[str, float]:
        """The window's results by the ending of their metric's name; it begins anew.

        The mean (of an angle: the direction of the mean vector; of a total or a state: the last
        reading) has no ending. Nothing where there was no reading.
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
            "": min(max((self.total + self.rest) / self.count, self.least), self.most),
            "/min": self.least,
            "/max": self.most,
            "/count": float(self.count),
        }

    @property
    def state(self) -> list[float]:
        """What to remember."""
        return [self.count, self.total, self.rest, self.least, self.most, self.east, self.north,
                self.last]  # fmt: skip

    def restore(self, state: Sequence[float]) -> None:
        """Go on from what was remembered."""
        count, *sums = state
        self.count = int(count)
        (self.total, self.rest, self.least, self.most, self.east, self.north, self.last) = sums


def _direction(east: float, north: float) -> float:
    return round(math.degrees(math.atan2(east, north)) % 360.0, 9) % 360.0


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of the values lie, interpolated between neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
