"""Mapping files: topics, format, and the meaning of each value."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cloud_ingest.intake.unit_conversion import Conditions, conversion_to_stored
from telemetry.quantities import QUANTITIES, UNKNOWN
from telemetry.units import UnitError
from telemetry.yaml_files import read_yaml_file

Format = Literal["json", "senml-json", "senml-cbor", "influx"]
_CAPTURE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_.]*)\}")


class _FrozenModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TimeField(_FrozenModel):
    """The position and format of the time of the values; without it, the time of arrival is used."""

    path: str
    format: Literal["iso", "s", "ms", "us", "ns"] = "iso"
    zone: str = Field(default="+00:00", pattern=r"^[+-]\d\d:\d\d$")


class At(_FrozenModel):
    """Temperature and pressure at which a gas concentration is stated."""

    temperature_c: float = Field(gt=-90, lt=1500)
    pressure_hpa: float = Field(gt=0, lt=2000)


class MetricMapping(_FrozenModel):
    """One value: its position in the payload, and what it means.

    ``path`` for JSON: keys with dots between them, or a JSON pointer (``/SDS011/PM2.5``); for the
    other formats the name of the record or field. ``name`` is the metric's name (default: the
    path). A ``unit`` in the payload itself (SenML) wins over the one given here.
    """

    path: str = Field(min_length=1)
    name: str | None = Field(default=None, min_length=1)
    quantity: str = UNKNOWN
    unit: str = ""
    at: At | None = None
    interval: float = Field(default=0, ge=0, description="expected seconds between values")

    @field_validator("quantity")
    @classmethod
    def _is_known(cls, quantity: str) -> str:
        if quantity != UNKNOWN and quantity not in QUANTITIES:
            raise ValueError(f"there is no quantity {quantity!r}; see quantrac's docs, or unknown")
        return quantity

    @property
    def conditions(self) -> Conditions | None:
        """The conditions for the unit conversion."""
        return Conditions(self.at.temperature_c, self.at.pressure_hpa) if self.at else None


class Mapping(_FrozenModel):
    """How messages of certain topics become samples.

    ``topic`` is an MQTT filter in which ``{name}`` stands for one level and catches it. ``gateway``,
    ``device`` and ``station`` are texts in which ``{name}`` is filled in: what the topic caught, for
    line protocol also ``{measurement}`` and ``{tag.x}``, for SenML ``{base}`` (the base name).
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    topic: str = Field(min_length=1)
    format: Format = "json"
    group: str = Field(default="mapped", pattern=r"^[^/+#]{1,64}$")
    gateway: str = Field(min_length=1)
    device: str = Field(min_length=1)
    station: str = ""
    time: TimeField | None = None
    precision: Literal["ns", "us", "ms", "s"] = "ns"
    others: Literal["ignore", "take"] = "ignore"
    silence: float = Field(
        default=600, gt=0, description="seconds until the gateway counts as offline"
    )
    metrics: tuple[MetricMapping, ...] = ()

    @property
    def filter(self) -> str:
        """The MQTT filter to subscribe to."""
        return _CAPTURE.sub("+", self.topic)

    @property
    def captures(self) -> list[str]:
        """The names that the topic catches."""
        return _CAPTURE.findall(self.topic)

    def catch(self, topic: str) -> dict[str, str] | None:
        """The caught parts of ``topic`` by name; None if this mapping does not apply to it."""
        wanted, found = self.topic.split("/"), topic.split("/")
        caught: dict[str, str] = {}
        for i, part in enumerate(wanted):
            if part == "#":
                return caught
            if i >= len(found):
                return None
            name = _CAPTURE.fullmatch(part)
            if name:
                caught[name.group(1)] = found[i]
            elif part not in ("+", found[i]):
                return None
        return caught if len(wanted) == len(found) else None


class MappingFile(_FrozenModel):
    """A file of mappings."""

    mappings: tuple[Mapping, ...] = Field(min_length=1)

    def validation_errors(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Errors between fields that are well formed each by itself."""
        for i, mapping in enumerate(self.mappings):
            path = ("mappings", i)
            known = set(mapping.captures) | _format_names(mapping.format)
            for field in ("gateway", "device", "station"):
                for name in _PLACEHOLDER.findall(getattr(mapping, field)):
                    if name not in known and not (
                        mapping.format == "influx" and name.startswith("tag.")
                    ):
                        yield (
                            (*path, field),
                            f"nothing is called {name!r} here; known: {', '.join(sorted(known))}",
                        )
            if "spBv1.0" in mapping.topic:
                yield ((*path, "topic"), "Sparkplug needs no mapping")
            if not mapping.metrics and mapping.others == "ignore":
                yield ((*path,), "it takes nothing in: list metrics, or set others: take")
            for j, metric in enumerate(mapping.metrics):
                try:
                    conversion_to_stored(metric.quantity, metric.unit, metric.conditions)
                except UnitError as error:
                    hint = "; add at: {temperature_c: 25, pressure_hpa: 1013.25}"
                    text = f"{error}{hint if 'only at' in str(error) else ''}"
                    yield ((*path, "metrics", j, "unit"), text)


def _format_names(form: Format) -> set[str]:
    if form == "influx":
        return {"measurement"}
    return {"base"} if form.startswith("senml") else set()


def fill(text: str, names: dict[str, str]) -> str:
    """``text`` with its ``{name}`` filled in; a name without a value becomes ``-``."""
    return _PLACEHOLDER.sub(lambda m: names.get(m.group(1), "") or "-", text)


def load_mappings(paths: Sequence[Path]) -> list[Mapping]:
    """All mappings of the files, in their order; raises YamlFileError."""
    return [m for path in paths for m in read_yaml_file(path, MappingFile).mappings]
