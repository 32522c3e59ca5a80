"""Every setting of a configuration model with its default."""

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def settings_of(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Each field that holds a value, by its dotted name; ``[]`` for lists, ``{}`` for mappings."""
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        inner = [(mark, m) for mark, m in _models_in(field.annotation)]
        if not inner or len(inner) < len(_choices(field.annotation)):
            yield f"{before}{name}", field
        for mark, found in inner:
            yield from settings_of(found, f"{before}{name}{mark}.")


def _choices(annotation: Any) -> list[Any]:
    return [a for a in typing.get_args(annotation) if a not in (type(None), ...)] or [annotation]


def _models_in(annotation: Any, mark: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield mark, annotation
    origin = typing.get_origin(annotation)
    if origin in (tuple, list):
        mark = "[]"
    elif origin is dict:
        mark = "{}"
    for argument in typing.get_args(annotation):
        yield from _models_in(argument, mark)
