"""Many readings of a fast sensor as mean, least, most and number of a window (no I/O)."""

import math
from dataclasses import dataclass, field
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
    """The readings of one metric since the window began."""

    kind: Kind
    values: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        """Take a reading."""
        self.values.append(value)

    def close(self) -> dict[str, float]:
        """The window's results by the ending of their metric's name; it begins anew.

        The mean (of an angle: the direction of the mean vector; of a total or a state: the last
        reading) has no ending. Nothing where there was no reading.
        """
        values, self.values = self.values, []
        if not values:
            return {}
        if self.kind is Kind.LAST:
            return {"": values[-1]}
        if self.kind is Kind.ANGLE:
            return {"": mean_angle(values), "/count": float(len(values))}
        return {
            "": math.fsum(values) / len(values),
            "/min": min(values),
            "/max": max(values),
            "/count": float(len(values)),
        }


def mean_angle(degrees: list[float]) -> float:
    """The direction of the mean of unit vectors, 0 to below 360."""
    x = math.fsum(math.cos(math.radians(d)) for d in degrees)
    y = math.fsum(math.sin(math.radians(d)) for d in degrees)
    return round(math.degrees(math.atan2(y, x)) % 360.0, 9) % 360.0


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of the values lie, interpolated between neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
