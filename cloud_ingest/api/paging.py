"""Lists in pages: ``{"items": [...], "next": cursor-or-null}`` with ``limit`` and ``cursor``."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query

from cloud_ingest.database.cursor import decode_cursor, encode_cursor

ItemT = TypeVar("ItemT")

Limit = Annotated[int, Query(ge=1, le=1000, description="The largest number of items.")]
Cursor = Annotated[str | None, Query(description="`next` of the previous page.")]
DEFAULT_LIMIT = 100


def page(
    items: Sequence[ItemT],
    key: Callable[[ItemT], str],
    limit: int,
    cursor: str | None,
    show: Callable[[ItemT], Any] = lambda item: item,
) -> dict[str, Any]:
    """One page of ``items``, which are sorted by ``key``; ``show`` turns an item into JSON."""
    if cursor is not None:
        [after] = decode_cursor(cursor, str)
        items = [i for i in items if key(i) > after]
    chosen = items[:limit]
    more = len(items) > limit
    return {
        "items": [show(i) for i in chosen],
        "next": encode_cursor(key(chosen[-1])) if more else None,
    }
