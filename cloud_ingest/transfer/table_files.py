"""Samples as Parquet and Excel files, written in bounded memory, and reading Parquet."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import xlsxwriter

from cloud_ingest.transfer.rows import Row, RowError, RowSeries
from cloud_ingest.transfer.selection import Pieces
from cloud_ingest.transfer.text_files import HEADER
from telemetry.series import SeriesKey

SHEET_ROWS = 1_048_576
"""The number of rows in a sheet of Excel."""
_TABLE = (
    "CREATE TABLE samples (time TIMESTAMP_MS, station VARCHAR, gateway VARCHAR, device VARCHAR, "
    "metric VARCHAR, quantity VARCHAR, unit VARCHAR, value DOUBLE, quality UTINYINT)"
)
_READ_ROWS = 10_000


def write_parquet(pieces: Pieces, path: Path) -> int:
    """Write ``pieces`` as one Parquet file (zstd); returns the number of rows.

    They are collected in a database on disk first, so that memory is bounded.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        database = duckdb.connect(str(Path(folder) / "export.duckdb"))
        database.execute("SET memory_limit = '500MB'")
        database.execute(_TABLE)
        rows = 0
        for series, found in pieces:
            key = series.key
            database.register(
                "piece",
                {"t": found.time_ms, "v": found.value, "q": found.quality},
            )
            database.execute(
                "INSERT INTO samples SELECT make_timestamp_ms(t), ?, ?, ?, ?, ?, ?, v, q FROM piece",
                [series.station, key.gateway, key.device, key.metric, series.quantity, series.unit],
            )
            rows += len(found.time_ms)
        target = str(path).replace("'", "''")
        database.execute(
            f"COPY samples TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 100000)"
        )
        database.close()
    return rows


def read_parquet(path: Path) -> Iterator[Row]:
    """The rows of a Parquet file with our columns (``time`` as a timestamp or in ms)."""
    database = duckdb.connect()
    try:
        yield from _read_parquet(database, path)
    except duckdb.Error as error:
        raise RowError(0, str(error)) from error
    finally:
        database.close()


def _read_parquet(database: duckdb.DuckDBPyConnection, path: Path) -> Iterator[Row]:
    name = str(path).replace("'", "''")
    sql = f"DESCRIBE SELECT * FROM read_parquet('{name}')"  # noqa: S608  # quoted
    columns = database.execute(sql).fetchall()
    types = {c[0]: c[1] for c in columns}
    missing = [c for c in ("time", "gateway", "device", "metric", "value") if c not in types]
    if missing:
        raise RowError(0, f"the file lacks the columns {', '.join(missing)}")
    time = "epoch_ms(time)" if types["time"].startswith("TIMESTAMP") else "CAST(time AS BIGINT)"
    optional = {"station": "''", "quantity": "'unknown'", "unit": "'1'", "quality": "2"}
    given = [f"coalesce({n}, {o})" if n in types else o for n, o in optional.items()]
    cursor = database.execute(
        f"SELECT {time}, gateway, device, metric, {', '.join(given)}, "  # noqa: S608  # names are ours
        f"coalesce(CAST(value AS DOUBLE), 'nan'::DOUBLE) FROM read_parquet('{name}')"
    )
    while rows := cursor.fetchmany(_READ_ROWS):
        for time_ms, gateway, device, metric, station, quantity, unit, quality, value in rows:
            key = SeriesKey(gateway, device, metric)
            yield Row(RowSeries(key, station, quantity, unit), time_ms, value, quality)


def write_excel(pieces: Pieces, path: Path) -> int:
    """Write ``pieces`` as a workbook, with a new sheet when one is full; the number of rows."""
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    rows = 0
    with xlsxwriter.Workbook(str(path), options) as book:
        when = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
        bold = book.add_format({"bold": True})
        sheet, row = None, SHEET_ROWS
        for series, found in pieces:
            key = series.key
            names = (
                series.station,
                key.gateway,
                key.device,
                key.metric,
                series.quantity,
                series.unit,
            )
            for time_ms, value, quality in zip(
                found.time_ms.tolist(), found.value.tolist(), found.quality.tolist(), strict=True
            ):
                if sheet is None or row >= SHEET_ROWS:
                    sheet, row = book.add_worksheet(), 1
                    sheet.set_column(0, 0, 24)
                    sheet.freeze_panes(1, 0)
                    sheet.write_row(0, 0, ("time (UTC)", *HEADER[1:]), bold)
                _excel_time(sheet, row, time_ms, when)
                for column, name in enumerate(names, 1):
                    sheet.write_string(row, column, name)
                if not np.isnan(value):
                    sheet.write_number(row, 7, value)
                sheet.write_number(row, 8, quality)
                row += 1
                rows += 1
        if sheet is None:
            book.add_worksheet().write_row(0, 0, ("time (UTC)", *HEADER[1:]), bold)
    return rows


def _excel_time(
    sheet: "xlsxwriter.worksheet.Worksheet", row: int, time_ms: int, form: object
) -> None:
    moment = datetime.fromtimestamp(time_ms // 1000, UTC).replace(
        tzinfo=None, microsecond=time_ms % 1000 * 1000
    )
    if moment.year >= 1900:
        sheet.write_datetime(row, 0, moment, form)
    else:
        sheet.write_string(row, 0, moment.isoformat(timespec="milliseconds"))
