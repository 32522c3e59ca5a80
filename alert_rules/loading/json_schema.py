"""The JSON Schema of a rule file, with which editors complete fields and mark mistakes."""

import json
from typing import Any

from pydantic.json_schema import models_json_schema

from alert_rules.loading.packs import Pack
from alert_rules.rule_kinds import rule_kinds
from telemetry.quantities import QUANTITIES

_EXPRESSION = {"$ref": "#/$defs/Expression"}
_PATTERN = r"[*?\[]"


def json_schema() -> str:
    """One schema for all kinds of rule: ``kind`` decides which fields a rule has.

    It checks each field by itself; ``quantrac rules check`` also checks fields against each other.
    """
    kinds = {name: kind.rule for name, kind in rule_kinds().items()}
    found, shared = models_json_schema(
        [(model, "validation") for model in kinds.values()], by_alias=True
    )
    references = [found[model, "validation"] for model in kinds.values()]
    definitions = shared["$defs"]
    for reference in references:
        rule = definitions[reference["$ref"].rsplit("/", 1)[-1]]
        rule["properties"].pop("pack")  # given once for the file
        rule["required"] = sorted({*rule["required"], "kind", "id", "name"})
    quantity = definitions["Selector"]["properties"]["quantity"]
    quantity["anyOf"] = [
        {"enum": sorted(QUANTITIES)}, {"type": "string", "pattern": _PATTERN},
        {"type": "array", "items": {"anyOf": [{"enum": sorted(QUANTITIES)}, {"type": "string", "pattern": _PATTERN}]}},
    ]  # fmt: skip
    schema = Pack.model_json_schema()
    schema |= {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Quantrac rule pack",
        "$defs": schema.get("$defs", {}) | definitions,
    }
    schema["properties"]["rules"]["items"] = {
        "type": "object",
        "required": ["kind", "id", "name"],
        "properties": {"kind": {"enum": sorted(kinds)}},
        "allOf": [
            {"if": {"properties": {"kind": {"const": name}}}, "then": reference}
            for name, reference in zip(kinds, references, strict=True)
        ],
    }
    return json.dumps(_with_names(schema), indent=2, ensure_ascii=False) + "\n"


def _with_names(node: Any) -> Any:
    """Allow the name of a rule wherever an expression is allowed."""
    if node == _EXPRESSION:
        return {"anyOf": [{"type": "string"}, _EXPRESSION]}
    if isinstance(node, dict):
        return {key: _with_names(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_names(value) for value in node]
    return node
