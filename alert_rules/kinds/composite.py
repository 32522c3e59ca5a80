"""A condition over other rules at the same location: and, or, not."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from alert_rules.evaluator import Evaluator, RuleKind, SortedSamples, State, Verdicts
from alert_rules.rule import Rule, location_of
from telemetry.series import Series

RuleChange = tuple[str, str, bool, int]
"""A rule began (True) or stopped (False) firing: rule, location, began, time."""


def _as_expression(value: Any) -> Any:
    return {"rule": value} if isinstance(value, str) else value


class Expression(BaseModel):
    """Exactly one of: a rule's name, all of, any of, not."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    rule: str | None = None
    all_of: Annotated["list[Term] | None", Field(alias="all")] = None
    any_of: Annotated["list[Term] | None", Field(alias="any")] = None
    negated: Annotated["Term | None", Field(alias="not")] = None

    def holds(self, firing: Mapping[str, int]) -> bool:
        """True if the expression is true, given for how many series each rule fires."""
        if self.rule is not None:
            return firing.get(self.rule, 0) > 0
        if self.all_of is not None:
            return all(e.holds(firing) for e in self.all_of)
        if self.any_of is not None:
            return any(e.holds(firing) for e in self.any_of)
        return self.negated is not None and not self.negated.holds(firing)

    def rules(self) -> Iterable[str]:
        """The names of all rules in the expression, in order."""
        if self.rule is not None:
            yield self.rule
        for part in [*(self.all_of or []), *(self.any_of or []), self.negated]:
            if part is not None:
                yield from part.rules()

    def validation_errors(self) -> Iterable[str]:
        """An error if not exactly one field is given, here and in the parts."""
        given = [self.rule, self.all_of, self.any_of, self.negated]
        if sum(g is not None for g in given) != 1:
            yield "give exactly one of: a rule's name, all, any, not"
        for part in [*(self.all_of or []), *(self.any_of or []), self.negated]:
            if part is not None:
                yield from part.validation_errors()


Term = Annotated[Expression, BeforeValidator(_as_expression)]
Expression.model_rebuild()


class CompositeRule(Rule):
    """True while ``when`` is true for the rules that fire at one location.

    The alert belongs to the first series at that location of the first rule named.
    """

    reads_several_series: ClassVar[bool] = True

    kind: Literal["composite"]
    when: Term
    match: Literal["station", "gateway", "device"] = "station"

    @property
    def refers_to(self) -> tuple[str, ...]:
        """The rules in the expression, each once."""
        return tuple(dict.fromkeys(self.when.rules()))

    def validation_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Errors in the expression, or a rule that names itself."""
        for message in self.when.validation_errors():
            yield ("when",), message
        if self.full_id in self.refers_to:
            yield ("when",), "names the rule itself"

    def location_of(self, series: Series) -> str:
        """The station, gateway or device of a series, as ``match`` says."""
        return location_of(series, self.match)


class CompositeEvaluator(Evaluator):
    """Counts for how many series each rule fires at each location."""

    def __init__(self, rule: CompositeRule) -> None:
        super().__init__(rule.select)
        self.rule = rule
        self._firing: dict[str, dict[str, int]] = {}
        self._row_of: dict[str, int] = {}
        self._anchors: set[str] = set()
        self._last_ms: dict[int, int] = {}

    def selection_key(self) -> str | None:
        """None: which series it watches depends on other rules."""
        return None

    def watches(self, series: Series) -> bool:
        """The first series at each location that the first rule watches (see ``anchor``)."""
        location = self.rule.location_of(series)
        if str(series.key) not in self._anchors or location in self._row_of:
            return False
        self._row_of[location] = len(self.index)
        return True

    def anchor(self, watched: Sequence[Series]) -> None:
        """Set the series that the first rule watches; call it before ``bind``."""
        self._anchors = {str(s.key) for s in watched}

    def grow(self, size: int) -> None:
        """There are no arrays."""

    def holds_without_firing(self) -> bool:
        """True if the expression is true where no rule fires."""
        return self.rule.when.holds({})

    def resume(self, firing: Iterable[tuple[str, str]]) -> None:
        """Set which rules fire at which locations, one (rule, location) for each series."""
        self._firing = {}
        for rule, location in firing:
            self._count(rule, location, 1)

    def _count(self, rule: str, location: str, by: int) -> None:
        here = self._firing.setdefault(location, {})
        here[rule] = max(here.get(rule, 0) + by, 0)

    def combine(self, changes: Iterable[RuleChange], newest_ms: Mapping[str, int]) -> Verdicts:
        """Verdicts at each change, given in the order of time, and at each location's newest sample."""
        found: list[tuple[int, int, bool]] = []
        for rule, location, began, time_ms in changes:
            self._count(rule, location, 1 if began else -1)
            found += self._verdict(location, time_ms)
        for location, time_ms in newest_ms.items():
            found += self._verdict(location, time_ms)
        found.sort(key=lambda one: one[0])  # stable: the order of time stays
        return Verdicts(
            np.array([row for row, _, _ in found], np.int32),
            np.array([time_ms for _, time_ms, _ in found], np.int64),
            np.array([on for _, _, on in found], np.int8),
            np.full(len(found), np.nan),
        )

    def _verdict(self, location: str, time_ms: int) -> list[tuple[int, int, bool]]:
        """Row, time and truth at a location, if it has a row.

        Rules differ in how late they report. The time is never before the row's last verdict.
        """
        row = self._row_of.get(location)
        if row is None:
            return []
        self._last_ms[row] = max(time_ms, self._last_ms.get(row, 0))
        return [(row, self._last_ms[row], self.rule.when.holds(self._firing.get(location, {})))]

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """No verdicts: a composite does not read samples (see ``combine``)."""
        del samples
        return Verdicts.empty()

    def state(self) -> State:
        """No state: what fires is known from the other rules (see ``resume``)."""
        return {}

    def restore(self, state: State) -> None:
        """See ``resume``."""


KIND = RuleKind(CompositeRule, CompositeEvaluator)
