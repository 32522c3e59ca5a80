"""Limits with hysteresis and rising severity, as several kinds of rule use them."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from alert_rules.rule import Comparison, Rule, Severity, Threshold, ThresholdLine
from telemetry.quantities import QUANTITIES
from telemetry.units import UnitError, convert

Range = tuple[float, float]


class SeverityLevel(BaseModel):
    """A further limit at which the same alert becomes more severe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    severity: Severity
    above: float | None = None
    below: float | None = None
    clear: float | None = None


class RuleWithThresholds(Rule):
    """A rule that compares a number with limits; exactly one of the four comparisons is given.

    ``clear`` is the value at which the condition is over (hysteresis); without it, the limit.
    ``levels`` let the severity rise. ``unit`` may say what the numbers are in; it must be the unit
    in which the quantity is stored, and is there to be checked.
    """

    above: float | None = None
    below: float | None = None
    outside: Range | None = None
    between: Range | None = None
    clear: float | None = None
    circular: bool = False
    unit: str | None = None
    levels: Annotated[tuple[SeverityLevel, ...], Field(max_length=4)] = ()

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """The comparisons, the mildest first; none for a limit whose number is not known yet."""
        if not self._given():
            return ()
        first = self._first_threshold()
        further = [
            Threshold(
                first.comparison,
                _one(level),
                0.0,
                _margin(_one(level), level.clear),
                level.severity,
            )
            for level in self.levels
        ]
        return (first, *further)

    def _given(self) -> list[str]:
        names = ("above", "below", "outside", "between")
        return [name for name in names if getattr(self, name) is not None]

    def _first_threshold(self) -> Threshold:
        margin = 0.0
        if self.above is not None or self.below is not None:
            value = self.above if self.above is not None else self.below
            assert value is not None
            margin = _margin(value, self.clear)
            comparison: Comparison = "above" if self.above is not None else "below"
            return Threshold(comparison, value, 0.0, margin, self.severity)
        pair = self.outside if self.outside is not None else self.between
        assert pair is not None
        comparison = "outside" if self.outside is not None else "between"
        return Threshold(
            comparison, pair[0], pair[1], self.clear or 0.0, self.severity, self.circular
        )

    @property
    def threshold_lines(self) -> tuple[ThresholdLine, ...]:
        """Every number of every threshold."""
        found = []
        for threshold in self.thresholds:
            values = (
                [threshold.low]
                if threshold.comparison in ("above", "below")
                else [threshold.low, threshold.high]
            )
            found += [
                ThresholdLine(value=v, comparison=threshold.comparison, severity=threshold.severity)
                for v in values
            ]
        return tuple(found)

    def validation_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Contradictions between the fields."""
        given = self._given()
        unknown = self.legal is not None and not self.legal.verified and not self.is_enabled
        if not given and unknown:
            return  # a place for a number that somebody has yet to enter
        if len(given) != 1:
            yield (), f"give exactly one of above, below, outside, between; found {given or 'none'}"
            return
        if self.above is not None and self.clear is not None and self.clear > self.above:
            yield ("clear",), f"must not be above the limit {self.above:g}"
        if self.below is not None and self.clear is not None and self.clear < self.below:
            yield ("clear",), f"must not be below the limit {self.below:g}"
        for name in ("outside", "between"):
            pair: Range | None = getattr(self, name)
            if pair is not None and pair[0] > pair[1] and not self.circular:
                yield (name,), "the first number must not be larger (unless circular: true)"
        yield from self._level_errors()
        yield from self._unit_errors()

    def _unit_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        if self.unit is None or getattr(self, "relative", False):
            return
        if not self.select.quantity:
            yield ("unit",), "select a quantity, so that the unit can be checked"
        for name in self.select.quantity:
            known = QUANTITIES.get(name)
            if known is not None and known.unit != self.unit:
                yield ("unit",), _about_unit(name, known.unit, self.unit, self.above, self.below)

    def _level_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        if self.levels and self.above is None and self.below is None:
            yield ("levels",), "levels need above or below"
            return
        last, rank = (self.above if self.above is not None else self.below), self.severity.rank
        for i, level in enumerate(self.levels):
            own = level.above if self.above is not None else level.below
            other = level.below if self.above is not None else level.above
            if own is None or other is not None:
                yield (
                    ("levels", i),
                    f"give {'above' if self.above is not None else 'below'}, as the rule does",
                )
                return
            assert last is not None
            if (own <= last) if self.above is not None else (own >= last):
                yield ("levels", i), "must be further out than the level before it"
            if level.severity.rank < rank:
                yield ("levels", i, "severity"), "must not be milder than the level before it"
            last, rank = own, level.severity.rank


def _about_unit(name: str, right: str, given: str, above: float | None, below: float | None) -> str:
    """What is wrong with a unit, and the number to write instead where that is known."""
    text = f"{name} is stored in {right}, not {given}; write the limit in {right}"
    value = above if above is not None else below
    if value is None:
        return text
    try:
        return f"{text}: {value:g} {given} are {convert(value, given, right):g} {right}"
    except UnitError:
        return text


def _one(level: SeverityLevel) -> float:
    value = level.above if level.above is not None else level.below
    return float("nan") if value is None else value


def _margin(limit: float, clear: float | None) -> float:
    return 0.0 if clear is None else abs(limit - clear)
