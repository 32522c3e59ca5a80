"""References between rules: a rule that is named must exist, and no rule may depend on itself."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Protocol

from alert_rules.rule import Rule
from telemetry.yaml_files import FileProblem


class Location(Protocol):
    """Where a rule is defined."""

    def problem(self, field: str, message: str) -> FileProblem:
        """A problem with a field of the rule."""
        ...


def reference_problems(
    rules: Mapping[str, Rule], locations: Mapping[str, Location]
) -> Iterator[FileProblem]:
    """Names in composite rules that cannot be resolved, and cycles (each once)."""
    reported: set[frozenset[str]] = set()
    for full_id, rule in rules.items():
        for name in rule.refers_to:
            message = _name_problem(name, rules)
            if message is not None:
                yield locations[full_id].problem("when", message)
        cycle = _cycle(full_id, rules)
        if cycle is not None and frozenset(cycle) not in reported:
            reported.add(frozenset(cycle))
            path = " -> ".join([*cycle, full_id])
            yield locations[full_id].problem(
                "when", f"the rules name each other in a circle: {path}; take one of the names out"
            )


def _name_problem(name: str, rules: Mapping[str, Rule]) -> str | None:
    if name not in rules:
        near = difflib.get_close_matches(name, list(rules), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "is its pack listed before this file?"
        return f"there is no rule {name!r}; {hint}"
    if rules[name].kind == "no_data":
        return (
            f"{name} is of the kind no_data, which a composite cannot see; name rules that judge "
            "samples"
        )
    return None


def _cycle(full_id: str, rules: Mapping[str, Rule]) -> list[str] | None:
    """The names on a path from a rule back to itself, if there is one over another rule."""
    paths: list[list[str]] = [[full_id]]
    visited: set[str] = set()
    while paths:
        path = paths.pop()
        for name in rules[path[-1]].refers_to:
            if name == full_id and len(path) > 1:
                return path
            if name in rules and name not in visited:
                visited.add(name)
                paths.append([*path, name])
    return None


def in_dependency_order(rules: Mapping[str, Rule]) -> list[Rule]:
    """The rules in their order, but each after the rules that it names. There must be no cycle."""
    ordered: dict[str, Rule] = {}

    def add(full_id: str) -> None:
        if full_id in ordered:
            return
        for name in rules[full_id].refers_to:
            add(name)
        ordered[full_id] = rules[full_id]

    for full_id in rules:
        add(full_id)
    return list(ordered.values())
