"""YAML that people write, read into typed values, with errors that name file, line and field."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

ModelT = TypeVar("ModelT", bound=BaseModel)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
# Stands for the brackets while YAML is parsed, which in {...} would take them for its own.
_HIDDEN = re.compile("\ue000([A-Za-z_][A-Za-z0-9_]*)\ue001")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: where, and what would be right.

    ``line`` counts from 1; 0 where the whole file is meant.
    """

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return (
            f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"
        )


Place = tuple[int | str, ...]
"""Where a field stands in its document: ``("metrics", 3, "name")``."""


@runtime_checkable
class Complaining(Protocol):
    """A model that can say what is wrong across its fields, once each of them is right."""

    def complaints(self) -> Iterable[tuple[Place, str]]:
        """Each thing wrong: the field's place and what would be right."""
        ...


class DocumentError(Exception):
    """A file cannot be used as it is; ``problems`` says everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems


def read_document(
    path: Path, model: type[ModelT], environment: Mapping[str, str] | None = None
) -> ModelT:
    """Read a YAML file as ``model``; ``${NAME}`` in it comes from ``environment`` if one is given.

    Raises DocumentError with every problem found, also where the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DocumentError([Problem(str(path), 0, "", error.strerror or str(error))]) from error
    except UnicodeDecodeError as error:
        raise DocumentError([Problem(str(path), 0, "", f"not UTF-8 text: {error}")]) from error
    return parse_document(text, str(path), model, environment)


def parse_document(
    text: str, file: str, model: type[ModelT], environment: Mapping[str, str] | None = None
) -> ModelT:
    """Read YAML ``text`` as ``model``; ``file`` is the name that messages use."""
    tree = parse_tree(text, file)
    if not isinstance(tree, Mapping):
        raise DocumentError([Problem(file, 1, "", "expected fields (name: value), found none")])
    problems: list[Problem] = []
    plain = _plain(tree, tree, (), file, environment, problems)
    if problems:
        raise DocumentError(problems)
    try:
        value = model.model_validate(plain)
    except ValidationError as error:
        raise DocumentError(problems_of(error, tree, file, model)) from error
    if isinstance(value, Complaining):
        problems = [
            Problem(file, line_of(tree, place), _dotted(place), message)
            for place, message in value.complaints()
        ]
        if problems:
            raise DocumentError(problems)
    return value


def parse_tree(text: str, file: str) -> Any:
    """Read YAML ``text`` into nested maps and lists that know their lines."""
    yaml = YAML(typ="rt", pure=True)
    yaml.allow_duplicate_keys = False
    try:
        return yaml.load(StringIO(_VARIABLE.sub("\ue000\\1\ue001", text)))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        message = " ".join(str(error.problem or error.context or "not YAML").split())
        raise DocumentError([Problem(file, line, "", f"not valid YAML: {message}")]) from error
    except (YAMLError, ValueError) as error:
        raise DocumentError([Problem(file, 1, "", f"not valid YAML: {error}")]) from error


def problems_of(
    error: ValidationError, tree: Any, file: str, model: type[BaseModel] | None = None
) -> list[Problem]:
    """Say of each pydantic complaint in which line of ``tree`` it stands and what would be right."""
    problems = []
    for item in error.errors(include_url=False):
        place = tuple(item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "unknown field" + _suggestion(str(place[-1]), model, place)
        elif item["type"] == "missing":
            message = "is missing; it is required"
        elif not isinstance(item.get("input"), (dict, list, BaseModel)):
            message = f"{message}, found {item.get('input')!r}"
        problems.append(Problem(file, line_of(tree, place), _dotted(place), message))
    return sorted(problems, key=lambda p: (p.line, p.field))


def line_of(tree: Any, place: tuple[int | str, ...]) -> int:
    """The line (from 1) of the field at ``place``, or of the nearest thing around it."""
    node, line = tree, _start_line(tree, 1)
    for key in place:
        position = getattr(node, "lc", None)
        if isinstance(node, Mapping) and key in node:
            line = position.key(key)[0] + 1 if position is not None else line
            node = node[key]
        elif isinstance(node, list) and isinstance(key, int) and key < len(node):
            line = position.item(key)[0] + 1 if position is not None else line
            node = node[key]
    return line


def _start_line(node: Any, otherwise: int) -> int:
    position = getattr(node, "lc", None)
    return position.line + 1 if position is not None and position.line is not None else otherwise


def _dotted(place: tuple[int | str, ...]) -> str:
    text = ""
    for key in place:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def _suggestion(name: str, model: type[BaseModel] | None, place: tuple[int | str, ...]) -> str:
    names = sorted(_field_names(model, place[:-1])) if model else []
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known here: {', '.join(names)}" if names else ""


def _field_names(model: type[BaseModel], place: tuple[int | str, ...]) -> set[str]:
    here: Any = model
    for key in place:
        if isinstance(key, int):
            continue
        field = getattr(here, "model_fields", {}).get(key)
        models = _models_in(field.annotation) if field else []
        if not models:
            return set()
        here = models[0]
    fields = getattr(here, "model_fields", {})
    return {f.alias or n for n, f in fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in getattr(annotation, "__args__", ()) for m in _models_in(part)]


def _plain(
    node: Any,
    tree: Any,
    place: tuple[int | str, ...],
    file: str,
    environment: Mapping[str, str] | None,
    problems: list[Problem],
) -> Any:
    """The tree as plain dicts and lists, with ``${NAME}`` filled in."""
    if isinstance(node, Mapping):
        return {
            k: _plain(v, tree, (*place, k), file, environment, problems) for k, v in node.items()
        }
    if isinstance(node, list):
        return [
            _plain(v, tree, (*place, i), file, environment, problems) for i, v in enumerate(node)
        ]
    if isinstance(node, str):
        return _fill(str(node), tree, place, file, environment, problems)
    return node


def _fill(
    text: str,
    tree: Any,
    place: tuple[int | str, ...],
    file: str,
    environment: Mapping[str, str] | None,
    problems: list[Problem],
) -> str:
    if environment is None:
        return _HIDDEN.sub(r"${\1}", text)

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in environment:
            message = f"the environment has no {name}; set it or write the value here"
            problems.append(Problem(file, line_of(tree, place), _dotted(place), message))
            return ""
        return environment[name]

    return _HIDDEN.sub(value, text)


def process_environment() -> Mapping[str, str]:
    """The environment of this process, for the doors that read configuration."""
    return os.environ
