"""The content of Sparkplug payloads, independent of their encoding."""

from dataclasses import dataclass, field
from typing import Any

from telemetry.sparkplug.datatypes import DataType


class PayloadError(ValueError):
    """Bytes that are not a valid Sparkplug payload, or values that cannot be encoded."""


@dataclass(frozen=True, slots=True)
class PropertyValue:
    """One property of a metric.

    ``value`` is as in Metric; for PROPERTY_SET a dict of PropertyValue, for PROPERTY_SET_LIST a
    tuple of such dicts. ``datatype`` None: the message omits it (allowed outside births).
    """

    datatype: DataType | None
    value: Any = None
    is_null: bool = False


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a payload.

    ``value``: int, float, bool, str, bytes, a tuple for array types, DataSet or Template, or None.
    If the message omits ``datatype``, integers are unsigned as on the wire; ``as_type`` converts
    them with the type from the birth. ``properties`` must not be changed. ``metadata`` is the
    encoded MetaData message.
    """

    name: str | None = None
    alias: int | None = None
    timestamp_ms: int | None = None
    datatype: DataType | None = None
    value: Any = None
    is_null: bool = False
    is_historical: bool = False
    is_transient: bool = False
    properties: dict[str, PropertyValue] = field(default_factory=dict)
    metadata: bytes | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """One Sparkplug message. NDEATH and commands have no ``seq``."""

    timestamp_ms: int | None = None
    metrics: tuple[Metric, ...] = ()
    seq: int | None = None
    uuid: str | None = None
    body: bytes | None = None

    def metric(self, name: str) -> Metric | None:
        """The first metric with this name."""
        return next((m for m in self.metrics if m.name == name), None)


@dataclass(frozen=True, slots=True)
class DataSet:
    """A table as a value: each row has as many values as there are columns and types."""

    columns: tuple[str, ...]
    types: tuple[DataType, ...]
    rows: tuple[tuple[Any, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a template."""

    name: str
    datatype: DataType
    value: Any = None


@dataclass(frozen=True, slots=True)
class Template:
    """A template definition, or an instance of one if ``template_ref`` is given."""

    metrics: tuple[Metric, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    version: str | None = None
    template_ref: str | None = None
    is_definition: bool = False
