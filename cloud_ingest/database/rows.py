"""Writes many rows as plain tuples in one statement, with every batch of samples.

The database's own statements are used, without SQLAlchemy's work for each row, which costs more
than the row itself.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

Rows = Sequence[tuple[Any, ...]]


def put_rows(
    connection: Connection, table: sa.Table, rows: Rows, *, added: tuple[str, ...] = ()
) -> None:
    """Insert rows with a value for each column of ``table`` in its order, or overwrite them.

    Where the primary key is there already, the columns in ``added`` are added to what is there.
    JSON columns take text.
    """
    if rows:
        connection.exec_driver_sql(_put(table, connection.dialect, added), list(rows))


def set_column(
    connection: Connection, table: sa.Table, column: str, keys: tuple[str, ...], rows: Rows
) -> None:
    """Overwrite one column of rows that are there; each of ``rows``: its value, then its keys."""
    if rows:
        connection.exec_driver_sql(_set(table, connection.dialect, column, keys), list(rows))


@lru_cache(maxsize=64)
def _put(table: sa.Table, dialect: sa.Dialect, added: tuple[str, ...]) -> str:
    quote, mark = dialect.identifier_preparer.quote, _mark(dialect)
    names = [quote(c.name) for c in table.columns]
    keys = [quote(c.name) for c in table.primary_key.columns]
    sums = {quote(name) for name in added}
    changes = ", ".join(
        f"{n} = {table.name}.{n} + excluded.{n}" if n in sums else f"{n} = excluded.{n}"
        for n in names
        if n not in keys
    )
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) "  # noqa: S608  # names from the schema
        f"VALUES ({', '.join([mark] * len(names))}) "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"
    )


@lru_cache(maxsize=64)
def _set(table: sa.Table, dialect: sa.Dialect, column: str, keys: tuple[str, ...]) -> str:
    quote, mark = dialect.identifier_preparer.quote, _mark(dialect)
    where = " AND ".join(f"{quote(key)} = {mark}" for key in keys)
    return f"UPDATE {table.name} SET {quote(column)} = {mark} WHERE {where}"  # noqa: S608  # as above


def _mark(dialect: sa.Dialect) -> str:
    return "?" if dialect.paramstyle == "qmark" else "%s"
