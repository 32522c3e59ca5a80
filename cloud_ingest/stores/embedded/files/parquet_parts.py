"""Parts: Parquet files of sorted samples, written and read by DuckDB."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from cloud_ingest.stores.embedded.files.manifest import DAY_MS, ParquetPart
from cloud_ingest.stores.embedded.files.replacing import sync_folder
from cloud_ingest.stores.protocol import StoreUnavailable
from telemetry.batches import Int64, SampleBatch

ROW_GROUP = 61_440
"""Rows in a row group: the fastest size measured for reading one series of one day out of 30."""


class PartFiles:
    """Writes and reads the parts in one folder. Thread-safe."""

    def __init__(self, folder: Path, threads: int = 2) -> None:
        self._folder = folder
        self._new_in: set[Path] = set()
        self._database: duckdb.DuckDBPyConnection | None = duckdb.connect()
        self._database.execute(f"SET threads = {threads}")
        self._database.execute("SET memory_limit = '1GB'")
        self._database.execute("SET temp_directory = ?", [str(folder / "tmp")])
        self._database.execute("SET parquet_metadata_cache = true")

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        database = self._database
        if database is None:
            raise StoreUnavailable(f"{self._folder}: the store is closed")
        return database.cursor()

    def write(self, batch: SampleBatch, number: int, group: int) -> ParquetPart:
        """Write sorted samples of one UTC day as a part; durable after ``sync_folders``."""
        first, last = int(batch.time_ms.min()), int(batch.time_ms.max())
        low, high = int(batch.series[0]), int(batch.series[-1])
        part = ParquetPart(first // DAY_MS, number, len(batch), first, last, low, high, group)
        columns = {
            "series": batch.series,
            "time_ms": batch.time_ms,
            "value": batch.value,
            "quality": batch.quality,
        }
        self._write(part, columns)
        return part

    def _write(self, part: ParquetPart, columns: dict[str, Any]) -> None:
        path = self._folder / part.file
        cursor = self._cursor()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            cursor.register("columns", columns)
            cursor.execute(
                f"COPY (SELECT * FROM columns) TO '{_quoted(path)}' "  # noqa: S608  # quoted
                f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
            )
            with path.open("rb") as file:
                os.fsync(file.fileno())
            self._new_in.update((path.parent, path.parent.parent, self._folder))
        except (duckdb.Error, OSError) as error:
            raise StoreUnavailable(f"{path}: {error}") from error
        finally:
            cursor.close()

    def sync_folders(self) -> None:
        """Make the names of all parts written since the last call durable."""
        try:
            for folder in sorted(self._new_in, reverse=True):
                if folder.exists():
                    sync_folder(folder)
        except OSError as error:
            raise StoreUnavailable(f"{self._folder}: {error.strerror or error}") from error
        self._new_in.clear()

    def read(
        self, parts: Sequence[ParquetPart], low: int, high: int, start_ms: int, end_ms: int
    ) -> SampleBatch:
        """Samples of series low..high with start_ms <= time < end_ms, in the order of the parts."""
        wanted = overlapping(parts, low, high, start_ms, end_ms)
        if not wanted:
            return SampleBatch.empty()
        # DuckDB writes NaN as null: a sample without a value is null in the file.
        question = (
            "SELECT series, time_ms, coalesce(value, 'nan'::DOUBLE) AS value, quality "  # noqa: S608  # quoted
            f"FROM {self.table(wanted)} "
            "WHERE series BETWEEN ? AND ? AND time_ms >= ? AND time_ms < ?"
        )
        found = self.query(question, [low, high, start_ms, end_ms])
        return SampleBatch(found["series"], found["time_ms"], found["value"], found["quality"])

    def rows_of_series(self, parts: Sequence[ParquetPart]) -> tuple[Int64, Int64]:
        """The sorted series indexes in ``parts``, and the number of rows of each."""
        found = self.query(
            f"SELECT series, count(*) AS n FROM {self.table(parts)} GROUP BY series ORDER BY series"  # noqa: S608  # quoted
        )
        return found["series"].astype(np.int64), found["n"].astype(np.int64)

    def table(self, parts: Sequence[ParquetPart]) -> str:
        """The parts as a table expression in SQL."""
        files = ", ".join(f"'{_quoted(self._folder / p.file)}'" for p in parts)
        return f"read_parquet([{files}])"

    def query(
        self, sql: str, values: Sequence[object] = (), **tables: dict[str, Any]
    ) -> dict[str, Any]:
        """Run a query, with numpy columns as further tables; the result as numpy columns."""
        cursor = self._cursor()
        try:
            for name, columns in tables.items():
                cursor.register(name, columns)
            result: dict[str, Any] = cursor.execute(sql, list(values)).fetchnumpy()
        except duckdb.Error as error:
            raise StoreUnavailable(str(error)) from error
        finally:
            cursor.close()
        return result

    def close(self) -> None:
        """Close the database."""
        database, self._database = self._database, None
        if database is not None:
            database.close()


def overlapping(
    parts: Iterable[ParquetPart], low: int, high: int, start_ms: int, end_ms: int
) -> list[ParquetPart]:
    """The parts that may hold samples of series low..high with start_ms <= time < end_ms."""
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
