"""Reading line protocol: ours, and what other programs write. No I/O."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cloud_ingest.stores.influxdb.line_protocol import decode_name
from cloud_ingest.transfer.rows import Row, RowError, RowSeries
from telemetry.quality import Flag
from telemetry.quantities import QUANTITIES
from telemetry.series import SeriesKey

PRECISION_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


@dataclass(frozen=True, slots=True)
class Line:
    """One line: names are unescaped, fields typed as they were written."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, float | int | bool | str]
    time: int | None


def read_lines(text: Iterable[str], precision: str = "ms") -> Iterator[Row]:
    """The samples in line protocol; RowError names the line.

    Lines of ours carry the tags station, gateway, device and metric, and the fields value and
    quality. In other lines each number is a metric named after its field, of the device that the
    measurement names; the gateway is the tag gateway or host.
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


def parse_line(line: str) -> Line:
    """Read one line of line protocol; ValueError says what is wrong with it."""
    head, place = _until(line, 0, " ")
    body, place = _until(line, place + 1, " ", strings=True)
    rest = line[place + 1 :].strip()
    measurement, *pairs = _split(head, ",")
    tags = dict(_pair(pair) for pair in pairs)
    fields = {}
    for pair in _split(body, ",", strings=True):
        name, value = _pair(pair, strings=True)
        fields[name] = _field(value)
    if not measurement or not fields:
        raise ValueError("a line is: measurement,tag=value field=value time")
    return Line(
        _unescape(measurement, ", "),
        {_unescape(n, ",= "): _unescape(v, ",= ") for n, v in tags.items()},
        {_unescape(n, ",= "): v for n, v in fields.items()},
        int(rest) if rest else None,
    )


def _until(text: str, place: int, mark: str, strings: bool = False) -> tuple[str, int]:
    """The text from ``place`` until an unescaped ``mark`` outside of strings, and where it is."""
    start, inside = place, False
    while place < len(text):
        c = text[place]
        if c == "\\":
            place += 2
            continue
        if c == '"' and strings:
            inside = not inside
        elif c == mark and not inside:
            break
        place += 1
    if inside:
        raise ValueError("a string does not end")
    return text[start:place], place


def _split(text: str, mark: str, strings: bool = False) -> list[str]:
    parts = []
    place = 0
    while place <= len(text):
        part, place = _until(text, place, mark, strings)
        parts.append(part)
        place += 1
    return parts


def _pair(text: str, strings: bool = False) -> tuple[str, str]:
    name, place = _until(text, 0, "=", strings)
    if not name or place >= len(text):
        raise ValueError(f"{text!r} is not name=value")
    return name, text[place + 1 :]


def _field(text: str) -> float | int | bool | str:
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if text in ("t", "T", "true", "True", "TRUE"):
        return True
    if text in ("f", "F", "false", "False", "FALSE"):
        return False
    if text[-1:] in ("i", "u"):
        return int(text[:-1])
    return float(text)


def _unescape(text: str, marks: str) -> str:
    for mark in marks:
        text = text.replace("\\" + mark, mark)
    return text
