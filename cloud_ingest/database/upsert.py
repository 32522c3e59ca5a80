"""Insert or overwrite, on both kinds of database."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection


def upsert(connection: Connection, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert ``rows`` (each with every column), overwriting those whose primary key is there."""
    values = [dict(row) for row in rows]
    if not values:
        return
    is_postgresql = connection.dialect.name == "postgresql"
    statement: Any = postgresql.insert(table) if is_postgresql else sqlite.insert(table)
    keys = [c.name for c in table.primary_key.columns]
    others = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), values)
