"""Decodes payloads within limits. Unknown fields are skipped, as protocol buffers require."""

import struct
from dataclasses import dataclass, replace
from typing import Any

from telemetry.sparkplug.compression import COMPRESSED, inflate
from telemetry.sparkplug.datatypes import DataType, as_type
from telemetry.sparkplug.model import (
    DataSet,
    Metric,
    Parameter,
    Payload,
    PayloadError,
    PropertyValue,
    Template,
)
from telemetry.sparkplug.protobuf import FIXED32, FIXED64, LENGTH, VARINT, fields
from telemetry.varint import decode_varint

_MASK32 = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class PayloadLimits:
    """Limits of size and nesting of a payload; ``inflated_bytes`` is for compressed bodies."""

    payload_bytes: int = 1_048_576
    inflated_bytes: int = 4_194_304
    depth: int = 8


_DEFAULT = PayloadLimits()


def decode(data: bytes, limits: PayloadLimits = _DEFAULT) -> Payload:
    """Decode a payload; PayloadError if it is invalid, too large or nested too deep."""
    if len(data) > limits.payload_bytes:
        raise PayloadError(f"{len(data)} bytes; at most {limits.payload_bytes} are taken")
    payload = _decode(data, limits)
    if payload.uuid != COMPRESSED or payload.body is None:
        return payload
    inner = _decode(inflate(payload.body, limits.inflated_bytes), limits)
    return replace(
        inner,
        timestamp_ms=payload.timestamp_ms if inner.timestamp_ms is None else inner.timestamp_ms,
        seq=payload.seq if inner.seq is None else inner.seq,
    )


def _decode(data: bytes, limits: PayloadLimits) -> Payload:
    try:
        return _payload(data, limits.depth)
    except PayloadError:
        raise
    except (ValueError, struct.error, RecursionError) as error:
        raise PayloadError(f"not a Sparkplug payload: {error}") from error


def _payload(data: bytes, depth: int) -> Payload:
    timestamp = seq = uuid = body = None
    metrics: list[Metric] = []
    for field, kind, num, raw in fields(data):
        if field == 2 and kind == LENGTH:
            metrics.append(_metric(raw, depth))
        elif field == 1 and kind == VARINT:
            timestamp = num
        elif field == 3 and kind == VARINT:
            seq = num
        elif field == 4 and kind == LENGTH:
            uuid = raw.decode()
        elif field == 5 and kind == LENGTH:
            body = raw
    return Payload(timestamp, tuple(metrics), seq, uuid, body)


def _metric(data: bytes, depth: int) -> Metric:
    if depth <= 0:
        raise PayloadError("nested too deep")
    name = alias = timestamp = metadata = None
    code: int | None = None
    historical = transient = null = False
    properties: dict[str, PropertyValue] = {}
    value: Any = None
    for field, kind, num, raw in fields(data):
        if kind == VARINT:
            if field == 2:
                alias = num
            elif field == 3:
                timestamp = num
            elif field == 4:
                code = num & _MASK32
            elif field == 5:
                historical = num != 0
            elif field == 6:
                transient = num != 0
            elif field == 7:
                null = num != 0
            elif field in (10, 11, 14):
                value = _number(field, num, 10, 14)
        elif kind == LENGTH:
            if field == 1:
                name = raw.decode()
            elif field == 8:
                metadata = raw
            elif field == 9:
                properties = _property_set(raw, depth - 1)
            elif field == 15:
                value = raw.decode()
            elif field == 16:
                value = raw
            elif field == 17:
                value = _data_set(raw)
            elif field == 18:
                value = _template(raw, depth - 1)
        elif field == 12 and kind == FIXED32:
            (value,) = struct.unpack("<f", raw)
        elif field == 13 and kind == FIXED64:
            (value,) = struct.unpack("<d", raw)
    datatype = _datatype(code)
    if datatype is not None:
        value = as_type(value, datatype)
    return Metric(
        name, alias, timestamp, datatype, value, null, historical, transient, properties, metadata
    )


def _number(field: int, num: int, small: int, boolean: int) -> int | bool:
    if field == boolean:
        return num != 0
    return num & _MASK32 if field == small else num


def _datatype(code: int | None) -> DataType | None:
    if code is None:
        return None
    try:
        return DataType(code)
    except ValueError as error:
        raise PayloadError(f"{code} is no data type") from error


def _property_set(data: bytes, depth: int) -> dict[str, PropertyValue]:
    if depth <= 0:
        raise PayloadError("nested too deep")
    keys: list[str] = []
    values: list[PropertyValue] = []
    for field, kind, _, raw in fields(data):
        if field == 1 and kind == LENGTH:
            keys.append(raw.decode())
        elif field == 2 and kind == LENGTH:
            values.append(_property(raw, depth))
    if len(keys) != len(values):
        raise PayloadError(f"a property set of {len(keys)} keys and {len(values)} values")
    return dict(zip(keys, values, strict=True))


