"""The OpenAPI document: FastAPI's, with errors as the problem documents that the API sends."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from cloud_ingest.api.problems import MEDIA_TYPE
from cloud_ingest.api.responses.declaration import EXAMPLES

TAGS = {
    "operation": "The service itself: health, quarantine, events, metrics.",
    "stations": "The inventory: stations, gateways, devices, series.",
    "samples": "Samples: the latest, and any time range.",
    "live": "Changes as they happen, as server-sent events.",
    "alerts": "Alerts and actions on them; silences, notifications, rules, reports.",
    "index": "Air-quality indices.",
}
_DESCRIPTION = (
    'Lists are `{"items": [...], "next": cursor or null}`, paged with `limit` and `cursor`. Times '
    "are ISO 8601 or milliseconds since 1970 in requests, milliseconds in responses, UTC. Errors are "
    "problem details (RFC 9457). The header `X-Quantrac-User` (percent-encoded UTF-8) names the user "
    "who acts on an alert; it is not verified, there are no accounts."
)
_PROBLEM = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}


def name_of(route: APIRoute) -> str:
    """The name of an operation: the name of its function."""
    return route.name


def install(app: FastAPI) -> None:
    """Make ``app`` use this document."""
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's way to do it


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=_DESCRIPTION,
            routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        )
        for methods in made["paths"].values():
            for operation in methods.values():
                _correct(operation)
        schemas = made["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for name in schemas.keys() & EXAMPLES.keys():
            schemas[name]["examples"] = [EXAMPLES[name]]
        app.openapi_schema = made
    return app.openapi_schema


def _correct(operation: dict[str, Any]) -> None:
    """Describe all errors as problem documents, also those of FastAPI."""
    responses = operation["responses"]
    for status, response in responses.items():
        content = response.get("content", {})
        if status == "422":
            response["content"] = {MEDIA_TYPE: _PROBLEM}
        elif int(status) >= 400 and "application/json" in content:
            response["content"] = {MEDIA_TYPE: content["application/json"]}
    responses["default"] = {
        "description": "Any other problem",
        "content": {MEDIA_TYPE: _PROBLEM},
    }
