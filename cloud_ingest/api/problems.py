"""Errors of the API as problem details (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from cloud_ingest.alerts import AlertConflict, AlertNotFound
from cloud_ingest.alerts.model import AlertError
from cloud_ingest.database.cursor import InvalidCursor

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818  # the standard's word
    """Raised by an endpoint; becomes a problem document with ``status``.

    ``extra`` members are added to the document.
    """

    def __init__(self, status: int, title: str, detail: str = "", **extra: Any) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.extra = extra


def not_found(what: str, name: str) -> Problem:
    """The problem of an object that does not exist."""
    return Problem(404, f"No such {what}", f"There is no {what} {name!r}.")


def install(app: FastAPI) -> None:
    """Make ``app`` respond to every error with a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(InvalidCursor, _on_invalid_cursor)
    app.add_exception_handler(AlertError, _on_alert_error)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(Exception, _on_unexpected)


def document(
    status: int, title: str, detail: str = "", extra: Mapping[str, Any] | None = None
) -> JSONResponse:
    """A problem document as a response."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body | dict(extra or {}), status, media_type=MEDIA_TYPE)


def _on_problem(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return document(error.status, error.title, error.detail, error.extra)


def _on_invalid_cursor(_request: Request, _error: Exception) -> JSONResponse:
    return document(400, "Not a cursor", "Pass `next` of the previous page unchanged.")


def _on_alert_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AlertError)
    if isinstance(error, AlertNotFound):
        return document(404, "Not found", error.detail)
    if isinstance(error, AlertConflict):
        return document(409, "Not possible now", error.detail)
    return document(400, "Not possible", error.detail)


def _on_http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    title = HTTPStatus(error.status_code).phrase
    detail = "" if error.detail == title else str(error.detail)
    response = document(error.status_code, title, detail)
    response.headers.update(error.headers or {})
    return response


def _on_validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"field": ".".join(str(part) for part in e["loc"][1:]) or "body", "message": e["msg"]}
        for e in error.errors()
    ]
    detail = "; ".join(f"{e['field']}: {e['message']}" for e in errors)
    return document(422, "The request is not valid", detail, {"errors": errors})


def _on_unexpected(_request: Request, _error: Exception) -> JSONResponse:
    return document(500, "Something failed inside", "The log of the service has the details.")
