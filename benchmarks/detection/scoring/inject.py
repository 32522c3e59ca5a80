"""Injects sensor faults of known kind and time into recorded series."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.scoring.data import Recorded

KINDS = ("spike", "stuck", "offset", "drift", "gain", "dropout", "saturated", "out of step")
WEEK = 168
_LENGTH = {"spike": 1, "stuck": 48, "dropout": 12, "saturated": 24}
_SLOT = 2 * WEEK
_FIRST_SLOT_ROW = 18 * WEEK
_MARGIN = 24


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault injected into the series at index ``place``, in rows ``first`` to ``last``."""

    kind: str
    place: int
    first: int
    last: int


def inject_faults(recorded: Sequence[Recorded], seed: int) -> tuple[list[Recorded], list[Injected]]:
    """Copies of hourly series with one fault for each quantity and fortnight, at a random station.

    No two stations have a fault of the same quantity at once. Sizes are in standard deviations of
    the change from one day to the next.
    """
    rng = np.random.default_rng(seed)
    values = [one.value.copy() for one in recorded]
    quantities = sorted({one.series.quantity for one in recorded})
    kinds: list[str] = []
    injected = []
    rows = len(values[0])
    for start in range(_FIRST_SLOT_ROW, rows - _SLOT, _SLOT):
        for quantity in quantities:
            if not kinds:
                kinds = list(rng.permutation(KINDS))
            kind = kinds.pop()
            places = [i for i, one in enumerate(recorded) if one.series.quantity == quantity]
            place = int(rng.choice(places))
            first = start + int(rng.integers(0, WEEK - _MARGIN))
            last = first + _LENGTH.get(kind, WEEK) - 1
            values[place][first : last + 1] = _spoil(kind, values[place], first, last)
            injected.append(Injected(kind, place, first, last))
    spoilt = [replace(one, value=value) for one, value in zip(recorded, values, strict=True)]
    return spoilt, injected


def _spoil(kind: str, value: NDArray[np.float64], first: int, last: int) -> NDArray[np.float64]:
    part = value[first : last + 1]
    size = float(np.nanstd(value[WEEK:first] - value[WEEK - 24 : first - 24]))
    before = value[:first]
    known = before[np.isfinite(before)]
    if kind == "spike":
        return part + 8.0 * size
    if kind == "stuck":
        return np.full(len(part), known[-1])
    if kind == "offset":
        return part + 4.0 * size
    if kind == "drift":
        return part + np.linspace(0.0, 6.0 * size, len(part))
    if kind == "gain":
        return part * 3.0
    if kind == "dropout":
        return np.zeros(len(part))
    if kind == "saturated":
        return np.full(len(part), np.nanmax(value[:first]))
    return value[first - 5 * 24 : last + 1 - 5 * 24]
