"""A Sparkplug B codec in pure Python: a gateway needs no protocol-buffer library."""

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
