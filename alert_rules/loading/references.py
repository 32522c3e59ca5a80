"""Rules that name other rules: all must be there, and none may come back to itself."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Protocol

from alert_rules.rule import Rule
from telemetry.yaml_files import FileProblem


class Place(Protocol):
    """Where a rule stands, for error messages."""

    def problem(self, field: str, message: str) -> FileProblem:
        """An error in a field there."""
        ...


def about_references(
    rules: Mapping[str, Rule], places: Mapping[str, Place]
) -> Iterator[FileProblem]:
    """What is wrong with the names in composites."""
    told: set[frozenset[str]] = set()
    for full_id, rule in rules.items():
        for name in rule.refers_to:
            message = _about_name(name, rules)
            if message is not None:
                yield places[full_id].problem("when", message)
        circle = _circle(full_id, rules)
        if circle is not None and frozenset(circle) not in told:
            told.add(frozenset(circle))
            path = " -> ".join([*circle, full_id])
            yield places[full_id].problem(
                "when", f"the rules name each other in a circle: {path}; take one of the names out"
            )


def _about_name(name: str, rules: Mapping[str, Rule]) -> str | None:
    if name not in rules:
        near = difflib.get_close_matches(name, list(rules), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "is its pack listed before this file?"
        return f"there is no rule {name!r}; {hint}"
    if rules[name].kind == "no_data":
        return f"{name} is of the kind no_data, which a composite cannot see; name rules that judge samples"
    return None


def _circle(full_id: str, rules: Mapping[str, Rule]) -> list[str] | None:
    """The names on a way from a rule back to itself, if there is one of more than one rule."""
    ways: list[list[str]] = [[full_id]]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for name in rules[way[-1]].refers_to:
            if name == full_id and len(way) > 1:
                return way
            if name in rules and name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return None


def in_order_of_need(rules: Mapping[str, Rule]) -> list[Rule]:
    """The rules in their order, but each after those it names (there is no circle)."""
    found: dict[str, Rule] = {}

    def take(full_id: str) -> None:
        if full_id in found:
            return
        for name in rules[full_id].refers_to:
            take(name)
        found[full_id] = rules[full_id]

    for full_id in rules:
        take(full_id)
    return list(found.values())
