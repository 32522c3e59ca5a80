"""Sparkplug B payloads as bytes: a codec of its own, in pure Python, for the gateway."""

from telemetry.sparkplug.datatypes import DataType, as_type
from telemetry.sparkplug.decoder import Limits, decode
from telemetry.sparkplug.encoder import encode
from telemetry.sparkplug.model import (
    DataSet,
    Metric,
    Parameter,
    Payload,
    PayloadError,
    PropertyValue,
    Template,
)

__all__ = [
    "DataSet",
    "DataType",
    "Limits",
    "Metric",
    "Parameter",
    "Payload",
    "PayloadError",
    "PropertyValue",
    "Template",
    "as_type",
    "decode",
    "encode",
]
