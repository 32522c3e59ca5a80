"""Which tests apply to which quantity, and with which numbers."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from alert_rules.rule import Selector
from telemetry.durations import DurationMs
from telemetry.series import Series
from telemetry.yaml_files import read_yaml_file

DEFAULTS = Path(__file__).parent / "defaults.yaml"
Span = tuple[float, float]
Positive = Annotated[float, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Levels(_Strict):
    """Where a test says suspect, and where it says fail (never, if left out)."""

    suspect: Positive
    fail: Positive | None = None


class FlatLine(_Strict):
    """How long a value may move by less than ``tolerance``."""

    tolerance: Positive
    suspect: DurationMs
    fail: DurationMs | None = None
    ignore: float | None = None  # a value at which rest is natural, such as no rain


class Attenuated(_Strict):
    """The least standard deviation within each ``period``."""

    period: DurationMs
    suspect: Positive
    fail: Positive | None = None


class Season(_Strict):
    """What is usual in some months of the year (1 to 12)."""

    months: tuple[int, ...]
    suspect: Span
    fail: Span | None = None


class Tests(_Strict):
    """The tests of a series. What is left out is not tested.

    ``fail`` is the gross range; where it is left out, the device profile's. Spikes and rates are
    in the quantity's unit and unit per second; ``neighbour`` is how far the nearest device of
    the same quantity at the station may be away; ``gap`` marks the first sample after a pause.
    """

    fail: Span | None = None
    suspect: Span | None = None
    spike: Levels | None = None
    rate: Levels | None = None
    flat: FlatLine | None = None
    attenuated: Attenuated | None = None
    climatology: tuple[Season, ...] = ()
    neighbour: Positive | None = None
    gap: DurationMs | None = None


class Override(Tests):
    """Other numbers for some series: what is given here takes the place of the quantity's."""

    select: Selector


class QualitySettings(_Strict):
    """The tests by quantity, and the exceptions; the last exception that matches counts."""

    quantities: dict[str, Tests] = {}
    overrides: tuple[Override, ...] = ()
    _known: dict[tuple[str, tuple[int, ...]], Tests] = PrivateAttr(default_factory=dict)

    def tests_of(self, series: Series) -> Tests:
        """The tests that apply to a series."""
        matching = tuple(
            i for i, override in enumerate(self.overrides) if override.select.matches(series)
        )
        return self._made(series.quantity, matching)

    def _made(self, quantity: str, matching: tuple[int, ...]) -> Tests:
        """The tests of a quantity with some of the exceptions: the same object for the same ones."""
        known = self._known.get((quantity, matching))
        if known is None:
            given = self.quantities.get(quantity, Tests()).model_dump(exclude_unset=True)
            for i in matching:
                given |= self.overrides[i].model_dump(exclude_unset=True, exclude={"select"})
            known = self._known[quantity, matching] = _tests(given)
        return known


def _tests(given: dict[str, Any]) -> Tests:
    # Durations were read already; numbers pass as they are.
    parts: dict[str, Any] = {name: _part(name, value) for name, value in given.items()}
    return Tests.model_construct(**parts)


def _part(name: str, value: Any) -> Any:
    models: dict[str, type[BaseModel]] = {
        "spike": Levels, "rate": Levels, "flat": FlatLine, "attenuated": Attenuated,
    }  # fmt: skip
    if name in models and isinstance(value, dict):
        return models[name].model_construct(**value)
    if name == "climatology" and isinstance(value, tuple):
        return tuple(Season.model_construct(**season) for season in value)
    return value


@cache
def default_settings() -> QualitySettings:
    """The settings that are shipped."""
    return read_yaml_file(DEFAULTS, QualitySettings)


def load_settings(path: Path) -> QualitySettings:
    """Settings from a file; YamlFileError names file, line and field."""
    return read_yaml_file(path, QualitySettings)
