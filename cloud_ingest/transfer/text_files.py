"""Samples as text, line by line: CSV written and read, line protocol written."""

import csv
from collections.abc import Iterable, Iterator

import numpy as np

from cloud_ingest.stores.influxdb.line_protocol import lines, prefix
from cloud_ingest.transfer.rows import Row, RowError, RowSeries
from cloud_ingest.transfer.selection import Pieces
from telemetry.batches import SampleBatch
from telemetry.quality import Flag
from telemetry.series import Series, SeriesKey
from telemetry.time.iso_time import parse_time_ms

HEADER = ("time", "station", "gateway", "device", "metric", "quantity", "unit", "value", "quality")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Excel needs it to read UTF-8."""


def csv_of(pieces: Pieces, mark: bool = False) -> Iterator[bytes]:
    """CSV (RFC 4180) with a header; times in ISO 8601 UTC, a missing value is empty."""
    yield (BYTE_ORDER_MARK if mark else b"") + (",".join(HEADER) + "\r\n").encode()
    for series, found in pieces:
        names = _csv_names(series)
        times = np.datetime_as_string(found.time_ms.astype("datetime64[ms]"), unit="ms")
        rows = zip(times.tolist(), found.value.tolist(), found.quality.tolist(), strict=True)
        yield "".join(
            f"{time}Z,{names},{'' if value != value else repr(value)},{quality}\r\n"  # noqa: PLR0124  # NaN
            for time, value, quality in rows
        ).encode()


def _csv_names(series: Series) -> str:
    key = series.key
    names = (series.station, key.gateway, key.device, key.metric, series.quantity, series.unit)
    return ",".join(_quoted(name) for name in names)


def _quoted(name: str) -> str:
    if any(c in name for c in ',"\r\n') or name != name.strip():
        return '"' + name.replace('"', '""') + '"'
    return name


def read_csv(text: Iterable[str]) -> Iterator[Row]:
    """The rows of a CSV with this header; RowError names the line. Other columns are ignored."""
    reader = csv.reader(text, strict=True)
    header = next(reader, [])
    if header:
        header[0] = header[0].removeprefix("\ufeff")
    missing = [
        name for name in ("time", "gateway", "device", "metric", "value") if name not in header
    ]
    if missing:
        raise RowError(1, f"the header lacks {', '.join(missing)}; it is {','.join(HEADER)}")
    position = {name: header.index(name) for name in HEADER if name in header}
    while True:
        try:
            fields = next(reader, None)
            if fields is None:
                return
            if fields:
                yield _csv_row(fields, position)
        except (ValueError, IndexError, csv.Error) as error:
            raise RowError(reader.line_num, str(error)) from error


def _csv_row(fields: list[str], position: dict[str, int]) -> Row:
    def of(name: str, otherwise: str = "") -> str:
        return fields[position[name]] if name in position else otherwise

    key = SeriesKey(of("gateway"), of("device"), of("metric"))
    described = RowSeries(key, of("station"), of("quantity", "unknown"), of("unit"))
    text = of("value")
    value = float(text) if text else float("nan")
    quality = of("quality") or str(int(Flag.NOT_EVALUATED if text else Flag.MISSING))
    return Row(described, parse_time_ms(of("time")), value, _flag(quality))


def _flag(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 255:
        raise ValueError(f"{text} is not a quality flag")
    return number


def lines_of(pieces: Pieces) -> Iterator[bytes]:
    """Line protocol as the InfluxDB store writes it, with times in ms."""
    for series, found in pieces:
        n = len(found.time_ms)
        batch = SampleBatch(np.zeros(n, np.int32), found.time_ms, found.value, found.quality)
        yield ("\n".join(lines(batch, [prefix(series)])) + "\n").encode()
