"""What a Sparkplug payload says, free of its byte form."""

from dataclasses import dataclass, field
from typing import Any

from telemetry.sparkplug.datatypes import DataType


class PayloadError(ValueError):
    """Bytes that are no acceptable Sparkplug payload, or values that cannot become one."""


@dataclass(frozen=True, slots=True)
class PropertyValue:
    """One property of a metric.

    ``value`` is as in Metric; for PROPERTY_SET a dict of PropertyValue, for PROPERTY_SET_LIST a
    tuple of such dicts. ``datatype`` None: the message left it out (allowed outside births).
    """

    datatype: DataType | None
    value: Any = None
    is_null: bool = False


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a payload.

    ``value``: int, float, bool, str, bytes, a tuple for array types, DataSet or Template; None
    where there is none. Where the message leaves ``datatype`` out, whole numbers are unsigned as
    on the wire; ``as_type`` turns them once the birth's type is known. ``properties`` is never
    changed once the metric is made. ``metadata`` is kept as the encoded MetaData message.
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
        """The first metric of that name."""
        return next((m for m in self.metrics if m.name == name), None)


@dataclass(frozen=True, slots=True)
class DataSet:
    """A table as a value: ``rows`` holds tuples as long as ``columns`` and ``types``."""

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
    """A template's definition, or (with ``template_ref``) an instance of one."""

    metrics: tuple[Metric, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    version: str | None = None
    template_ref: str | None = None
    is_definition: bool = False
