"""What requests of people share: who asks, when, and what was wrong with it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import unquote

from fastapi import Request

from cloud_ingest.alerts import AlertConflict, AlertNotFound
from cloud_ingest.alerts.model import AlertError
from cloud_ingest.api.problems import Problem

OFFICER = "officer"
USER_HEADER = "X-Quantrac-User"
"""Who acts, percent-encoded; said by the client, not proved, until there are accounts."""
LONGEST_NAME = 80
ResultT = TypeVar("ResultT")


def translate_errors(call: Callable[[], ResultT]) -> ResultT:
    """What ``call`` gives; its errors as problems."""
    try:
        return call()
    except AlertNotFound as error:
        raise Problem(404, "Not found", error.detail) from error
    except AlertConflict as error:
        raise Problem(409, "Not possible now", error.detail) from error
    except AlertError as error:
        raise Problem(400, "Not possible", error.detail) from error


def user_of(request: Request) -> str:
    """Who asks, as they say themselves."""
    said = unquote(request.headers.get(USER_HEADER, "")).strip()[:LONGEST_NAME]
    return str(getattr(request.state, "user", None) or said or OFFICER)


def moment_ms(given: str | int | None, field: str) -> int | None:
    """A moment from a query or body: ISO 8601 or milliseconds; Problem 422 for anything else."""
    if given is None or isinstance(given, int):
        return given
    text = given.strip().replace(" ", "+")  # a plus sign that was not escaped in a query
    if text.lstrip("-").isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        detail = f"{field}: write a time as 2026-11-23T08:00:00+07:00 or in milliseconds"
        raise Problem(422, "The request is not valid", detail) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
