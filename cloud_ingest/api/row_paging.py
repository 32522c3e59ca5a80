"""Pages of rows of the database, the newest first."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from cloud_ingest.api.paging import decode_cursor, encode_cursor
from cloud_ingest.api.problems import Problem
from cloud_ingest.database import Database


def newest_first(
    database: Database,
    statement: sa.Select[Any],
    key: sa.Column[Any],
    limit: int,
    cursor: str | None,
    show: Callable[[Any], dict[str, Any]],
) -> dict[str, Any]:
    """One page of the rows of ``statement``, which are in falling order of ``key``, their id."""
    if cursor is not None:
        before = decode_cursor(cursor)
        if not before.isdigit():
            raise Problem(400, "Not a cursor", "Pass `next` of the page before unchanged.")
        statement = statement.where(key < int(before))
    with database.engine.connect().execution_options(read_only=True) as connection:
        rows = connection.execute(statement.limit(limit + 1)).mappings().all()
    chosen = rows[:limit]
    return {
        "items": [show(row) for row in chosen],
        "next": encode_cursor(str(chosen[-1][key.name])) if len(rows) > limit else None,
    }
