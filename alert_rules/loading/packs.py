"""Reads rule packs, from the library or from a path, with errors that name file, line and field."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from alert_rules.loading.references import about_references, in_order_of_need
from alert_rules.rule import LocalText, Rule
from alert_rules.rule_kinds import rule_kinds
from telemetry.yaml_files import (
    FileProblem,
    YamlFileError,
    line_of,
    parse_yaml,
    parse_yaml_tree,
    validation_problems,
)

LIBRARY = Path(__file__).parents[1] / "library"
_PREFIX = "library/"


class RuleNotFound(Exception):  # noqa: N818  # named by what went wrong
    """There is no such pack."""


class Override(BaseModel):
    """What a file changes of a rule that stands in another: switch it, or give other numbers."""

    model_config = ConfigDict(extra="allow", frozen=True)

    enabled: bool | None = None


def _as_fields(given: Any) -> Any:
    if not isinstance(given, dict):
        raise ValueError("a rule is written as fields: id, kind, name and what the kind needs")  # noqa: TRY004  # pydantic shows ValueErrors
    return given


class Pack(BaseModel):
    """One file of rules. ``change`` alters rules of packs that were loaded before it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pack: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
    name: LocalText
    description: LocalText | None = None
    change: dict[str, Override] = {}
    rules: list[Annotated[dict[str, Any], BeforeValidator(_as_fields)]] = []


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules of some packs, switched on or off, each with a name of its own.

    A composite comes after those it names. ``warnings`` are likely mistakes in rules that are valid.
    """

    rules: tuple[Rule, ...] = ()
    warnings: tuple[FileProblem, ...] = ()

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    @property
    def enabled(self) -> tuple[Rule, ...]:
        """Those that are switched on."""
        return tuple(r for r in self.rules if r.is_enabled)

    def find(self, full_id: str) -> Rule | None:
        """The rule ``pack/id``, if there is one."""
        return next((r for r in self.rules if r.full_id == full_id), None)


def library_packs() -> list[str]:
    """The references of the packs that are shipped."""
    return [f"{_PREFIX}{p.stem}" for p in sorted(LIBRARY.glob("*.yaml"))]


def pack_path(ref: str, base: Path) -> Path:
    """The file that ``library/<name>`` or a path relative to ``base`` means."""
    if not ref.startswith(_PREFIX):
        return base / ref
    path = LIBRARY / f"{ref.removeprefix(_PREFIX)}.yaml"
    if not path.is_file():
        near = difflib.get_close_matches(ref, library_packs(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(library_packs())}"
        raise RuleNotFound(f"there is no rule pack {ref}; {hint}")
    return path


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in which file a rule stands, or was changed last."""

    file: str
    tree: Any
    place: tuple[int | str, ...]

    def problem(self, field: str, message: str) -> FileProblem:
        """Something about a field there."""
        return _problem(self.file, self.tree, (*self.place, field), message)


@dataclass(slots=True)
class _Loading:
    """What has been read so far."""

    rules: dict[str, Rule] = field(default_factory=dict)
    texts: dict[str, dict[str, Any]] = field(default_factory=dict)
    places: dict[str, _Place] = field(default_factory=dict)


def load_rules(refs: Sequence[str], base: Path | None = None) -> RuleSet:
    """Read packs in order; raises YamlFileError with every problem, RuleNotFound."""
    loading = _Loading()
    problems: list[FileProblem] = []
    for ref in refs:
        path = pack_path(ref, base or Path())
        try:
            _take_in(path, loading)
        except YamlFileError as error:
            problems += error.problems
    problems += about_references(loading.rules, loading.places)
    if problems:
        raise YamlFileError(problems)
    warnings = tuple(_warnings(loading))
    return RuleSet(tuple(in_order_of_need(loading.rules)), warnings)


