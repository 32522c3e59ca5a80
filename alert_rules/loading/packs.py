"""Reads rule packs from the library or from files; errors name file, line and field."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from alert_rules.loading.references import in_dependency_order, reference_problems
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

FieldPath = tuple[int | str, ...]


class RuleNotFound(Exception):  # noqa: N818  # named by what went wrong
    """There is no such rule pack."""


class RuleChange(BaseModel):
    """What a pack changes in a rule of another pack: ``enabled``, or any other field."""

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
    change: dict[str, RuleChange] = {}
    rules: list[Annotated[dict[str, Any], BeforeValidator(_as_fields)]] = []


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules of some packs, enabled or not, each with a unique name.

    A composite rule comes after the rules that it names. ``warnings`` are likely mistakes in valid
    rules.
    """

    rules: tuple[Rule, ...] = ()
    warnings: tuple[FileProblem, ...] = ()

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    @property
    def enabled(self) -> tuple[Rule, ...]:
        """The rules that are enabled."""
        return tuple(r for r in self.rules if r.is_enabled)

    def find(self, full_id: str) -> Rule | None:
        """The rule ``pack/id``, if there is one."""
        return next((r for r in self.rules if r.full_id == full_id), None)


def library_packs() -> list[str]:
    """The references of the packs in the library."""
    return [f"{_PREFIX}{p.stem}" for p in sorted(LIBRARY.glob("*.yaml"))]


