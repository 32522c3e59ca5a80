"""Rows from line protocol, written by Quantrac or by other programs. No I/O."""

from collections.abc import Iterable, Iterator

from cloud_ingest.stores.influxdb.line_protocol import decode_name
from cloud_ingest.transfer.rows import Row, RowError, RowSeries
from telemetry.line_protocol import Line, parse_line
from telemetry.quality import Flag
from telemetry.quantities import QUANTITIES
from telemetry.series import SeriesKey

PRECISION_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


def read_lines(text: Iterable[str], precision: str = "ms") -> Iterator[Row]:
    """The samples in line protocol; RowError names the line.

    Lines that Quantrac wrote have the tags station, gateway, device and metric, and the fields
    value and quality. In other lines each number is a metric named after its field; the measurement
    is the device, the tag gateway or host is the gateway.
    """
    unit_ns = PRECISION_NS[precision]
    for number, line in enumerate(text, 1):
        stripped = line.rstrip("\r\n")
        if not stripped.strip() or stripped.startswith("#"):
            continue
        try:
            parsed = parse_line(stripped)
            if parsed.time is None:
                raise ValueError("no time at the end of the line")
            yield from _rows(parsed, parsed.time * unit_ns // 1_000_000)
        except ValueError as error:
            raise RowError(number, str(error)) from error


def _rows(line: Line, time_ms: int) -> Iterator[Row]:
    tags = line.tags
    if {"gateway", "device", "metric"} <= tags.keys() and "quality" in line.fields:
        names = {name: decode_name(value) for name, value in tags.items()}
        key = SeriesKey(names["gateway"], names["device"], names["metric"])
        quantity = decode_name(line.measurement)
        described = RowSeries(key, names.get("station", ""), quantity, _unit(quantity))
        value = line.fields.get("value", float("nan"))
        yield Row(described, time_ms, float(value), int(line.fields["quality"]))
        return
    gateway = tags.get("gateway") or tags.get("host") or "import"
    device = tags.get("device") or line.measurement
    for name, value in line.fields.items():
        if isinstance(value, str):
            continue
        quantity = name if name in QUANTITIES else "unknown"
        if name == "value" and line.measurement in QUANTITIES:
            quantity = line.measurement
        key = SeriesKey(gateway, device, tags.get("metric", name))
        described = RowSeries(key, tags.get("station", ""), quantity, _unit(quantity))
        yield Row(described, time_ms, float(value), int(Flag.NOT_EVALUATED))


def _unit(quantity: str) -> str:
    return QUANTITIES[quantity].unit if quantity in QUANTITIES else "1"