def _property(data: bytes, depth: int) -> PropertyValue:
    code: int | None = None
    null = False
    value: Any = None
    for field, kind, num, raw in fields(data):
        if kind == VARINT:
            if field == 1:
                code = num & _MASK32
            elif field == 2:
                null = num != 0
            elif field in (3, 4, 7):
                value = _number(field, num, 3, 7)
        elif field == 5 and kind == FIXED32:
            (value,) = struct.unpack("<f", raw)
        elif field == 6 and kind == FIXED64:
            (value,) = struct.unpack("<d", raw)
        elif kind == LENGTH:
            if field == 8:
                value = raw.decode()
            elif field == 9:
                value = _property_set(raw, depth - 1)
            elif field == 10:
                value = tuple(
                    _property_set(one, depth - 1)
                    for number, wire, _, one in fields(raw)
                    if number == 1 and wire == LENGTH
                )
    datatype = _datatype(code)
    if datatype is not None:
        value = as_type(value, datatype)
    return PropertyValue(datatype, value, null)


def _data_set(data: bytes) -> DataSet:
    columns: list[str] = []
    codes: list[int] = []
    rows: list[bytes] = []
    count: int | None = None
    for field, kind, num, raw in fields(data):
        if field == 1 and kind == VARINT:
            count = num
        elif field == 2 and kind == LENGTH:
            columns.append(raw.decode())
        elif field == 3 and kind == VARINT:
            codes.append(num)
        elif field == 3 and kind == LENGTH:
            codes.extend(_packed(raw))
        elif field == 4 and kind == LENGTH:
            rows.append(raw)
    types = tuple(DataType(code & _MASK32) for code in codes)
    if len(columns) != len(types) or count not in (None, len(columns)):
        raise PayloadError(
            f"a data set of {count} columns, {len(columns)} names, {len(types)} types"
        )
    return DataSet(tuple(columns), types, tuple(_row(raw, types) for raw in rows))


def _packed(raw: bytes) -> list[int]:
    numbers, at = [], 0
    while at < len(raw):
        one, at = decode_varint(raw, at)
        numbers.append(one)
    return numbers


def _row(data: bytes, types: tuple[DataType, ...]) -> tuple[Any, ...]:
    cells = [_cell(raw) for field, kind, _, raw in fields(data) if field == 1 and kind == LENGTH]
    if len(cells) != len(types):
        raise PayloadError(f"a row of {len(cells)} cells in a data set of {len(types)} columns")
    return tuple(as_type(cell, kind) for cell, kind in zip(cells, types, strict=True))


def _cell(data: bytes) -> Any:
    value: Any = None
    for field, kind, num, raw in fields(data):
        if kind == VARINT and field in (1, 2, 5):
            value = _number(field, num, 1, 5)
        elif field == 3 and kind == FIXED32:
            (value,) = struct.unpack("<f", raw)
        elif field == 4 and kind == FIXED64:
            (value,) = struct.unpack("<d", raw)
        elif field == 6 and kind == LENGTH:
            value = raw.decode()
    return value


def _template(data: bytes, depth: int) -> Template:
    if depth <= 0:
        raise PayloadError("nested too deep")
    version = ref = None
    definition = False
    metrics: list[Metric] = []
    parameters: list[Parameter] = []
    for field, kind, num, raw in fields(data):
        if field == 5 and kind == VARINT:
            definition = num != 0
        elif kind != LENGTH:
            continue
        elif field == 1:
            version = raw.decode()
        elif field == 2:
            metrics.append(_metric(raw, depth - 1))
        elif field == 3:
            parameters.append(_parameter(raw))
        elif field == 4:
            ref = raw.decode()
    return Template(tuple(metrics), tuple(parameters), version, ref, definition)


def _parameter(data: bytes) -> Parameter:
    name, code = "", 0
    value: Any = None
    for field, kind, num, raw in fields(data):
        if field == 1 and kind == LENGTH:
            name = raw.decode()
        elif field == 2 and kind == VARINT:
            code = num & _MASK32
        elif kind == VARINT and field in (3, 4, 7):
            value = _number(field, num, 3, 7)
        elif field == 5 and kind == FIXED32:
            (value,) = struct.unpack("<f", raw)
        elif field == 6 and kind == FIXED64:
            (value,) = struct.unpack("<d", raw)
        elif field == 8 and kind == LENGTH:
            value = raw.decode()
    datatype = DataType(code)
    return Parameter(name, datatype, as_type(value, datatype))