def pack_path(ref: str, base: Path) -> Path:
    """The file of a pack: ``library/<name>``, or a path relative to ``base``. Raises RuleNotFound."""
    if not ref.startswith(_PREFIX):
        return base / ref
    path = LIBRARY / f"{ref.removeprefix(_PREFIX)}.yaml"
    if not path.is_file():
        near = difflib.get_close_matches(ref, library_packs(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(library_packs())}"
        raise RuleNotFound(f"there is no rule pack {ref}; {hint}")
    return path


def load_rules(refs: Sequence[str], base: Path | None = None) -> RuleSet:
    """Read packs in order; raises YamlFileError with all problems, or RuleNotFound."""
    loaded = _Loaded()
    problems: list[FileProblem] = []
    for ref in refs:
        path = pack_path(ref, base or Path())
        try:
            _load_pack(path, loaded)
        except YamlFileError as error:
            problems += error.problems
    problems += reference_problems(loaded.rules, loaded.locations)
    if problems:
        raise YamlFileError(problems)
    return RuleSet(tuple(in_dependency_order(loaded.rules)), tuple(_warnings(loaded)))


@dataclass(frozen=True, slots=True)
class _File:
    """A rule file, with its YAML tree for line numbers."""

    name: str
    tree: Any

    def problem(self, path: FieldPath, message: str) -> FileProblem:
        """A problem with one field."""
        return FileProblem(self.name, line_of(self.tree, path), _field_name(path), message)


@dataclass(frozen=True, slots=True)
class _Location:
    """Where a rule is defined, or was changed last."""

    file: _File
    path: FieldPath

    def __str__(self) -> str:
        return f"{self.file.name}:{line_of(self.file.tree, self.path)}"

    def problem(self, field: str, message: str) -> FileProblem:
        """A problem with a field of the rule."""
        return self.file.problem((*self.path, field), message)


@dataclass(slots=True)
class _Loaded:
    """The rules loaded so far, with the fields as they were given, and where; by full id."""

    rules: dict[str, Rule] = field(default_factory=dict)
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    locations: dict[str, _Location] = field(default_factory=dict)

    def add(self, rule: Rule, fields: dict[str, Any], location: _Location) -> None:
        """Add a rule, or replace the one of the same name."""
        self.rules[rule.full_id] = rule
        self.fields[rule.full_id] = fields
        self.locations[rule.full_id] = location


def _load_pack(path: Path, loaded: _Loaded) -> None:
    """Add the rules of one file; raises YamlFileError with all its problems."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise YamlFileError([FileProblem(str(path), 0, "", reason)]) from error
    pack = parse_yaml(text, str(path), Pack)
    file = _File(str(path), parse_yaml_tree(text, str(path)))
    problems: list[FileProblem] = []
    for i, given in enumerate(pack.rules):
        problems += _load_rule(given, pack.pack, _Location(file, ("rules", i)), loaded)
    for full_id, override in pack.change.items():
        problems += _change_rule(full_id, override, _Location(file, ("change", full_id)), loaded)
    if problems:
        raise YamlFileError(problems)


def _load_rule(
    given: dict[str, Any], pack: str, location: _Location, loaded: _Loaded
) -> Iterable[FileProblem]:
    """Add a rule; returns the problems with which it cannot be added, or a name used twice."""
    kind = given.get("kind")
    known = rule_kinds().get(kind) if isinstance(kind, str) else None
    if known is None:
        return [location.problem("kind", _kind_problem(kind))]
    if "pack" in given:
        return [location.problem("pack", "unknown field")]
    fields = {**given, "pack": pack}
    rule, problems = _validated(known.rule, fields, location)
    if rule is None or problems:
        return problems
    before = loaded.locations.get(rule.full_id)
    loaded.add(rule, fields, location)
    if before is None:
        return []
    message = f"{rule.full_id!r} exists already ({before}); give it another id"
    return [location.problem("id", message)]


def _change_rule(
    full_id: str, override: RuleChange, location: _Location, loaded: _Loaded
) -> Iterable[FileProblem]:
    """Replace a rule by the changed one; returns what is wrong with the change."""
    rule = loaded.rules.get(full_id)
    if rule is None:
        near = difflib.get_close_matches(full_id, list(loaded.rules), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "; is its pack listed before this file?"
        return [location.file.problem(location.path, f"there is no such rule{hint}")]
    fields = loaded.fields[full_id] | override.model_dump(exclude_unset=True)
    changed, problems = _validated(type(rule), fields, location)
    if changed is not None:
        loaded.add(changed, fields, location)
    return problems


def _validated(
    model: type[Rule], fields: dict[str, Any], location: _Location
) -> tuple[Rule | None, list[FileProblem]]:
    """The rule with these fields (None: they do not fit the model), and what is wrong with it."""
    file = location.file
    try:
        rule = model.model_validate(fields)
    except ValidationError as error:
        node = file.tree
        for key in location.path:
            node = node[key]
        name = _field_name(location.path)
        return None, [
            FileProblem(p.file, p.line, f"{name}.{p.field}" if p.field else name, p.message)
            for p in validation_problems(error, node, file.name, model)
        ]
    errors = rule.validation_errors()
    return rule, [file.problem((*location.path, *path), message) for path, message in errors]


def _field_name(path: FieldPath) -> str:
    """``rules[0].select.quantity`` for the path of a field."""
    name = ""
    for key in path:
        name += f"[{key}]" if isinstance(key, int) else f".{key}" if name else key
    return name


def _kind_problem(kind: object) -> str:
    known = ", ".join(sorted(rule_kinds()))
    if kind is None:
        return f"is missing; it is required, one of {known}"
    near = difflib.get_close_matches(str(kind), list(rule_kinds()), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {known}"
    return f"{kind!r} is no kind of rule; {hint}"


def _warnings(loaded: _Loaded) -> Iterator[FileProblem]:
    """Unverified limits that were enabled by hand, and composites that can never be true."""
    for full_id, rule in loaded.rules.items():
        location = loaded.locations[full_id]
        if rule.is_enabled and rule.legal is not None and not rule.legal.verified:
            yield location.problem(
                "enabled",
                f"the limit of {full_id} is not verified, but the rule is enabled; compare the "
                "number with the document, then write legal.verified: true",
            )
        for name in rule.refers_to if rule.is_enabled else ():
            if not loaded.rules[name].is_enabled:
                yield location.problem(
                    "when",
                    f"{name} is not enabled and never counts as true; enable it (with alert: false "
                    "it notifies nobody)",
                )
