"""Settings of quality control: the tests of each quantity and their parameters."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from alert_rules.rule import Selector
from telemetry.series import Series
from telemetry.time.durations import DurationMs
from telemetry.yaml_files import read_yaml_file

DEFAULTS = Path(__file__).parent / "defaults.yaml"
Span = tuple[float, float]
Positive = Annotated[float, Field(gt=0)]


class _FrozenModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Levels(_FrozenModel):
    """Limits of a test for the flags suspect and fail; without ``fail`` it never fails."""

    suspect: Positive
    fail: Positive | None = None


class FlatLine(_FrozenModel):
    """How long a value may vary by less than ``tolerance``."""

    tolerance: Positive
    suspect: DurationMs
    fail: DurationMs | None = None
    ignore: float | None = None  # a value that may stay, such as 0 mm of rain


class Attenuated(_FrozenModel):
    """The smallest plausible standard deviation within each ``period``."""

    period: DurationMs
    suspect: Positive
    fail: Positive | None = None


class Season(_FrozenModel):
    """The range of values that is usual in some months of the year (1 to 12)."""

    months: tuple[int, ...]
    suspect: Span
    fail: Span | None = None


class Tests(_FrozenModel):
    """The tests of a series; a test that is left out is not done.

    ``fail`` is the gross range; without it, the range of the device profile applies. Spikes are in
    the unit of the quantity, rates in that unit per second. ``neighbour`` is the largest difference
    to the nearest device of the same quantity at the station. ``gap`` is a pause after which the
    first sample is suspect.
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
    """Tests for some series, which replace those of the quantity."""

    select: Selector


class QualitySettings(_FrozenModel):
    """The tests by quantity, and overrides for some series; the last override that matches wins."""

    quantities: dict[str, Tests] = {}
    overrides: tuple[Override, ...] = ()
    _known: dict[tuple[str, tuple[int, ...]], Tests] = PrivateAttr(default_factory=dict)

    def tests_of(self, series: Series) -> Tests:
        """The tests that apply to a series."""
        matching = tuple(
            i for i, override in enumerate(self.overrides) if override.select.matches(series)
        )
        return self._merged(series.quantity, matching)

    def _merged(self, quantity: str, matching: tuple[int, ...]) -> Tests:
        """The tests of a quantity with some overrides; equal arguments give the same object."""
        known = self._known.get((quantity, matching))
        if known is None:
            given = self.quantities.get(quantity, Tests()).model_dump(exclude_unset=True)
            for i in matching:
                given |= self.overrides[i].model_dump(exclude_unset=True, exclude={"select"})
            known = self._known[quantity, matching] = _tests(given)
        return known


def _tests(given: dict[str, Any]) -> Tests:
    # The values were validated when the file was read.
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
    """The settings in ``defaults.yaml``."""
    return read_yaml_file(DEFAULTS, QualitySettings)


def load_settings(path: Path) -> QualitySettings:
    """Settings from a file; YamlFileError names file, line and field."""
    return read_yaml_file(path, QualitySettings)
