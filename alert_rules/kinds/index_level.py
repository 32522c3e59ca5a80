"""An air-quality index at or above a level. An index is no concentration and has no legal limit."""

from collections.abc import Iterable
from typing import Literal

from alert_rules.evaluator import RuleKind
from alert_rules.index_levels import INDICES
from alert_rules.kinds.threshold import ThresholdEvaluator
from alert_rules.rule import Rule, Threshold, ThresholdLine
from telemetry.series import Series


class IndexLevelRule(Rule):
    """True when the station's index reaches ``level`` (levels: alert_rules/index_levels.py).

    It watches the derived series that hold the index, such as ``vn_aqi_hour``.
    """

    kind: Literal["index_level"]
    index: Literal["vn_aqi", "epa_aqi"] = "vn_aqi"
    period: Literal["hour", "day"] = "hour"
    level: str

    @property
    def quantity(self) -> str:
        """The quantity of the derived series."""
        return f"{self.index}_{self.period}"

    @property
    def _lowest(self) -> int:
        """The lowest index value of the level."""
        return next(level.low for level in INDICES[self.index] if level.id == self.level)

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """Half a point below the level: an index is a whole number and must reach the level."""
        return (Threshold("above", self._lowest - 0.5, 0.0, 0.0, self.severity),)

    @property
    def threshold_lines(self) -> tuple[ThresholdLine, ...]:
        """The lowest index value of the level."""
        return (ThresholdLine(value=self._lowest, comparison="above", severity=self.severity),)

    def validation_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """An unknown level, or a quantity that contradicts the index."""
        names = [level.id for level in INDICES[self.index]]
        if self.level not in names:
            yield ("level",), f"{self.level!r} is no level of {self.index}: {', '.join(names)}"
        if self.select.quantity:
            yield ("select", "quantity"), f"is given by the index: {self.quantity}"


class IndexLevelEvaluator(ThresholdEvaluator):
    """A threshold over the derived series."""

    def __init__(self, rule: IndexLevelRule) -> None:
        super().__init__(rule)
        self._quantity = rule.quantity

    def selection_key(self) -> str | None:
        """The selector and the index."""
        return f"{super().selection_key()} {self._quantity}"

    def watches(self, series: Series) -> bool:
        """The selected series that hold this index."""
        return series.quantity == self._quantity and super().watches(series)


KIND = RuleKind(IndexLevelRule, IndexLevelEvaluator)
