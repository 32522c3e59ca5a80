"""A condition over other rules at the same place: and, or, not."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from alert_rules.evaluator import Evaluator, RuleKind, SortedSamples, State, Verdicts
from alert_rules.rule import Rule
from telemetry.series import Series

Change = tuple[str, str, bool, int]
"""A rule began (True) or ended (False) to fire at a place at a time."""


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
        """Whether it is true, given how many series each rule fires for."""
        if self.rule is not None:
            return firing.get(self.rule, 0) > 0
        if self.all_of is not None:
            return all(e.holds(firing) for e in self.all_of)
        if self.any_of is not None:
            return any(e.holds(firing) for e in self.any_of)
        return self.negated is not None and not self.negated.holds(firing)

    def rules(self) -> Iterable[str]:
        """Every rule that is named, in order."""
        if self.rule is not None:
            yield self.rule
        for part in [*(self.all_of or []), *(self.any_of or []), self.negated]:
            if part is not None:
                yield from part.rules()

    def validation_errors(self) -> Iterable[str]:
        """Whether exactly one thing is given, here and within."""
        given = [self.rule, self.all_of, self.any_of, self.negated]
        if sum(g is not None for g in given) != 1:
            yield "give exactly one of: a rule's name, all, any, not"
        for part in [*(self.all_of or []), *(self.any_of or []), self.negated]:
            if part is not None:
                yield from part.validation_errors()


Term = Annotated[Expression, BeforeValidator(_as_expression)]
Expression.model_rebuild()


class CompositeRule(Rule):
    """True while ``when`` holds for the rules that fire at one place.

    The alert stands at the first series of the first rule named, at that place.
    """

    kind: Literal["composite"]
    when: Term
    match: Literal["station", "gateway", "device"] = "station"

    @property
    def refers_to(self) -> tuple[str, ...]:
        """The rules in the expression."""
        return tuple(dict.fromkeys(self.when.rules()))

    def validation_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Whether the expression can be read."""
        for message in self.when.validation_errors():
            yield ("when",), message
        if self.full_id in self.refers_to:
            yield ("when",), "names the rule itself"

    def place_of(self, series: Series) -> str:
        """The place at which a series counts."""
        if self.match == "device":
            return f"{series.key.gateway}/{series.key.device}"
        return series.key.gateway if self.match == "gateway" else series.station


class CompositeEvaluator(Evaluator):
    """Keeps how many series each rule fires for at each place."""

    def __init__(self, rule: CompositeRule) -> None:
        super().__init__()
        self.rule = rule
        self._firing: dict[str, dict[str, int]] = {}
        self._row_of: dict[str, int] = {}
        self._anchors: set[str] = set()
        self._told_ms: dict[int, int] = {}

    def watches(self, series: Series) -> bool:
        """The first series at each place where the first rule watches (see ``anchor``)."""
        place = self.rule.place_of(series)
        if str(series.key) not in self._anchors or place in self._row_of:
            return False
        self._row_of[place] = len(self.index)
        return True

    def anchor(self, watched: Sequence[Series]) -> None:
        """Say which series the first rule watches; to be called before ``bind``."""
        self._anchors = {str(s.key) for s in watched}

    def grow(self, size: int) -> None:
        """There are no arrays."""

    def always(self) -> bool:
        """Whether it is true where nothing fires."""
        return self.rule.when.holds({})

    def resume(self, firing: Iterable[tuple[str, str]]) -> None:
        """Take over which rules fire at which places."""
        self._firing = {}
        for rule, place in firing:
            self._count(rule, place, 1)

    def _count(self, rule: str, place: str, by: int) -> None:
        here = self._firing.setdefault(place, {})
        here[rule] = max(here.get(rule, 0) + by, 0)

    def combine(self, changes: Iterable[Change], heard_ms: Mapping[str, int]) -> Verdicts:
        """Verdicts at each change, in the order of time, and at the newest sample of each place."""
        found: list[tuple[int, int, bool]] = []
        for rule, place, begins, time_ms in changes:
            self._count(rule, place, 1 if begins else -1)
            row = self._row_of.get(place)
            if row is not None:
                found.append(
                    (row, self._later(row, time_ms), self.rule.when.holds(self._firing[place]))
                )
        for place, time_ms in heard_ms.items():
            row = self._row_of.get(place)
            if row is not None:
                on = self.rule.when.holds(self._firing.get(place, {}))
                found.append((row, self._later(row, time_ms), on))
        found.sort(key=lambda row: row[0])  # stable: the order of time stays
        return Verdicts(
            np.array([r[0] for r in found], np.int32),
            np.array([r[1] for r in found], np.int64),
            np.array([r[2] for r in found], np.int8),
            np.full(len(found), np.nan),
        )

    def _later(self, row: int, time_ms: int) -> int:
        """The time, or that of the row's verdict before: rules differ in how late they tell."""
        self._told_ms[row] = max(time_ms, self._told_ms.get(row, 0))
        return self._told_ms[row]

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """Samples say nothing by themselves; see ``combine``."""
        del samples
        return Verdicts.empty()

    def state(self) -> State:
        """Nothing: what fires is known from the other rules (see ``resume``)."""
        return {}

    def restore(self, state: State) -> None:
        """See ``resume``."""


KIND = RuleKind(CompositeRule, CompositeEvaluator)
