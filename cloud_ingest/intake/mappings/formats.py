"""Reads payloads of all formats into values with name, unit and time."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import cbor2

from cloud_ingest.intake.mappings.configuration import Mapping, TimeField
from telemetry.line_protocol import parse_line
from telemetry.time.iso_time import parse_iso_ms

MAX_VALUES = 20_000
MAX_DEPTH = 32
RELATIVE_BELOW = 1 << 28  # RFC 8428, 4.5.3: smaller times are relative to now, in seconds
_SCALE_MS = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}


class FormatError(Exception):
    """A payload does not have the format that its mapping names."""


@dataclass(frozen=True, slots=True)
class PayloadValue:
    """One value of a payload. ``time_ms`` None: the time of arrival."""

    name: str
    value: float | None
    unit: str = ""
    time_ms: int | None = None
    names: dict[str, str] = field(default_factory=dict)


def read(payload: bytes, mapping: Mapping, now_ms: int) -> list[PayloadValue]:
    """The values in ``payload``; raises FormatError."""
    match mapping.format:
        case "json":
            found = _read_json(payload, mapping)
        case "senml-json":
            found = _read_senml(_load_json(payload), _JSON_LABELS, now_ms)
        case "senml-cbor":
            found = _read_senml(_load_cbor(payload), _CBOR_LABELS, now_ms)
        case "influx":
            found = _read_influx(payload, _SCALE_MS[mapping.precision])
    values = []
    for value in found:
        values.append(value)
        if len(values) > MAX_VALUES:
            raise FormatError(f"more than {MAX_VALUES} values in one message")
    return values


# --- plain JSON


def _load_json(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not JSON: {type(error).__name__}") from error


def _read_json(payload: bytes, mapping: Mapping) -> Iterator[PayloadValue]:
    document = _load_json(payload)
    time_ms = _time_in(document, mapping.time) if mapping.time else None
    listed = set()
    for metric in mapping.metrics:
        found = look_up(document, metric.path)
        listed.add(metric.path)
        if found is not _ABSENT:
            yield PayloadValue(metric.path, _number(found), time_ms=time_ms)
    if mapping.others == "take":
        skip = listed | ({mapping.time.path} if mapping.time else set())
        for path, value in _leaves(document, "", 0):
            if path not in skip and not isinstance(value, (str, type(None))):
                yield PayloadValue(path, _number(value), time_ms=time_ms)


_ABSENT = object()


def look_up(document: Any, path: str) -> Any:
    """The element at ``path``: keys with dots between, or a JSON pointer (RFC 6901)."""
    pointer = path.startswith("/")
    keys = path[1:].split("/") if pointer else path.split(".")
    at = document
    for raw in keys:
        key = raw.replace("~1", "/").replace("~0", "~") if pointer else raw
        if isinstance(at, dict) and key in at:
            at = at[key]
        elif isinstance(at, list) and key.isdigit() and int(key) < len(at):
            at = at[int(key)]
        else:
            return _ABSENT
    return at


def _leaves(node: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > MAX_DEPTH:
        raise FormatError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _leaves(value, f"{path}.{i}" if path else str(i), depth + 1)
    else:
        yield path, node


def _number(value: Any) -> float | None:
    """The number in a JSON value; switches count as 1 and 0."""
    if isinstance(value, bool):
        return 1.0 if value else 0.0
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if isinstance(value, str):
        text = value.strip()
        if text.upper() in ("ON", "TRUE", "OPEN"):
            return 1.0
        if text.upper() in ("OFF", "FALSE", "CLOSED"):
            return 0.0
        try:
            return float(text)
        except ValueError:
            return None
    return None


def _time_in(document: Any, where: TimeField) -> int | None:
    found = look_up(document, where.path)
    if found is _ABSENT or found is None:
        return None
    if where.format != "iso":
        number = _number(found)
        if number is None or not math.isfinite(number):
            raise FormatError(f"{where.path}: {str(found)[:40]!r} is no time in {where.format}")
        return round(number * _SCALE_MS[where.format])
    try:
        return parse_iso_ms(str(found), datetime.strptime(where.zone, "%z").tzinfo or UTC)
    except ValueError as error:
        raise FormatError(f"{where.path}: {str(found)[:40]!r} is no ISO 8601 time") from error


# --- SenML (RFC 8428)

_JSON_LABELS = {
    label: label for label in ("bn", "bt", "bu", "bv", "n", "u", "v", "vs", "vb", "s", "t")
}
_CBOR_LABELS = {
    "bn": -2, "bt": -3, "bu": -4, "bv": -5, "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5,
    "t": 6,
}  # fmt: skip


def _load_cbor(payload: bytes) -> Any:
    try:
        with BytesIO(payload) as stream:
            return cbor2.load(stream)
    except (cbor2.CBORDecodeError, ValueError, RecursionError, OverflowError, MemoryError) as error:
        raise FormatError(f"not CBOR: {type(error).__name__}") from error


def _read_senml(pack: Any, labels: dict[str, Any], now_ms: int) -> Iterator[PayloadValue]:
    if not isinstance(pack, list) or not all(isinstance(r, dict) for r in pack):
        raise FormatError("not SenML: expected a list of records")
    base = {"bn": "", "bt": 0.0, "bu": "", "bv": 0.0}
    for record in pack:
        for label in base:
            if labels[label] in record:
                base[label] = record[labels[label]]
        value = _senml_value(record, labels, base["bv"])
        if value is None:
            continue
        time_s = _finite(base["bt"]) + _finite(record.get(labels["t"], 0))
        time_ms = time_s * 1000 + (now_ms if time_s < RELATIVE_BELOW else 0)
        yield PayloadValue(
            str(base["bn"]) + str(record.get(labels["n"], "")),
            value,
            str(record.get(labels["u"], base["bu"])),
            round(min(time_ms, 1e16)),
            {"base": str(base["bn"])},
        )


def _senml_value(record: dict[Any, Any], labels: dict[str, Any], base: Any) -> float | None:
    value = record.get(labels["v"])
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) + _finite(base)
    switch = record.get(labels["vb"])
    if isinstance(switch, bool):
        return float(switch)
    total = record.get(labels["s"])
    return float(total) if isinstance(total, (int, float)) else None


def _finite(value: Any) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise FormatError("not SenML: a base value or time is no number")
    return float(value)


# --- line protocol


def _read_influx(payload: bytes, scale_ms: float) -> Iterator[PayloadValue]:
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise FormatError("not line protocol: not UTF-8") from error
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            parsed = parse_line(line.strip())
        except ValueError as error:
            raise FormatError(f"line {number}: {error}") from error
        names = {"measurement": parsed.measurement}
        names |= {f"tag.{name}": value for name, value in parsed.tags.items()}
        time_ms = None if parsed.time is None else round(parsed.time * scale_ms)
        for name, value in parsed.fields.items():
            if not isinstance(value, str):
                yield PayloadValue(name, float(value), "", time_ms, names)
