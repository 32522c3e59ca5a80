"""Parts: Parquet files of sorted samples or summaries, written and read by DuckDB."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from cloud_ingest.stores.embedded.manifest import DAY_MS, PARTITION_DAYS, Part, sync_folder
from cloud_ingest.stores.levels import Summaries, concat
from cloud_ingest.stores.protocol import Level, StoreUnavailable
from telemetry.batches import Int64, SampleBatch

ROW_GROUP = 61_440
"""Rows that are read together: the best of those measured for one series in one of 30 days."""

# What has no value is null in the file. In summaries, most often of one sample, least, greatest and
# last value are null where they are the mean: so they take no room.
_SAMPLE = "series, time_ms, coalesce(value, 'nan'::DOUBLE) AS value, quality"
_SUMMARY = (
    "series, time_ms, coalesce(mean, 'nan'::DOUBLE) AS mean, "
    "coalesce(min, mean, 'nan'::DOUBLE) AS min, coalesce(max, mean, 'nan'::DOUBLE) AS max, "
    "coalesce(last, mean, 'nan'::DOUBLE) AS last, count, good, quality"
)


class PartFiles:
    """Writes and reads the parts in one folder. Usable from several threads."""

    def __init__(self, folder: Path, threads: int = 2) -> None:
        self._folder = folder
        self._database = duckdb.connect()
        self._database.execute(f"SET threads = {threads}")
        self._database.execute("SET memory_limit = '1GB'")
        self._database.execute("SET temp_directory = ?", [str(folder / "tmp")])
        self._database.execute("SET parquet_metadata_cache = true")

    def write_samples(self, batch: SampleBatch, number: int, group: int) -> Part:
        """Write sorted samples of one UTC day as a raw part, durable on return."""
        part = _describe("raw", number, group, batch)
        columns = {
            "series": batch.series,
            "time_ms": batch.time_ms,
            "value": batch.value,
            "quality": batch.quality,
        }
        self._write(part, columns)
        return part

    def write_summaries(self, level: Level, summaries: Summaries, number: int, group: int) -> Part:
        """Write sorted summaries of one partition as a part, durable on return."""
        part = _describe(level, number, group, summaries)
        columns = {f.name: getattr(summaries, f.name) for f in fields(Summaries)}
        for name in ("min", "max", "last"):
            columns[name] = np.where(columns[name] == summaries.mean, np.nan, columns[name])
        self._write(part, columns)
        return part

    def _write(self, part: Part, columns: dict[str, Any]) -> None:
        path = self._folder / part.file
        cursor = self._database.cursor()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            cursor.register("columns", columns)
            cursor.execute(
                f"COPY (SELECT * FROM columns) TO '{_quoted(path)}' "  # noqa: S608  # quoted
                f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
            )
            with path.open("rb") as file:
                os.fsync(file.fileno())
            for folder in (path.parent, path.parent.parent, self._folder):
                sync_folder(folder)
        except (duckdb.Error, OSError) as error:
            raise StoreUnavailable(f"{path}: {error}") from error
        finally:
            cursor.close()

    def read_samples(
        self, parts: Sequence[Part], low: int, high: int, start_ms: int, end_ms: int
    ) -> SampleBatch:
        """Samples of series low..high with start_ms <= time < end_ms, part by part in their order."""
        found = self._read(parts, _SAMPLE, low, high, start_ms, end_ms)
        if not found:
            return SampleBatch.empty()
        return SampleBatch(found["series"], found["time_ms"], found["value"], found["quality"])

    def read_summaries(
        self, parts: Sequence[Part], low: int, high: int, start_ms: int, end_ms: int
    ) -> Summaries:
        """Summaries of series low..high in a span, part by part in their order."""
        found = self._read(parts, _SUMMARY, low, high, start_ms, end_ms)
        if not found:
            return concat([])
        return Summaries(*(found[f.name] for f in fields(Summaries)))

    def _read(
        self, parts: Sequence[Part], what: str, low: int, high: int, start_ms: int, end_ms: int
    ) -> dict[str, Any]:
        wanted = overlapping(parts, low, high, start_ms, end_ms)
        if not wanted:
            return {}
        question = (
            f"SELECT {what} FROM {self.table(wanted)} "  # noqa: S608  # names are quoted
            "WHERE series BETWEEN ? AND ? AND time_ms >= ? AND time_ms < ?"
        )
        return self.query(question, [low, high, start_ms, end_ms])

    def rows_of_series(self, parts: Sequence[Part]) -> tuple[Int64, Int64]:
        """The series in ``parts`` in order, and how many rows each has in all of them."""
        found = self.query(
            f"SELECT series, count(*) AS n FROM {self.table(parts)} GROUP BY series ORDER BY series"  # noqa: S608  # quoted
        )
        return found["series"].astype(np.int64), found["n"].astype(np.int64)

    def table(self, parts: Sequence[Part]) -> str:
        """The parts as a table in SQL."""
        files = ", ".join(f"'{_quoted(self._folder / p.file)}'" for p in parts)
        return f"read_parquet([{files}])"

    def query(
        self, sql: str, values: Sequence[object] = (), **tables: dict[str, Any]
    ) -> dict[str, Any]:
        """Ask DuckDB, with numpy columns as further tables; the answer in numpy columns."""
        cursor = self._database.cursor()
        try:
            for name, columns in tables.items():
                cursor.register(name, columns)
            answer: dict[str, Any] = cursor.execute(sql, list(values)).fetchnumpy()
        except duckdb.Error as error:
            raise StoreUnavailable(str(error)) from error
        finally:
            cursor.close()
        return answer

    def close(self) -> None:
        """Let go of DuckDB."""
        self._database.close()


def _describe(level: Level, number: int, group: int, rows: SampleBatch | Summaries) -> Part:
    first, last = int(rows.time_ms.min()), int(rows.time_ms.max())
    partition = first // (DAY_MS * PARTITION_DAYS[level])
    low, high = int(rows.series[0]), int(rows.series[-1])
    return Part(level, partition, number, len(rows), first, last, low, high, group)


def overlapping(
    parts: Iterable[Part], low: int, high: int, start_ms: int, end_ms: int
) -> list[Part]:
    """The parts that may hold samples of series low..high from start_ms until before end_ms."""
    return [
        part
        for part in parts
        if part.first_ms < end_ms
        and part.last_ms >= start_ms
        and part.low <= high
        and part.high >= low
    ]


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
