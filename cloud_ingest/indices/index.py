"""An index value with its sub-indices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alert_rules.index_levels import IndexLevel, level_of


@dataclass(frozen=True, slots=True)
class SubIndex:
    """The index of one pollutant. ``value`` is the mean concentration in ``unit``."""

    pollutant: str
    averaging: str
    value: float
    unit: str
    index: int

    def as_json(self) -> dict[str, Any]:
        """The JSON of the API."""
        return {
            "pollutant": self.pollutant, "averaging": self.averaging, "value": self.value,
            "unit": self.unit, "index": self.index,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class IndexValue:
    """An index: the highest of its sub-indices, with the pollutant that caused it."""

    kind: str
    value: int
    dominant: str
    sub_indices: tuple[SubIndex, ...]

    @property
    def level(self) -> IndexLevel:
        """The level in which it lies."""
        return level_of(self.kind, self.value)


def overall(kind: str, found: Sequence[SubIndex], needed: Sequence[str] = ()) -> IndexValue | None:
    """The highest sub-index; None without sub-indices or without any of the pollutants ``needed``."""
    if not found or (needed and not any(s.pollutant in needed for s in found)):
        return None
    highest = max(found, key=lambda s: s.index)
    return IndexValue(kind, highest.index, highest.pollutant, tuple(found))
