"""Encodes payloads. Field numbers: Sparkplug B 3.0, chapter 6.2 (Payload definition)."""

import struct
from typing import Any

from telemetry.sparkplug.datatypes import (
    ARRAYS,
    BLOBS,
    INTEGERS,
    TEXTS,
    DataType,
    pack_array,
    to_unsigned,
)
from telemetry.sparkplug.model import (
    DataSet,
    Metric,
    Parameter,
    Payload,
    PayloadError,
    PropertyValue,
    Template,
)
from telemetry.sparkplug.protobuf import FIXED32, FIXED64, bytes_field, field_tag, varint_field

# The field numbers of a value, by message: int, long, float, double, boolean, string.
_METRIC_FIELDS = (10, 11, 12, 13, 14, 15)
_PROPERTY_FIELDS = (3, 4, 5, 6, 7, 8)
_CELL_FIELDS = (1, 2, 3, 4, 5, 6)
_PARAMETER_FIELDS = (3, 4, 5, 6, 7, 8)


def encode(payload: Payload, *, datatypes: bool = True) -> bytes:
    """Encode a payload; PayloadError if a value does not fit its type.

    ``datatypes`` False omits the types of metrics and properties, as DATA and commands should.
    """
    out = []
    try:
        if payload.timestamp_ms is not None:
            out.append(varint_field(1, payload.timestamp_ms))
        out.extend(bytes_field(2, _metric(m, datatypes)) for m in payload.metrics)
    except (struct.error, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise PayloadError(f"cannot be encoded: {error}") from error
    if payload.seq is not None:
        out.append(varint_field(3, payload.seq))
    if payload.uuid is not None:
        out.append(bytes_field(4, payload.uuid.encode()))
    if payload.body is not None:
        out.append(bytes_field(5, payload.body))
    return b"".join(out)


def _metric(metric: Metric, datatypes: bool) -> bytes:
    out = []
    if metric.name is not None:
        out.append(bytes_field(1, metric.name.encode()))
    if metric.alias is not None:
        out.append(varint_field(2, metric.alias))
    if metric.timestamp_ms is not None:
        out.append(varint_field(3, metric.timestamp_ms))
    if datatypes and metric.datatype is not None:
        out.append(varint_field(4, metric.datatype))
    if metric.is_historical:
        out.append(varint_field(5, 1))
    if metric.is_transient:
        out.append(varint_field(6, 1))
    if metric.is_null:
        out.append(varint_field(7, 1))
    if metric.metadata is not None:
        out.append(bytes_field(8, metric.metadata))
    if metric.properties:
        out.append(bytes_field(9, _property_set(metric.properties, datatypes)))
    if metric.value is not None and not metric.is_null:
        out.append(_metric_value(metric, datatypes))
    return b"".join(out)


def _metric_value(metric: Metric, datatypes: bool) -> bytes:
    value, datatype = metric.value, metric.datatype
    if isinstance(value, DataSet):
        return bytes_field(17, _data_set(value))
    if isinstance(value, Template):
        return bytes_field(18, _template(value, datatypes))
    if datatype in ARRAYS and not isinstance(value, bytes):
        return bytes_field(16, pack_array(value, datatype))
    if isinstance(value, bytes) and (datatype is None or datatype in BLOBS | ARRAYS):
        return bytes_field(16, value)
    return _scalar(value, datatype, _METRIC_FIELDS)


def _scalar(value: Any, datatype: DataType | None, at: tuple[int, ...]) -> bytes:
    if datatype is None or datatype is DataType.UNKNOWN:
        datatype = _guess(value)
    if datatype in INTEGERS:
        small = INTEGERS[datatype][0] <= 32
        return varint_field(at[0] if small else at[1], to_unsigned(int(value), datatype))
    if datatype is DataType.FLOAT:
        return field_tag(at[2], FIXED32) + struct.pack("<f", value)
    if datatype is DataType.DOUBLE:
        return field_tag(at[3], FIXED64) + struct.pack("<d", value)
    if datatype is DataType.BOOLEAN:
        return varint_field(at[4], 1 if value else 0)
    if datatype in TEXTS:
        return bytes_field(at[5], value.encode())
    raise PayloadError(f"{datatype.name} cannot hold {type(value).__name__}")


def _guess(value: Any) -> DataType:
    if isinstance(value, bool):
        return DataType.BOOLEAN
    if isinstance(value, float):
        return DataType.DOUBLE
    if isinstance(value, str):
        return DataType.STRING
    if isinstance(value, int):
        return DataType.INT64 if value < 0 else DataType.UINT64
    raise PayloadError(f"no Sparkplug type for {type(value).__name__}")


def _property_set(properties: dict[str, PropertyValue], datatypes: bool) -> bytes:
    keys = [bytes_field(1, name.encode()) for name in properties]
    values = [bytes_field(2, _property(value, datatypes)) for value in properties.values()]
    return b"".join(keys + values)


def _property(item: PropertyValue, datatypes: bool) -> bytes:
    head = varint_field(1, item.datatype) if datatypes and item.datatype is not None else b""
    if item.is_null or item.value is None:
        return head + varint_field(2, 1)
    if isinstance(item.value, dict):
        return head + bytes_field(9, _property_set(item.value, datatypes))
    if isinstance(item.value, tuple):
        sets = b"".join(bytes_field(1, _property_set(one, datatypes)) for one in item.value)
        return head + bytes_field(10, sets)
    return head + _scalar(item.value, item.datatype, _PROPERTY_FIELDS)


def _data_set(table: DataSet) -> bytes:
    if len(table.columns) != len(table.types):
        raise PayloadError("a data set has as many types as columns")
    out = [varint_field(1, len(table.columns))]
    out.extend(bytes_field(2, name.encode()) for name in table.columns)
    out.extend(varint_field(3, kind) for kind in table.types)
    for row in table.rows:
        if len(row) != len(table.types):
            raise PayloadError("a row of a data set is not as long as its columns")
        cells = [
            bytes_field(1, b"" if value is None else _scalar(value, kind, _CELL_FIELDS))
            for value, kind in zip(row, table.types, strict=True)
        ]
        out.append(bytes_field(4, b"".join(cells)))
    return b"".join(out)


def _template(template: Template, datatypes: bool) -> bytes:
    out = []
    if template.version is not None:
        out.append(bytes_field(1, template.version.encode()))
    out.extend(bytes_field(2, _metric(m, datatypes)) for m in template.metrics)
    out.extend(bytes_field(3, _parameter(p)) for p in template.parameters)
    if template.template_ref is not None:
        out.append(bytes_field(4, template.template_ref.encode()))
    out.append(varint_field(5, int(template.is_definition)))
    return b"".join(out)


def _parameter(parameter: Parameter) -> bytes:
    out = bytes_field(1, parameter.name.encode()) + varint_field(2, parameter.datatype)
    if parameter.value is None:
        return out
    return out + _scalar(parameter.value, parameter.datatype, _PARAMETER_FIELDS)