def _take_in(path: Path, loading: _Loading) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise YamlFileError([FileProblem(str(path), 0, "", reason)]) from error
    pack = parse_yaml(text, str(path), Pack)
    tree = parse_yaml_tree(text, str(path))
    problems: list[FileProblem] = []
    for i, given in enumerate(pack.rules):
        rule = _read_rule(given, tree, i, str(path), pack.pack, problems)
        if rule is None:
            continue
        here, before = _Place(str(path), tree, ("rules", i)), loading.places.get(rule.full_id)
        if before is not None:
            where = f"{before.file}:{line_of(before.tree, before.place)}"
            problems.append(
                here.problem("id", f"{rule.full_id!r} exists already ({where}); give it another id")
            )
        loading.rules[rule.full_id], loading.places[rule.full_id] = rule, here
        loading.texts[rule.full_id] = {**given, "pack": pack.pack}
    for full_id, change in pack.change.items():
        _apply(full_id, change, loading, tree, path, problems)
    if problems:
        raise YamlFileError(problems)


def _warnings(loading: _Loading) -> Iterator[FileProblem]:
    """Unverified limits that were switched on by hand, and composites that can never be true."""
    for full_id, rule in loading.rules.items():
        place = loading.places[full_id]
        if rule.is_enabled and rule.legal is not None and not rule.legal.verified:
            yield place.problem(
                "enabled",
                f"the limit of {full_id} is not verified and is switched on all the same; compare "
                "the number with the document, then write legal.verified: true",
            )
        for name in rule.refers_to if rule.is_enabled else ():
            if not loading.rules[name].is_enabled:
                yield place.problem(
                    "when",
                    f"{name} is switched off and never counts as true; switch it on (alert: false "
                    "keeps it quiet)",
                )


def _read_rule(
    given: dict[str, Any], tree: Any, i: int, file: str, pack: str, problems: list[FileProblem]
) -> Rule | None:
    node = tree["rules"][i]
    kind = given.get("kind")
    known = rule_kinds().get(kind) if isinstance(kind, str) else None
    if known is None:
        problems.append(_problem(file, tree, ("rules", i, "kind"), _about_kind(kind)))
        return None
    if "pack" in given:
        problems.append(_problem(file, tree, ("rules", i, "pack"), "unknown field"))
        return None
    model: type[Rule] = known.rule
    try:
        rule = model.model_validate({**given, "pack": pack})
    except ValidationError as error:
        problems += [_inside(p, i) for p in validation_problems(error, node, file, model)]
        return None
    found = list(rule.validation_errors())
    problems += [_problem(file, tree, ("rules", i, *place), message) for place, message in found]
    return None if found else rule


def _about_kind(kind: object) -> str:
    known = ", ".join(sorted(rule_kinds()))
    if kind is None:
        return f"is missing; it is required, one of {known}"
    near = difflib.get_close_matches(str(kind), list(rule_kinds()), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {known}"
    return f"{kind!r} is no kind of rule; {hint}"


def _inside(problem: FileProblem, i: int) -> FileProblem:
    field = f"rules[{i}].{problem.field}" if problem.field else f"rules[{i}]"
    return FileProblem(problem.file, problem.line, field, problem.message)


def _problem(
    file: Path | str, tree: Any, place: tuple[int | str, ...], message: str
) -> FileProblem:
    field = ""
    for key in place:
        field += f"[{key}]" if isinstance(key, int) else f".{key}" if field else key
    return FileProblem(str(file), line_of(tree, place), field, message)


def _apply(
    full_id: str, change: Override, loading: _Loading, tree: Any, path: Path,
    problems: list[FileProblem],
) -> None:  # fmt: skip
    rule = loading.rules.get(full_id)
    place = ("change", full_id)
    if rule is None:
        near = difflib.get_close_matches(full_id, list(loading.rules), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "; is its pack listed before this file?"
        problems.append(_problem(path, tree, place, f"there is no such rule{hint}"))
        return
    try:
        text = loading.texts[full_id] | change.model_dump(exclude_unset=True)
        changed = type(rule).model_validate(text)
    except ValidationError as error:
        node = tree["change"][full_id]
        problems += [
            FileProblem(p.file, p.line, f"change.{full_id}.{p.field}", p.message)
            for p in validation_problems(error, node, str(path), type(rule))
        ]
        return
    for where, message in changed.validation_errors():
        problems.append(_problem(path, tree, (*place, *where), message))
    loading.rules[full_id], loading.texts[full_id] = changed, text
    loading.places[full_id] = _Place(str(path), tree, place)
