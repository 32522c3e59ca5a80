"""Statements in InfluxQL and the decoding of their results. No I/O."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cloud_ingest.stores.influxdb.line_protocol import (
    TAGS,
    encode_name,
    measurement,
    quoted_identifier,
    quoted_text,
    tags_of,
)
from cloud_ingest.stores.protocol import Envelope, SampleColumns
from telemetry.batches import Float64, Int64, UInt8
from telemetry.quality import Flag
from telemetry.series import Series

StatementResult = list[dict[str, Any]]
"""The series in the result of one statement, as in the server's JSON."""

_GOOD = f'"quality" <> {Flag.FAIL:d} AND "quality" <> {Flag.MISSING:d}'


def source(series: Series) -> str:
    """The measurement of ``series``, quoted."""
    return quoted_identifier(measurement(series))


def where_series(series: Series) -> str:
    """The condition for ``series`` alone, at whatever station its gateway was."""
    tags = tags_of(series)
    return " AND ".join(
        f"{quoted_identifier(t)} = {quoted_text(tags[t])}" for t in ("gateway", "device", "metric")
    )


def where_time(start_ms: int, end_ms: int) -> str:
    """The condition start_ms <= time < end_ms."""
    return f"time >= {start_ms}ms AND time < {end_ms}ms"


def samples(series: Series, start_ms: int, end_ms: int, limit: int | None = None) -> str:
    """The statement for the samples of ``series``, sorted by time."""
    text = (
        f'SELECT "value", "quality" FROM {source(series)} '  # noqa: S608  # names are quoted
        f"WHERE {where_series(series)} AND {where_time(start_ms, end_ms)} ORDER BY time ASC"
    )
    return text if limit is None else f"{text} LIMIT {limit}"


def steps(series: Series, start_ms: int, end_ms: int, step_ms: int, offset_ms: int) -> str:
    """Two statements about ``series``: on the samples that take part, and on all."""
    span = where_time(start_ms, end_ms)
    return steps_of(f"{source(series)} WHERE {where_series(series)} AND {span}", step_ms, offset_ms)


def of_gateway(gateway: str, start_ms: int, end_ms: int) -> str:
    """The source and condition for all series of a gateway in a span."""
    name = quoted_text(encode_name(gateway))
    return f'/.*/ WHERE "gateway" = {name} AND {where_time(start_ms, end_ms)}'


def steps_of(selected: str, step_ms: int, offset_ms: int = 0) -> str:
    """Two statements about what is ``selected``, by series: on the samples that take part, and on all."""
    tags = ", ".join(quoted_identifier(tag) for tag in TAGS)
    by = f"GROUP BY time({step_ms}ms, {offset_ms}ms), {tags} fill(none)"
    return (
        'SELECT mean("value"), min("value"), max("value"), last("value"), count("value"), '  # noqa: S608  # quoted
        f'min("quality"), max("quality") FROM {selected} AND {_GOOD} {by}; '
        f'SELECT count("quality"), min("quality") FROM {selected} {by}'
    )


def columns(result: StatementResult) -> dict[str, list[Any]]:
    """The columns of a result; those of several series are joined."""
    if not result:
        return {}
    names = _distinct(result[0]["columns"])
    rows = [row for part in result for row in part["values"]]
    return dict(zip(names, (list(c) for c in zip(*rows, strict=True)), strict=True))


def _distinct(names: Sequence[str]) -> list[str]:
    """Column names as newer versions make them distinct: min, min_1. Older versions repeat them."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, -1) + 1
        result.append(f"{name}_{seen[name]}" if seen[name] else name)
    return result


def to_sample_columns(result: StatementResult) -> SampleColumns:
    """Decode the result of ``samples``."""
    found = columns(result)
    if not found:
        return SampleColumns(np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint8))
    # While a point is being written, InfluxDB returns it with only some of its fields.
    whole = np.array([q is not None for q in found["quality"]], np.bool_)
    time_ms = np.asarray(found["time"], np.int64)[whole]
    value = floats(found["value"])[whole]
    quality = integers(found["quality"])[whole].astype(np.uint8)
    value[quality == Flag.MISSING] = np.nan
    if not (time_ms[1:] > time_ms[:-1]).all():
        # One series at two stations: sort by time, one sample for each time.
        time_ms, first = np.unique(time_ms, return_index=True)
        value, quality = value[first], quality[first]
    return SampleColumns(time_ms, value, quality)


def to_envelope(good: StatementResult, everything: StatementResult) -> Envelope:
    """Decode the two results of ``steps``."""
    whole, part = columns(everything), columns(good)
    # A step whose only point is being written has no quality yet and is left out.
    seen = np.array([flag is not None for flag in whole.get("min", [])], np.bool_)
    time_ms = np.asarray(whole.get("time", []), np.int64)[seen]
    n = len(time_ms)
    count = integers(whole.get("count", []))[seen]
    quality = integers(whole.get("min", []))[seen].astype(np.uint8)
    times = np.asarray(part.get("time", []), np.int64)
    values = {name: floats(part.get(name, [])) for name in ("mean", "min", "max", "last")}
    # Each aggregate is computed at its own moment: keep only steps that all of them saw.
    complete = ~np.isnan(list(values.values())).any(axis=0)
    known = np.isin(times, time_ms) & complete
    position = np.searchsorted(time_ms, times[known])
    taken = integers(part.get("count", []))[known]
    result = {name: spread(v[known], position, n) for name, v in values.items()}
    number = np.zeros(n, np.int64)
    number[position] = taken
    worst = _worst(integers(part.get("min_1", [])), integers(part.get("max_1", [])))[known]
    quality[position[taken > 0]] = worst[taken > 0]
    return Envelope(time_ms, **result, count=count, good=number, quality=quality)


def _worst(least: Int64, most: Int64) -> UInt8:
    """The worst flag of the samples that took part, from the least and greatest flag."""
    suspect = most == Flag.SUSPECT
    passed = least == Flag.PASS
    flags = np.where(suspect, Flag.SUSPECT, np.where(passed, Flag.PASS, Flag.NOT_EVALUATED))
    return flags.astype(np.uint8)


def floats(values: Iterable[float | None]) -> Float64:
    """Floats, with NaN for null."""
    return np.array([np.nan if v is None else v for v in values], np.float64)


def integers(values: Iterable[int | None]) -> Int64:
    """Integers, with 0 for null."""
    return np.array([v or 0 for v in values], np.int64)


def spread(values: Float64, position: Int64, size: int) -> Float64:
    """An array of ``size`` with ``values`` at the positions ``position``, NaN elsewhere."""
    result = np.full(size, np.nan)
    result[position] = values
    return result
