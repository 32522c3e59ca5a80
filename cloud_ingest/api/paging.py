"""Lists in pages: ``{"items": [...], "next": cursor-or-null}`` with ``limit`` and ``cursor``."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query

from cloud_ingest.api.problems import Problem

ItemT = TypeVar("ItemT")

Limit = Annotated[int, Query(ge=1, le=1000, description="How many items at most.")]
Cursor = Annotated[str | None, Query(description="`next` of the page before.")]
DEFAULT_LIMIT = 100


def encode_cursor(key: str) -> str:
    """A cursor that stands behind the item with ``key``."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """The key in a cursor; a Problem (400) if it is not one of ours."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise Problem(400, "Not a cursor", "Pass `next` of the page before unchanged.") from error


def page(
    items: Sequence[ItemT],
    key: Callable[[ItemT], str],
    limit: int,
    cursor: str | None,
    show: Callable[[ItemT], Any] = lambda item: item,
) -> dict[str, Any]:
    """One page of ``items``, which are in the order of ``key``; each item is put through ``show``."""
    if cursor is not None:
        after = decode_cursor(cursor)
        items = [i for i in items if key(i) > after]
    chosen = items[:limit]
    more = len(items) > limit
    return {
        "items": [show(i) for i in chosen],
        "next": encode_cursor(key(chosen[-1])) if more else None,
    }
