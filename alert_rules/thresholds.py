"""Rules with thresholds: hysteresis and rising severity, for several kinds of rule."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from alert_rules.rule import Comparison, Rule, Severity, Threshold, ThresholdLine
from telemetry.quantities import QUANTITIES
from telemetry.units import UnitError, convert

Range = tuple[float, float]


class SeverityLevel(BaseModel):
    """A further threshold, at which the same alert becomes more severe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    severity: Severity
    above: float | None = None
    below: float | None = None
    clear: float | None = None


class RuleWithThresholds(Rule):
    """A rule that compares a number with thresholds; exactly one of the four comparisons is given.

    ``clear`` is the value at which the condition becomes false (hysteresis); by default the
    threshold. ``levels`` raise the severity. ``unit`` may give the unit of the numbers; it must be
    the unit in which the quantity is stored.
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
        """The thresholds, the mildest first; none for a legal limit whose number is not known yet."""
        if not self._given():
            return ()
        first = self._first_threshold()
        further = [
            Threshold(first.comparison, value, 0.0, _margin(value, level.clear), level.severity)
            for level in self.levels
            if (value := _given_one(level.above, level.below)) is not None
        ]
        return (first, *further)

    @property
    def is_complete(self) -> bool:
        """False for a legal limit whose number is not known yet."""
        return bool(self._given())

    def _given(self) -> list[str]:
        names = ("above", "below", "outside", "between")
        return [name for name in names if getattr(self, name) is not None]

    def _first_threshold(self) -> Threshold:
        value = _given_one(self.above, self.below)
        if value is not None:
            comparison: Comparison = "above" if self.above is not None else "below"
            return Threshold(comparison, value, 0.0, _margin(value, self.clear), self.severity)
        pair = self.outside if self.outside is not None else self.between
        assert pair is not None
        comparison = "outside" if self.outside is not None else "between"
        return Threshold(
            comparison, pair[0], pair[1], self.clear or 0.0, self.severity, self.circular
        )

    @property
    def threshold_lines(self) -> tuple[ThresholdLine, ...]:
        """Every number of every threshold."""
        return tuple(
            ThresholdLine(value=value, comparison=t.comparison, severity=t.severity)
            for t in self.thresholds
            for value in ((t.low,) if t.comparison in ("above", "below") else (t.low, t.high))
        )

    def validation_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Contradictions between the fields."""
        given = self._given()
        unknown = self.legal is not None and not self.legal.verified and not self.is_enabled
        if not given and unknown:
            return  # the number of this legal limit is still to be entered
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
                yield (
                    ("unit",),
                    _unit_error(name, known.unit, self.unit, _given_one(self.above, self.below)),
                )

    def _level_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        last, rank = _given_one(self.above, self.below), self.severity.rank
        if self.levels and last is None:
            yield ("levels",), "levels need above or below"
            return
        is_above = self.above is not None
        for i, level in enumerate(self.levels):
            own, other = (level.above, level.below) if is_above else (level.below, level.above)
            if own is None or other is not None:
                yield ("levels", i), f"give {'above' if is_above else 'below'}, as the rule does"
                return
            assert last is not None
            if (own <= last) if is_above else (own >= last):
                yield ("levels", i), "must be further out than the level before it"
            if level.severity.rank < rank:
                yield ("levels", i, "severity"), "must not be milder than the level before it"
            last, rank = own, level.severity.rank


def _unit_error(name: str, right: str, given: str, value: float | None) -> str:
    """The error of a wrong unit, with the number to write instead if it is known."""
    text = f"{name} is stored in {right}, not {given}; write the limit in {right}"
    if value is None:
        return text
    try:
        return f"{text}: {value:g} {given} are {convert(value, given, right):g} {right}"
    except UnitError:
        return text


def _given_one(above: float | None, below: float | None) -> float | None:
    return above if above is not None else below


def _margin(value: float, clear: float | None) -> float:
    return 0.0 if clear is None else abs(value - clear)
