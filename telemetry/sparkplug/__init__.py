"""A Sparkplug B codec in pure Python: a gateway needs no protocol-buffer library."""

from telemetry.sparkplug.datatypes import DataType, as_type
from telemetry.sparkplug.decoder import PayloadLimits, decode
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
    "Metric",
    "Parameter",
    "Payload",
    "PayloadError",
    "PayloadLimits",
    "PropertyValue",
    "Template",
    "as_type",
    "decode",
    "encode",
]
