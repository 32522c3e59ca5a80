"""Sparkplug payloads, read with protobuf: births in full, data as numbers with their flags."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Any, Final

from google.protobuf.message import DecodeError

from cloud_ingest.intake.sparkplug.protobuf_messages import Payload
from telemetry.quality import Flag, from_sparkplug
from telemetry.sparkplug import PayloadError, names
from telemetry.sparkplug.compression import COMPRESSED, inflate
from telemetry.sparkplug.datatypes import as_integer

MAX_TIME_MS: Final = 1 << 52
"""Later times are limited to this one, which is beyond every bound."""

NUMERIC: Final = frozenset(range(1, 12))
"""Types whose values are samples: the integers, Float, Double and Boolean."""

_FLAGS: Final = {flag.value for flag in Flag}


@dataclass(frozen=True, slots=True)
class DecodedMetric:
    """One metric of a birth as it was decoded. ``value``: number, text or None."""

    name: str
    alias: int | None
    datatype: int
    time_ms: int | None
    value: float | int | str | None
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Birth:
    """The payload of an NBIRTH, DBIRTH or NDEATH."""

    time_ms: int | None
    seq: int | None
    metrics: tuple[DecodedMetric, ...]

    def value(self, name: str) -> float | int | str | None:
        """The value of the metric ``name``; None if it is absent."""
        return next((m.value for m in self.metrics if m.name == name), None)

    def has(self, name: str) -> bool:
        """Whether there is a metric ``name``."""
        return any(m.name == name for m in self.metrics)


def parse(data: bytes, max_bytes: int) -> Any:
    """The protobuf message in ``data``, decompressed if necessary; raises PayloadError."""
    if len(data) > max_bytes:
        raise PayloadError(f"larger than {max_bytes} bytes")
    message = _parse(data)
    if message.uuid == COMPRESSED:
        message = _parse(inflate(message.body, max_bytes))
    return message


def _parse(data: bytes) -> Any:
    try:
        return Payload.FromString(data)
    except DecodeError as error:
        raise PayloadError(f"not a Sparkplug payload: {_reason(error)}") from error


def _reason(error: DecodeError) -> str:
    return str(error).rsplit(": ", 1)[-1]


def decode_certificate(data: bytes, max_bytes: int) -> Birth:
    """Read a birth or death certificate with names, types, values and properties."""
    message = parse(data, max_bytes)
    return Birth(
        min(message.timestamp, MAX_TIME_MS) if message.HasField("timestamp") else None,
        message.seq if message.HasField("seq") else None,
        tuple(_birth_metric(m) for m in message.metrics),
    )


def _birth_metric(m: Any) -> DecodedMetric:
    return DecodedMetric(
        intern(m.name),
        m.alias if m.HasField("alias") else None,
        m.datatype,
        min(m.timestamp, MAX_TIME_MS) if m.HasField("timestamp") else None,
        metric_value(m, m.datatype),
        read_properties(m) if m.HasField("properties") else {},
    )


def metric_value(m: Any, datatype: int) -> float | int | str | None:
    """The value of a metric or property as number or text; None for null and other types."""
    if m.is_null:
        return None
    kind = m.WhichOneof("value")
    if kind == "double_value":
        return float(m.double_value)
    if kind in ("int_value", "long_value"):
        return as_integer(m.int_value if kind == "int_value" else m.long_value, datatype)
    if kind == "float_value":
        return float(m.float_value)
    if kind == "boolean_value":
        return 1 if m.boolean_value else 0
    return str(m.string_value) if kind == "string_value" else None


def read_properties(m: Any) -> dict[str, Any]:
    """The property set of a metric as a plain dictionary; nested sets are omitted."""
    properties = m.properties
    return {
        key: metric_value(value, value.type)
        for key, value in zip(properties.keys, properties.values, strict=False)
    }


def flag_of(m: Any) -> int:
    """The QARTOD flag that a metric's properties state (Quantrac/Flag, else Quality), or 2."""
    flag = Flag.NOT_EVALUATED.value
    properties = m.properties
    for key, value in zip(properties.keys, properties.values, strict=False):
        if key == names.FLAG and value.int_value in _FLAGS:
            return int(value.int_value)
        if key == names.QUALITY:
            flag = from_sparkplug(metric_value(value, value.type) or 0).value  # type: ignore[arg-type]  # anything else is no known code
    return flag


def sample_of(m: Any, datatype: int) -> tuple[float, int] | None:
    """Value and flag of a data metric; None for text and structures.

    No value (null) or NaN becomes NaN with the flag missing, an infinity NaN with the flag fail.
    """
    flag = flag_of(m) if m.HasField("properties") else Flag.NOT_EVALUATED.value
    value = metric_value(m, datatype)
    if value is None:
        if not m.is_null and m.WhichOneof("value") is not None:
            return None
        return math.nan, Flag.MISSING.value
    if isinstance(value, str):
        return None
    number = float(value)
    if math.isnan(number):
        return number, Flag.MISSING.value
    if math.isinf(number):
        return math.nan, Flag.FAIL.value
    return number, flag
