"""The reference of the API as one HTML page, made from the OpenAPI document, without scripts."""

import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a2b33}
h2{margin:2.5rem 0 .5rem;border-bottom:1px solid #ccd6da;text-transform:capitalize}
article{margin:1rem 0 1.5rem}code{background:#eef3f5;padding:.1rem .35rem;border-radius:.25rem}
h3{font-size:1rem;margin:.2rem 0}table{border-collapse:collapse;font-size:.9rem}
td,th{padding:.15rem .9rem .15rem 0;text-align:left;vertical-align:top}th{font-weight:600}
pre{font-size:.85rem;overflow-x:auto}summary{cursor:pointer;font-size:.9rem}
.method{font-weight:700;color:#0a6c74;margin-right:.5rem}
"""


def page_of(document: Mapping[str, Any]) -> str:
    """The page for an OpenAPI ``document``."""
    info = document["info"]
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            group = (operation.get("tags") or ["other"])[0]
            groups.setdefault(group, []).append(_operation(path, method, operation, document))
    body = "".join(f"<h2>{escape(g)}</h2>{''.join(parts)}" for g, parts in groups.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>"
        '<p>JSON over HTTP. Lists are <code>{"items": […], "next": cursor or null}</code>, paged '
        "with <code>limit</code> and <code>cursor</code>. Errors are problem details (RFC 9457). "
        "Times are ISO 8601 or milliseconds since 1970, UTC. The same as OpenAPI: "
        f'<a href="/api/openapi.json">/api/openapi.json</a>.</p>{body}</body></html>'
    )


def _operation(
    path: str, method: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code></td><td>{_kind(p)}</td>"
        f"<td>{escape(p.get('description', '').replace('`', ''))}</td></tr>"
        for p in operation.get("parameters", ())
    )
    rows += _body(operation, document)
    said = (operation.get("description") or operation.get("summary", "")).replace("``", "")
    table = f"<table><tr><th>parameter</th><th></th><th></th></tr>{rows}</table>" if rows else ""
    return (
        f'<article><h3><span class="method">{escape(method.upper())}</span>'
        f"<code>{escape(path)}</code></h3>{escape(said)}{table}"
        f"{_example(operation, document)}</article>"
    )


def _body(operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """The rows of the fields of the request body."""
    sent = json.dumps(operation.get("requestBody", {}))
    rows = ""
    for name in re.findall(r"#/components/schemas/(\w+)", sent):
        shape = document["components"]["schemas"][name]
        for field, schema in shape.get("properties", {}).items():
            parameter = {"schema": schema, "required": field in shape.get("required", ())}
            rows += f"<tr><td><code>{escape(field)}</code></td><td>{_kind(parameter)}</td><td>body</td></tr>"
    return rows


def _example(operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """An example of the response: of its schema, or of the items of its list."""
    schemas = document.get("components", {}).get("schemas", {})
    good = next(r for status, r in operation["responses"].items() if status.startswith("2"))
    text = json.dumps(good.get("content", {}).get("application/json", {}))
    for name in re.findall(r"#/components/schemas/(\w+)", text):
        listed = re.findall(
            r"#/components/schemas/(\w+)", json.dumps(schemas[name]["properties"].get("items", {}))
        )
        for shape in (name, *listed):
            for example in schemas[shape].get("examples", ()):
                shown = json.dumps(example, ensure_ascii=False, indent=1)
                return f"<details><summary>{escape(shape)}</summary><pre>{escape(shown)}</pre></details>"
    return ""


def _kind(parameter: Mapping[str, Any]) -> str:
    schema = parameter.get("schema", {})
    kinds = [schema, *schema.get("anyOf", ())]
    names = [
        " | ".join(map(str, k["enum"])) if "enum" in k else str(k.get("type", ""))
        for k in kinds
        if k.get("type") not in (None, "null") or "enum" in k
    ]
    required = "required" if parameter.get("required") else ""
    return escape(" ".join(filter(None, [" or ".join(names), required])))
