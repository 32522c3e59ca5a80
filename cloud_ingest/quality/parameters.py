"""Parameters of the quality tests for every series, as arrays. Infinite or NaN: not tested."""

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
"""Names of the parameters, with the value that switches the test off."""

_NO_GROUP = -1


class Neighbours:
    """Groups of series that measure the same quantity at the same station."""

    def __init__(self) -> None:
        self._order = np.empty(0, np.int64)
        self._pairs: list[Bool] = []

    def arrange(self, group: Int64) -> None:
        """Set the group of each series; ``_NO_GROUP``: it is not compared."""
        rows = np.flatnonzero(group != _NO_GROUP)
        _, inverse, size = np.unique(group[rows], return_inverse=True, return_counts=True)
        rows = rows[size[inverse] > 1]
        self._order = rows[np.argsort(group[rows], kind="stable")]
        sorted_group = group[self._order]
        self._pairs = []
        while len(self._pairs) + 1 < len(sorted_group):
            lag = len(self._pairs) + 1
            same = sorted_group[lag:] == sorted_group[:-lag]
            if not same.any():
                break
            self._pairs.append(same)

    def nearest(self, value: Float64) -> Float64:
        """For each series, the distance to the nearest value of its group; NaN without one."""
        distance = np.full(len(value), np.nan)
        own = value[self._order]
        nearest = np.full(len(own), np.nan)
        for lag, same in enumerate(self._pairs, start=1):
            apart = np.where(same, np.abs(own[lag:] - own[:-lag]), np.nan)
            nearest[lag:] = np.fmin(nearest[lag:], apart)
            nearest[:-lag] = np.fmin(nearest[:-lag], apart)
        distance[self._order] = nearest
        return distance


class TestParameters:
    """The parameters of every series. Series with equal parameters share a row of the table."""

    def __init__(self) -> None:
        self._table: dict[str, Float64] = {name: np.empty(0) for name in _COLUMNS}
        self._row = np.empty(0, np.int32)
        self._rows: dict[tuple[int, tuple[float, float] | None], int] = {}
        self.has_range = np.empty(0, np.bool_)
        """True for each series that has a gross range."""
        self._group = np.empty(0, np.int64)
        self._groups: dict[tuple[str, str], int] = {}
        self.neighbours = Neighbours()
        self.seasons: dict[int, Tests] = {}
        """Tests with a climatology, by series index."""

    def __len__(self) -> int:
        return len(self._row)

    def uses(self, name: str) -> bool:
        """True if any series has this parameter."""
        return bool((self._table[name] != _COLUMNS[name]).any())

    def register(self, series: Sequence[Series], settings: QualitySettings) -> None:
        """Add series, or change their parameters."""
        extra = max((s.index for s in series), default=-1) + 1 - len(self)
        if extra > 0:
            self._row = np.append(self._row, np.zeros(extra, np.int32))
            self.has_range = np.append(self.has_range, np.zeros(extra, np.bool_))
            self._group = np.append(self._group, np.full(extra, _NO_GROUP, np.int64))
        for one in series:
            self._set(one, settings.tests_of(one))
        self.neighbours.arrange(self._group)

    def _set(self, one: Series, tests: Tests) -> None:
        key = (id(tests), one.valid)  # the settings keep their tests, so an id stays unique
        if key not in self._rows:
            self._rows[key] = len(self._rows)
            for name, value in _values(one, tests).items():
                self._table[name] = np.append(self._table[name], value)
        self._row[one.index] = self._rows[key]
        self.seasons.pop(one.index, None)
        if tests.climatology:
            self.seasons[one.index] = tests
        fail = tests.fail or one.valid
        self.has_range[one.index] = fail is not None or tests.suspect is not None
        group = _NO_GROUP
        if tests.neighbour is not None:
            group = self._groups.setdefault((one.station, one.quantity), len(self._groups))
        self._group[one.index] = group

    def rows_of(self, series: Int64) -> Int64:
        """The row of the table for each of these series; ``values`` takes them."""
        return self._row[series].astype(np.int64)

    def values(self, name: str, rows: Int64) -> Float64:
        """A parameter at each of these rows."""
        return self._table[name][rows]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        table = sum(a.nbytes for a in self._table.values())
        return table + self._row.nbytes + self.has_range.nbytes + self._group.nbytes


def _values(one: Series, tests: Tests) -> dict[str, float]:
    """The parameters of a series, by name."""
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
