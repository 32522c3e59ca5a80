"""The relational database as rows of JSON, from SQLite or PostgreSQL into either of them."""

import base64
import datetime as dt
import itertools
import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

VERSION_TABLE = "alembic_version"
_ROWS = 500


class RelationsDiffer(ValueError):  # noqa: N818  # named by what went wrong
    """The rows are of another schema version than the database."""


def dump(engine: Engine, only: Collection[str] = (), but: Collection[str] = ()) -> Iterator[str]:
    """Every row as a line of JSON, from one transaction, parent tables before their children.

    ``only``: these tables (if not empty); ``but``: all tables except these.
    """
    with engine.connect().execution_options(read_only=True) as plain:
        connection = plain
        if engine.dialect.name == "postgresql":
            connection = plain.execution_options(isolation_level="REPEATABLE READ")
        tables = sa.MetaData()
        tables.reflect(connection)
        for table in tables.sorted_tables:
            if table.name in but or (only and table.name not in only):
                continue
            for row in connection.execute(sa.select(table)).mappings():
                values = {name: _to_json(value) for name, value in row.items()}
                yield json.dumps({"table": table.name, "row": values}, ensure_ascii=False) + "\n"


def restore(engine: Engine, lines: Iterable[str]) -> int:
    """Replace the content of all tables by dumped rows, in one transaction; the number of rows.

    The tables must exist, in the schema version of the dump.
    """
    tables = sa.MetaData()
    tables.reflect(engine)
    total = 0
    with engine.begin() as connection:
        version = tables.tables[VERSION_TABLE]
        here = set(connection.execute(sa.select(version.c.version_num)).scalars())
        for table in reversed(tables.sorted_tables):
            connection.execute(sa.delete(table))
        trees = (json.loads(line) for line in lines)
        for name, group in itertools.groupby(trees, key=lambda tree: str(tree["table"])):
            rows = [tree["row"] for tree in group]
            if name == VERSION_TABLE:
                _check_version(rows, here)
            _insert(connection, tables.tables[name], rows)
            total += len(rows)
        _advance_sequences(connection, tables)
    return total


def _check_version(rows: list[dict[str, Any]], here: set[str]) -> None:
    for row in rows:
        if row["version_num"] not in here:
            raise RelationsDiffer(
                f"the backup has version {row['version_num']} of the tables, this is "
                f"{', '.join(sorted(here))}: restore it with the Quantrac that made it"
            )


def _insert(connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    for column in table.c:
        if isinstance(column.type, sa.JSON):
            column.type.none_as_null = True
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        values = [{n: _from_json(v, table.c[n]) for n, v in row.items()} for row in some]
        connection.execute(sa.insert(table), values)


def _advance_sequences(connection: Connection, tables: sa.MetaData) -> None:
    """Let PostgreSQL continue after the highest inserted ids."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables.sorted_tables:
        for column in table.primary_key:
            found = sa.func.pg_get_serial_sequence(f'"{table.name}"', column.name)
            name = connection.execute(sa.select(found)).scalar()
            if name:
                highest = sa.select(sa.func.max(column)).scalar_subquery()
                connection.execute(
                    sa.select(sa.func.setval(name, sa.func.coalesce(highest, 0) + 1, False))
                )


def _to_json(value: Any) -> Any:
    if isinstance(value, (bytes, memoryview)):
        return {"$bytes": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, (dt.datetime, dt.date)):
        return {"$time": value.isoformat()}
    if isinstance(value, (dict, list)):
        return {"$json": value}
    return value


def _from_json(value: Any, column: sa.Column[Any]) -> Any:
    if isinstance(column.type, sa.JSON):
        return value["$json"] if isinstance(value, dict) and "$json" in value else value
    if isinstance(value, dict):
        if "$bytes" in value:
            return base64.b64decode(value["$bytes"])
        return dt.datetime.fromisoformat(value["$time"])
    if isinstance(column.type, sa.Boolean) and value is not None:
        return bool(value)
    return value
