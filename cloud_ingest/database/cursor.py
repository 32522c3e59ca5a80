"""Cursors of paged lists: the key of the last item of a page, as opaque text for clients."""

import base64
import json
from typing import TypeVar

KeyT = TypeVar("KeyT", int, str)
_LIMIT = 1 << 63


class InvalidCursor(ValueError):  # noqa: N818  # named by what went wrong
    """The text is not a cursor of this list."""


def encode_cursor(*key: int | str) -> str:
    """The cursor of the page that follows the item with this key."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, kind: type[KeyT], length: int = 1) -> list[KeyT]:
    """The key in a cursor: ``length`` values of one ``kind``. Raises InvalidCursor.

    Integers are limited to the 64 bits that a database can compare.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError) as error:
        raise InvalidCursor(cursor) from error
    if not isinstance(key, list) or len(key) != length:
        raise InvalidCursor(cursor)
    for value in key:
        if type(value) is not kind or (isinstance(value, int) and not -_LIMIT <= value < _LIMIT):
            raise InvalidCursor(cursor)
    return key
