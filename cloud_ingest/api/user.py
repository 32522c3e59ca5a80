"""Who sends a request."""

from urllib.parse import unquote

from fastapi import Request

OFFICER = "officer"
USER_HEADER = "X-Quantrac-User"
"""The name of the user, percent-encoded. The client states it; it is not verified."""
LONGEST_NAME = 80


def user_of(request: Request) -> str:
    """The user's name as the client states it."""
    stated = unquote(request.headers.get(USER_HEADER, "")).strip()[:LONGEST_NAME]
    return str(getattr(request.state, "user", None) or stated or OFFICER)
