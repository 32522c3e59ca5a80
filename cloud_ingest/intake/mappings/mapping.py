"""Applies a mapping: the values of a payload become samples. No I/O; the time is passed in."""

import math
from dataclasses import dataclass

from cloud_ingest.intake.mappings.configuration import Mapping, MetricMapping, fill
from cloud_ingest.intake.mappings.formats import FormatError, PayloadValue, read
from cloud_ingest.intake.unit_conversion import conversion_to_stored
from telemetry.quality import Flag
from telemetry.quantities import QUANTITIES, UNKNOWN
from telemetry.series import SeriesKey
from telemetry.units import UnitError


class MappingError(Exception):
    """A payload cannot be read with its mapping; the text says why."""


@dataclass(frozen=True, slots=True)
class MappedSample:
    """One sample, in the unit in which its quantity is stored. ``arrived``: its time is that of arrival."""

    key: SeriesKey
    group: str
    station: str
    quantity: str
    unit: str
    interval_ms: int
    time_ms: int
    value: float
    flag: int
    arrived: bool = False


@dataclass(frozen=True, slots=True)
class RefusedValue:
    """A refused value and the reason."""

    key: str
    value: float | None
    reason: str


def apply(
    mapping: Mapping, topic: str, payload: bytes, now_ms: int
) -> tuple[list[MappedSample], list[RefusedValue]]:
    """The samples and refused values of a message; raises MappingError if it cannot be read."""
    caught = mapping.catch(topic)
    if caught is None:
        raise MappingError(f"topic {topic!r} is not one of {mapping.topic!r}")
    try:
        payload_values = read(payload, mapping, now_ms)
    except FormatError as error:
        raise MappingError(f"{mapping.name}: {error}") from error
    of = {metric.path: metric for metric in mapping.metrics}
    samples: list[MappedSample] = []
    refused: list[RefusedValue] = []
    for payload_value in payload_values:
        metric = of.get(payload_value.name) or of.get(_last_part(payload_value.name))
        if metric is None and mapping.others == "take":
            metric = _unlisted(payload_value)
        if metric is not None:
            result = _sample(mapping, metric, payload_value, caught, now_ms)
            (samples if isinstance(result, MappedSample) else refused).append(result)  # type: ignore[arg-type]  # checked by isinstance
    return samples, refused


def _last_part(name: str) -> str:
    return name.replace(":", "/").rsplit("/", 1)[-1]


def _unlisted(found: PayloadValue) -> MetricMapping:
    name = _last_part(found.name) or found.name
    quantity = next((q for q in (name, name.lower()) if q in QUANTITIES), UNKNOWN)
    return MetricMapping(path=found.name, name=found.name, quantity=quantity)


def _sample(
    mapping: Mapping,
    metric: MetricMapping,
    found: PayloadValue,
    caught: dict[str, str],
    now_ms: int,
) -> MappedSample | RefusedValue:
    names = {**caught, **found.names}
    gateway, device = (_as_level(fill(t, names)) for t in (mapping.gateway, mapping.device))
    key = SeriesKey(gateway, device, metric.name or metric.path.lstrip("/"))
    try:
        unit, factor, offset = conversion_to_stored(
            metric.quantity, found.unit or metric.unit, metric.conditions
        )
    except UnitError as error:
        return RefusedValue(str(key), found.value, f"unit: {error}")
    value, flag = math.nan, Flag.MISSING
    if found.value is not None and not math.isnan(found.value):
        infinite = math.isinf(found.value)
        value = math.nan if infinite else found.value * factor + offset
        flag = Flag.FAIL if infinite else Flag.NOT_EVALUATED
    return MappedSample(
        key,
        mapping.group,
        fill(mapping.station, names) if mapping.station else gateway,
        metric.quantity,
        unit,
        round(metric.interval * 1000),
        now_ms if found.time_ms is None else found.time_ms,
        value,
        flag.value,
        arrived=found.time_ms is None,
    )


def _as_level(text: str) -> str:
    """A text as one level of a key, with slashes and NUL replaced."""
    return text.replace("/", "_").replace("\x00", "_")
