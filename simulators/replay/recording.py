"""Reads recordings into columns: CSV (also .gz), Parquet and exports of Quantrac."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from simulators.signals.randomness import Float64, Int64
from telemetry.yaml_files import FileProblem, YamlFileError

_ABOUT_IN_TIME = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One recorded series: ascending times (UTC ms) and values, without missing values.

    ``canonical`` means that values are in the canonical unit, as in exports; otherwise they are
    in the unit of the metric that replays them.
    """

    time_ms: Int64
    value: Float64
    canonical: bool = False

    @property
    def step_ms(self) -> int:
        """The typical time between two values, ms."""
        return int(np.median(np.diff(self.time_ms))) if len(self.time_ms) > 1 else 60_000

    def at(self, time_ms: Int64) -> Float64:
        """The value at each time; NaN in a gap and outside the recording.

        A value holds until the next one, or for one typical step before a gap.
        """
        if not len(self.time_ms):
            return np.full(len(time_ms), np.nan)
        place = np.searchsorted(self.time_ms, time_ms, side="right") - 1
        known = place >= 0
        place = np.maximum(place, 0)
        following = np.append(self.time_ms[1:], self.time_ms[-1] + self.step_ms)
        holds = np.where(
            following - self.time_ms <= _ABOUT_IN_TIME * self.step_ms,
            following,
            self.time_ms + self.step_ms,
        )
        fresh = time_ms < holds[place]
        return np.where(known & fresh, self.value[place], np.nan)


def read_recording(
    path: Path, names: Sequence[str], time: str = "timestamp", missing: Sequence[float] = ()
) -> dict[str, Column]:
    """The columns ``names`` of a file, sorted by time; of equal times the last value is kept.

    An export has the columns time (or time_ms), value, and gateway, device, metric (or series);
    its ``names`` are series, gateway/device/metric. Times without a zone are UTC. Raises
    YamlFileError if the file or a column does not exist.
    """
    if not path.is_file():
        raise YamlFileError([FileProblem(str(path), 0, "replay", "there is no such file")])
    with duckdb.connect() as database:
        rows = _relation(path)
        try:
            there = database.execute(f"DESCRIBE SELECT * FROM {rows}", [str(path)]).fetchall()  # noqa: S608  # two texts of ours
        except duckdb.Error as error:
            message = f"cannot be read: {str(error).splitlines()[0]}"
            raise YamlFileError([FileProblem(str(path), 0, "replay", message)]) from error
        kinds = {str(name): str(kind) for name, kind, *_ in there}
        series = _series_of(kinds)
        stamp = next((n for n in ("time_ms", "time") if n in kinds), time) if series else time
        wanted = ["value"] if series else list(names)
        absent = [n for n in [stamp, *wanted] if n not in kinds]
        if absent:
            message = f"has no column {absent[0]!r}; it has {', '.join(kinds)}"
            raise YamlFileError([FileProblem(str(path), 0, "replay", message)])
        columns = {}
        for name in names:
            where = f"WHERE {series} = ?" if series else ""
            query = (
                f"SELECT {_milliseconds(stamp, kinds[stamp])} AS t, "  # noqa: S608  # names are checked
                f"TRY_CAST({_quoted('value' if series else name)} AS DOUBLE) AS v "
                f"FROM {rows} {where} ORDER BY t"
            )
            given: list[Any] = [str(path), name] if series else [str(path)]
            found = database.execute(query, given).fetchnumpy()
            columns[name] = _column(found, missing, canonical=bool(series))
            if series and not len(columns[name].time_ms):
                raise YamlFileError(
                    [FileProblem(str(path), 0, "replay", f"has no series {name!r}")]
                )
    return columns


def _series_of(kinds: Mapping[str, str]) -> str:
    """The SQL expression of the series of a row; empty if the file is not an export."""
    if "value" not in kinds:
        return ""
    if "series" in kinds:
        return "series"
    if {"gateway", "device", "metric"} <= kinds.keys():
        return "gateway || '/' || device || '/' || metric"
    return ""


def _column(found: Mapping[str, Any], missing: Sequence[float], *, canonical: bool) -> Column:
    time_ms = np.ma.getdata(found["t"]).astype(np.int64)
    value = np.ma.filled(np.ma.asarray(found["v"], dtype=np.float64), np.nan)
    good = np.isfinite(value) & ~np.ma.getmaskarray(found["t"])
    for code in missing:
        good &= value != code
    time_ms, value = time_ms[good], value[good]
    last = np.ones(len(time_ms), dtype=np.bool_)
    last[:-1] = time_ms[1:] != time_ms[:-1]
    return Column(time_ms[last], value[last], canonical)


def _relation(path: Path) -> str:
    names = path.name.lower()
    if names.endswith((".parquet", ".pq")):
        return "read_parquet(?)"
    return "read_csv(?, header = true, sample_size = -1, nullstr = ['', 'NA', 'NULL', 'nan'])"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _milliseconds(name: str, kind: str) -> str:
    column = _quoted(name)
    if "INT" in kind:
        return f"CASE WHEN {column} < 100000000000 THEN {column} * 1000 ELSE {column} END"
    if kind == "DOUBLE":
        return f"CAST({column} * 1000 AS BIGINT)"
    return (
        f"epoch_ms(CAST({column} AS TIMESTAMPTZ))"
        if "ZONE" in kind
        else (f"epoch_ms(CAST({column} AS TIMESTAMP))")
    )
