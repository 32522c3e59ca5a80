"""The metrics of a birth: which are series, in which unit, and which describe the device."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import Any

from cloud_ingest.intake.sparkplug.decoder import NUMERIC, Birth, DecodedMetric
from cloud_ingest.intake.sparkplug.sessions import MetricRole, MetricTarget
from cloud_ingest.intake.unit_conversion import Conditions, conversion_to_stored
from cloud_ingest.inventory.model import SeriesDescription
from telemetry.quality import Flag, from_sparkplug
from telemetry.quantities import QUANTITIES, UNKNOWN
from telemetry.series import SeriesKey
from telemetry.sparkplug import names
from telemetry.units import UnitError

PROPERTIES = "Properties/"
_NOTHING: dict[str, Any] = {}  # shared: properties are never changed in place
_QUANTITY_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Owner:
    """The device of a birth; "-" is the node itself."""

    group: str
    gateway: str
    station: str
    device: str
    profile: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BirthMetric:
    """One metric of a birth: its target and, for a series, its description."""

    metric: DecodedMetric
    target: MetricTarget
    series: SeriesDescription | None = None


def read_birth_metrics(birth: Birth, owner: Owner) -> list[BirthMetric]:
    """The metrics of ``birth`` and how the host uses each."""
    return [_birth_metric(m, owner) for m in birth.metrics if m.name]


def _birth_metric(metric: DecodedMetric, owner: Owner) -> BirthMetric:
    if metric.name == names.STORE_BATCH:
        return BirthMetric(metric, _shared_target(MetricRole.BATCH, *_identity(metric)))
    if "\x00" in metric.name:
        reason = "a NUL in its name"
        target = MetricTarget(MetricRole.REFUSED, *_identity(metric), reason=reason)
        return BirthMetric(metric, target)
    if names.is_reserved(metric.name) or metric.datatype not in NUMERIC:
        return BirthMetric(metric, _shared_target(MetricRole.PROPERTY, *_identity(metric)))
    quantity = _quantity(metric)
    given = metric.properties.get(names.ENG_UNIT)
    unit = given if isinstance(given, str) else ""
    try:
        canonical, factor, offset = conversion_to_stored(quantity, unit, _conditions(metric))
    except UnitError as error:
        reason = f"unit: {error}"
        target = MetricTarget(MetricRole.REFUSED, *_identity(metric), reason=reason)
        return BirthMetric(metric, target)
    target = MetricTarget(MetricRole.SERIES, *_identity(metric), factor=factor, offset=offset)
    description = SeriesDescription(
        key=SeriesKey(owner.gateway, owner.device, metric.name),
        group=owner.group,
        station=owner.station,
        quantity=quantity,
        unit=intern(canonical),
        interval_ms=max(0, int(_number(metric.properties.get(names.INTERVAL)) or 0)),
        valid=_valid(metric, factor, offset),
        profile=owner.profile,
        tags=owner.tags,
    )
    return BirthMetric(metric, target, description)


@lru_cache(maxsize=4096)
def _shared_target(role: MetricRole, name: str, datatype: int, alias: int | None) -> MetricTarget:
    """The target of a metric that is no series: one object for all gateways."""
    return MetricTarget(role, name, datatype, alias)


def _identity(metric: DecodedMetric) -> tuple[str, int, int | None]:
    return metric.name, metric.datatype, metric.alias


def _quantity(metric: DecodedMetric) -> str:
    stated = metric.properties.get(names.QUANTITY)
    if isinstance(stated, str) and _QUANTITY_NAME.fullmatch(stated):
        return intern(stated)
    return next((n for n in (metric.name, metric.name.lower()) if n in QUANTITIES), UNKNOWN)


def _conditions(metric: DecodedMetric) -> Conditions | None:
    """The temperature and pressure at which a gateway states gas concentrations, if it says so."""
    temperature = _number(metric.properties.get(names.REFERENCE_TEMPERATURE))
    pressure = _number(metric.properties.get(names.REFERENCE_PRESSURE))
    if temperature is None or pressure is None:
        return None
    return Conditions(temperature, pressure)


def _valid(metric: DecodedMetric, factor: float, offset: float) -> tuple[float, float] | None:
    low, high = (_number(metric.properties.get(n)) for n in (names.LOW, names.HIGH))
    if low is None or high is None or low > high:
        return None
    return _range(low * factor + offset, high * factor + offset)


@lru_cache(maxsize=4096)
def _range(low: float, high: float) -> tuple[float, float]:
    """The range as one object for all series that have it."""
    return low, high


def _number(value: Any) -> float | None:
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None


def described(announced: Sequence[BirthMetric]) -> dict[str, Any]:
    """The metrics that describe the gateway or device (texts and numbers), by short name."""
    found = {
        a.metric.name.removeprefix(PROPERTIES): a.metric.value
        for a in announced
        if a.target.role is MetricRole.PROPERTY and _describes(a.metric.name)
    }
    given = {name: _plain(value) for name, value in found.items() if value is not None}
    return given or _NOTHING


def _describes(name: str) -> bool:
    return not name.startswith((names.DIAGNOSTICS, "Store/", "Node Control/", names.BDSEQ))


def _plain(value: float | str | None) -> float | int | str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value[:2000] if isinstance(value, str) else value


def text(properties: dict[str, Any], name: str) -> str:
    """The text of the property ``name`` (one of telemetry.sparkplug.names), or ''."""
    value = properties.get(name.removeprefix(PROPERTIES))
    return value if isinstance(value, str) else ""


def number(properties: dict[str, Any], name: str) -> float | None:
    """The number of the property ``name``."""
    return _number(properties.get(name.removeprefix(PROPERTIES)))


def flag(metric: DecodedMetric) -> int:
    """The QARTOD flag from the properties of a metric."""
    stated = metric.properties.get(names.FLAG)
    if stated in {f.value for f in Flag}:
        return int(stated)
    code = metric.properties.get(names.QUALITY)
    return (from_sparkplug(code) if isinstance(code, int) else Flag.NOT_EVALUATED).value


def finite(value: float, flag: int) -> tuple[float, int]:
    """Value and flag of a number that may be NaN (missing) or infinite (fail)."""
    if math.isnan(value):
        return value, Flag.MISSING.value
    return (math.nan, Flag.FAIL.value) if math.isinf(value) else (value, flag)
