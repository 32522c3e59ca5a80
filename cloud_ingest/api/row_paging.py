"""Pages of database rows, newest first."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from cloud_ingest.database import Database
from cloud_ingest.database.cursor import decode_cursor, encode_cursor


def newest_first(
    database: Database,
    statement: sa.Select[Any],
    key: sa.Column[Any],
    limit: int,
    cursor: str | None,
    show: Callable[[Any], dict[str, Any]],
) -> dict[str, Any]:
    """One page of the rows of ``statement``, which are in descending order of ``key``, their id."""
    if cursor is not None:
        [before] = decode_cursor(cursor, int)
        statement = statement.where(key < before)
    with database.engine.connect().execution_options(read_only=True) as connection:
        rows = connection.execute(statement.limit(limit + 1)).mappings().all()
    chosen = rows[:limit]
    return {
        "items": [show(row) for row in chosen],
        "next": encode_cursor(chosen[-1][key.name]) if len(rows) > limit else None,
    }
