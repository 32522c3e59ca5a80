# ruff: noqa: INP001  # a tool, not a package
"""Writes ``src/api/schema.ts``, the page's types of the HTTP API, from the OpenAPI document.

Run it from the root after a change of the API: ``.venv/bin/python cloud_ingest/web/tools/make_types.py``.
A test fails if the file is not up to date.
"""

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloud_ingest.configuration import CloudConfiguration, in_folder
from cloud_ingest.service import Service

TARGET = Path(__file__).parents[1] / "src/api/schema.ts"
PREFIX = "/api/v1"
HEAD = """\
// What the HTTP API takes and answers. Made from its OpenAPI document; do not edit.
// cloud_ingest/web/tools/make_types.py writes this file.
"""
_PLAIN = {
    "string": "string", "integer": "number", "number": "number", "boolean": "boolean",
    "null": "null",
}  # fmt: skip


def document() -> dict[str, Any]:
    """The OpenAPI document of a service that is not running."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(
            in_folder(
                CloudConfiguration.model_validate(
                    {
                        "broker": {"url": "mqtt://127.0.0.1"},
                        "store": {"kind": "embedded", "path": "samples"},
                    }
                ),
                Path(folder),
            )
        )
        try:
            return dict(service.application().openapi())
        finally:
            service.store.close()
            service.overflow.close()
            service.database.close()


def types_of(api: Mapping[str, Any]) -> str:
    """The file's text for an OpenAPI document."""
    shapes = [
        f"/** {_in_one_line(shape)} */\nexport {_declared(_name(name), shape)}\n"
        for name, shape in sorted(api["components"]["schemas"].items())
    ]
    calls = [
        f"  {json.dumps(f'{method.upper()} {path.removeprefix(PREFIX)}')}: {_call(operation)};"
        for path, methods in sorted(api["paths"].items())
        for method, operation in methods.items()
        if path.startswith(PREFIX)
    ]
    table = "/** Every call: what it asks for in its address, what it sends, what is answered. */\n"
    table += "export interface Calls {\n" + "\n".join(calls) + "\n}\n"
    return "\n".join([HEAD, *shapes, table])


def _in_one_line(shape: Mapping[str, Any]) -> str:
    text = shape.get("description") or shape.get("title", "")
    return " ".join(text.replace("``", "`").replace("*/", "").split())


def _name(name: str) -> str:
    return name.replace("_", "")


def _declared(name: str, shape: Mapping[str, Any]) -> str:
    if shape.get("type") == "object" and "properties" in shape:
        return f"interface {name} {_object(shape, '  ')}"
    return f"type {name} = {_type(shape)};"


def _object(shape: Mapping[str, Any], indent: str) -> str:
    required = shape.get("required", ())
    fields = [
        f"{indent}{_field(name)}{'' if name in required else '?'}: {_type(of)};"
        for name, of in shape["properties"].items()
    ]
    return "{\n" + "\n".join(fields) + "\n" + indent[2:] + "}"


def _field(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else json.dumps(name)


def _type(shape: Mapping[str, Any]) -> str:
    """The type of a schema; KeyError for a kind of schema that is not known here."""
    if "$ref" in shape:
        return _name(shape["$ref"].rpartition("/")[2])
    if "const" in shape:
        return json.dumps(shape["const"])
    if "enum" in shape:
        return " | ".join(json.dumps(v) for v in shape["enum"])
    if "anyOf" in shape:
        return " | ".join(dict.fromkeys(_type(one) for one in shape["anyOf"]))
    kind = shape.get("type")
    if kind is None:
        return "unknown"
    if kind == "array":
        if "prefixItems" in shape:
            return "[" + ", ".join(_type(one) for one in shape["prefixItems"]) + "]"
        inner = _type(shape["items"])
        return f"({inner})[]" if " " in inner else f"{inner}[]"
    if kind == "object":
        if "properties" in shape:
            return _object(shape, "    ")
        of = shape.get("additionalProperties")
        return f"Record<string, {_type(of) if isinstance(of, dict) else 'unknown'}>"
    return _PLAIN[kind]


def _call(operation: Mapping[str, Any]) -> str:
    asks = []
    for parameter in operation.get("parameters", ()):
        # Times and durations may be text or milliseconds; a list may be a single name.
        kind = _type(parameter["schema"]).replace("string[]", "string[] | string")
        if kind in ("string", "string | null"):
            kind += " | number"
        needed = "" if parameter.get("required") else "?"
        asks.append(f"{_field(parameter['name'])}{needed}: {kind.replace(' | null', '')}")
    body = operation.get("requestBody")
    sends = _type(body["content"]["application/json"]["schema"]) if body else "undefined"
    return f"{{ asks: {{ {'; '.join(asks)} }}; sends: {sends}; answers: {_answer(operation)} }}"


def _answer(operation: Mapping[str, Any]) -> str:
    content = next(
        r.get("content", {}) for status, r in operation["responses"].items() if status[0] == "2"
    )
    if "application/json" in content:
        return _type(content["application/json"]["schema"])
    return "string" if content else "null"


if __name__ == "__main__":
    TARGET.write_text(types_of(document()), encoding="utf-8")
