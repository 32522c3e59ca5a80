"""The numbers of every test for every series, as arrays. Infinite or NaN: not tested."""

from collections.abc import Sequence

import numpy as np

from cloud_ingest.quality.settings import QualitySettings, Tests
from telemetry.batches import Bool, Float64, Int64
from telemetry.series import Series

_COLUMNS = {
    "fail_low": -np.inf, "fail_high": np.inf, "suspect_low": -np.inf, "suspect_high": np.inf,
    "spike_suspect": np.inf, "spike_fail": np.inf, "rate_suspect": np.inf, "rate_fail": np.inf,
    "flat_tolerance": 0.0, "flat_suspect_ms": np.inf, "flat_fail_ms": np.inf,
    "flat_ignore": np.nan, "period_ms": 0.0, "std_suspect": 0.0, "std_fail": 0.0,
    "neighbour": np.inf, "gap_ms": np.inf,
}  # fmt: skip

MOST_QUANTITIES = 1 << 20


class Neighbours:
    """Which series measure the same quantity at the same station."""

    def __init__(self) -> None:
        self._order = np.empty(0, np.int64)
        self._pairs: list[Bool] = []

    def arrange(self, place: Int64, asked: Bool) -> None:
        """Note who stands beside whom; ``place`` numbers station and quantity."""
        rows = np.flatnonzero(asked)
        _, same_place, crowd = np.unique(place[rows], return_inverse=True, return_counts=True)
        rows = rows[crowd[same_place] > 1]
        self._order = rows[np.argsort(place[rows], kind="stable")]
        here = place[self._order]
        self._pairs = []
        while len(self._pairs) + 1 < len(here):
            lag = len(self._pairs) + 1
            same = here[lag:] == here[:-lag]
            if not same.any():
                break
            self._pairs.append(same)

    def nearest(self, value: Float64) -> Float64:
        """For each series, how far the nearest value beside it is; NaN without one."""
        distance = np.full(len(value), np.nan)
        here = value[self._order]
        nearest = np.full(len(here), np.nan)
        for lag, same in enumerate(self._pairs, start=1):
            apart = np.where(same, np.abs(here[lag:] - here[:-lag]), np.nan)
            nearest[lag:] = np.fmin(nearest[lag:], apart)
            nearest[:-lag] = np.fmin(nearest[:-lag], apart)
        distance[self._order] = nearest
        return distance


class TestParameters:
    """The numbers of every series; series with the same numbers share a row of the table."""

    def __init__(self) -> None:
        self._data: dict[str, Float64] = {name: np.empty(0) for name in _COLUMNS}
        self._ranged = np.empty(0, np.bool_)
        self._row = np.empty(0, np.int32)
        self._rows: dict[tuple[str, ...], int] = {}
        self._known: dict[tuple[int, tuple[float, float] | None], int] = {}
        self._asked = np.empty(0, np.int64)
        self._asked_rows = np.empty(0, np.intp)
        self._place = np.empty(0, np.int64)
        self.neighbours = Neighbours()
        self.seasons: dict[int, Tests] = {}
        self._stations: dict[str, int] = {}
        self._quantities: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ranged)

    def uses(self, name: str) -> bool:
        """Whether any series has this number."""
        usual = _COLUMNS[name]
        return bool((self._data[name] != usual).any())

    def register(self, series: Sequence[Series], settings: QualitySettings) -> None:
        """Take in the numbers of these series."""
        self.forget()
        top = max((s.index for s in series), default=-1) + 1
        extra = top - len(self)
        if extra > 0:
            self._row = np.append(self._row, np.zeros(extra, np.int32))
            self._ranged = np.append(self._ranged, np.zeros(extra, np.bool_))
            self._place = np.append(self._place, np.full(extra, -1, np.int64))
        for one in series:
            self._take(one, settings.tests_of(one))
        asked = np.isfinite(self.of("neighbour", np.arange(len(self))))
        self.neighbours.arrange(self._place, asked & (self._place >= 0))

    def _take(self, one: Series, tests: Tests) -> None:
        known = (id(tests), one.valid)  # the settings keep each of their tests
        row = self._known.get(known)
        if row is None:
            row = self._known[known] = self._row_of(_values(one, tests))
        self._row[one.index] = row
        self.seasons.pop(one.index, None)
        if tests.climatology:
            self.seasons[one.index] = tests
        fail = tests.fail or one.valid
        self._ranged[one.index] = fail is not None or tests.suspect is not None
        if tests.neighbour is not None:
            station = self._stations.setdefault(one.station, len(self._stations))
            quantity = self._quantities.setdefault(one.quantity, len(self._quantities))
            self._place[one.index] = station * MOST_QUANTITIES + quantity

    def _row_of(self, values: dict[str, float]) -> int:
        key = tuple(repr(v) for v in values.values())
        if key not in self._rows:
            self._rows[key] = len(self._rows)
            for name, value in values.items():
                self._data[name] = np.append(self._data[name], value)
        return self._rows[key]

    def of(self, name: str, index: Int64) -> Float64:
        """A number for each of these series."""
        if index is not self._asked:  # many numbers are asked for the same series in turn
            self._asked, self._asked_rows = index, self._row[index].astype(np.intp)
        return self._data[name][self._asked_rows]

    def forget(self) -> None:
        """Let go of the series last asked for."""
        self._asked, self._asked_rows = np.empty(0, np.int64), np.empty(0, np.int32)

    @property
    def nbytes(self) -> int:
        """The bytes of all numbers."""
        table = sum(a.nbytes for a in self._data.values())
        return table + self._row.nbytes + self._ranged.nbytes + self._place.nbytes

    def has_range(self, index: Int64) -> Bool:
        """Whether each of these series has a gross range."""
        return self._ranged[index]


def _values(one: Series, tests: Tests) -> dict[str, float]:
    """The numbers of a series."""
    values = dict(_COLUMNS)
    fail = tests.fail or one.valid
    if fail is not None:
        values |= {"fail_low": fail[0], "fail_high": fail[1]}
    if tests.suspect is not None:
        values |= {"suspect_low": tests.suspect[0], "suspect_high": tests.suspect[1]}
    for name, levels in (("spike", tests.spike), ("rate", tests.rate)):
        if levels is not None:
            values[f"{name}_suspect"] = levels.suspect
            values[f"{name}_fail"] = np.inf if levels.fail is None else levels.fail
    if tests.flat is not None:
        flat = tests.flat
        values["flat_tolerance"], values["flat_suspect_ms"] = flat.tolerance, flat.suspect
        values["flat_fail_ms"] = np.inf if flat.fail is None else flat.fail
        values["flat_ignore"] = np.nan if flat.ignore is None else flat.ignore
    if tests.attenuated is not None:
        still = tests.attenuated
        values |= {"period_ms": still.period, "std_suspect": still.suspect}
        values["std_fail"] = still.fail or 0.0
    values["neighbour"] = tests.neighbour or np.inf
    values["gap_ms"] = np.inf if tests.gap is None else tests.gap
    return values
