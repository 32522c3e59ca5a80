"""YAML files read into pydantic models, with errors that name file, line and field."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Protocol, TypeVar, get_origin, runtime_checkable

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

ModelT = TypeVar("ModelT", bound=BaseModel)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
# Stand for the brackets of ${NAME} while YAML is parsed, which would read them as a mapping.
_HIDDEN = re.compile("\ue000([A-Za-z_][A-Za-z0-9_]*)\ue001")

# Where a value stands and fields or a list belong: pydantic names the Python type that it expected.
_FIELDS, _LIST = "write fields (name: value)", "write a list, such as [a, b]"
_WRONG_SHAPE = {
    "dict_type": _FIELDS, "mapping_type": _FIELDS, "model_type": _FIELDS,
    "list_type": _LIST, "tuple_type": _LIST,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One error or warning about a file: where it is, and what would be correct.

    ``line`` counts from 1; 0 means the whole file.
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


FieldPath = tuple[int | str, ...]
"""The keys that lead to a field, such as ``("metrics", 3, "name")``."""


@runtime_checkable
class CrossFieldValidation(Protocol):
    """A model that is checked across its fields after each field is valid by itself."""

    def validation_errors(self) -> Iterable[tuple[FieldPath, str]]:
        """Each error: the path of the field and what would be correct."""
        ...


class YamlFileError(Exception):
    """A file cannot be used; ``problems`` holds every error in it."""

    def __init__(self, problems: list[FileProblem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems


def read_yaml_file(
    path: Path, model: type[ModelT], environment: Mapping[str, str] | None = None
) -> ModelT:
    """Read a YAML file as ``model``; ``${NAME}`` is replaced from ``environment`` if given.

    Raises YamlFileError with every problem found, also if the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise YamlFileError(
            [FileProblem(str(path), 0, "", error.strerror or str(error))]
        ) from error
    except UnicodeDecodeError as error:
        raise YamlFileError([FileProblem(str(path), 0, "", f"not UTF-8 text: {error}")]) from error
    return parse_yaml(text, str(path), model, environment)


def parse_yaml(
    text: str, file: str, model: type[ModelT], environment: Mapping[str, str] | None = None
) -> ModelT:
    """Read YAML ``text`` as ``model``; ``file`` is its name in messages. Raises YamlFileError."""
    tree = parse_yaml_tree(text, file)
    if not isinstance(tree, Mapping):
        raise YamlFileError([FileProblem(file, 1, "", "expected fields (name: value), found none")])
    problems: list[FileProblem] = []
    plain = _plain(tree, tree, (), file, environment, problems)
    if problems:
        raise YamlFileError(problems)
    try:
        value = model.model_validate(plain)
    except ValidationError as error:
        raise YamlFileError(validation_problems(error, tree, file, model)) from error
    if isinstance(value, CrossFieldValidation):
        problems = [
            FileProblem(file, line_of(tree, path), _dotted(path), message)
            for path, message in value.validation_errors()
        ]
        if problems:
            raise YamlFileError(problems)
    return value


def parse_yaml_tree(text: str, file: str) -> Any:
    """Read YAML ``text`` into nested maps and lists that keep their line numbers."""
    yaml = YAML(typ="rt", pure=True)
    yaml.allow_duplicate_keys = False
    try:
        return yaml.load(StringIO(_VARIABLE.sub("\ue000\\1\ue001", text)))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        message = " ".join(str(error.problem or error.context or "not YAML").split())
        raise YamlFileError([FileProblem(file, line, "", f"not valid YAML: {message}")]) from error
    except (YAMLError, ValueError) as error:
        raise YamlFileError([FileProblem(file, 1, "", f"not valid YAML: {error}")]) from error


def validation_problems(
    error: ValidationError, tree: Any, file: str, model: type[BaseModel] | None = None
) -> list[FileProblem]:
    """Each pydantic error with its line in ``tree`` and what would be correct."""
    problems = []
    for item in error.errors(include_url=False):
        path = tuple(item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "unknown field" + _suggestion(str(path[-1]), model, path)
        elif item["type"] == "missing":
            message = "is missing; it is required"
        else:
            message = _WRONG_SHAPE.get(item["type"], message)
            found = item.get("input")
            if not isinstance(found, (dict, list, BaseModel)) and repr(found) not in message:
                message = f"{message}, found {found!r}"
        problems.append(FileProblem(file, line_of(tree, path), _dotted(path), message))
    return sorted(problems, key=lambda p: (p.line, p.field))


def line_of(tree: Any, path: FieldPath) -> int:
    """The line (from 1) of the field at ``path``, or of the innermost node around it."""
    node, line = tree, _start_line(tree, 1)
    for key in path:
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


def _dotted(path: FieldPath) -> str:
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def _suggestion(name: str, model: type[BaseModel] | None, path: FieldPath) -> str:
    names = sorted(_field_names(model, path[:-1])) if model else []
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known here: {', '.join(names)}" if names else ""


def _field_names(model: type[BaseModel], path: FieldPath) -> set[str]:
    here: Any = model
    named_freely = False  # the next key is a name of the user's, such as that of a metric
    for key in path:
        if isinstance(key, int) or named_freely:
            named_freely = False
            continue
        field = getattr(here, "model_fields", {}).get(key)
        models = _models_in(field.annotation) if field else []
        if field is None or not models:
            return set()
        here, named_freely = models[0], _has_mapping(field.annotation)
    fields = getattr(here, "model_fields", {})
    return {f.alias or n for n, f in fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in getattr(annotation, "__args__", ()) for m in _models_in(part)]


def _has_mapping(annotation: Any) -> bool:
    return get_origin(annotation) in (dict, Mapping) or any(
        _has_mapping(part) for part in getattr(annotation, "__args__", ())
    )


def _plain(
    node: Any,
    tree: Any,
    path: FieldPath,
    file: str,
    environment: Mapping[str, str] | None,
    problems: list[FileProblem],
) -> Any:
    """The tree as plain dicts and lists, with ``${NAME}`` replaced."""
    if isinstance(node, Mapping):
        return {
            k: _plain(v, tree, (*path, k), file, environment, problems) for k, v in node.items()
        }
    if isinstance(node, list):
        return [
            _plain(v, tree, (*path, i), file, environment, problems) for i, v in enumerate(node)
        ]
    if isinstance(node, str):
        return _fill(str(node), tree, path, file, environment, problems)
    return node


def _fill(
    text: str,
    tree: Any,
    path: FieldPath,
    file: str,
    environment: Mapping[str, str] | None,
    problems: list[FileProblem],
) -> str:
    if environment is None:
        return _HIDDEN.sub(r"${\1}", text)

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in environment:
            message = f"the environment has no {name}; set it or write the value here"
            problems.append(FileProblem(file, line_of(tree, path), _dotted(path), message))
            return ""
        return environment[name]

    return _HIDDEN.sub(value, text)


def process_environment() -> Mapping[str, str]:
    """The environment of this process. Only code that loads configuration calls this."""
    return os.environ
