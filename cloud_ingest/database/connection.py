"""The connection to the relational database: SQLite by default, PostgreSQL by its URL."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection, Engine, make_url

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_S = 5.0


class DatabaseUnavailable(Exception):  # noqa: N818  # named by what went wrong
    """The relational database does not answer."""


class Database:
    """The relational database behind ``engine``; ``migrate`` brings its tables up to date.

    ``url`` is an SQLAlchemy URL: ``sqlite:///./data/quantrac.db`` or
    ``postgresql://user:password@host/name`` (psycopg 3 is used). ``namespace`` separates
    the tables of several workers: a schema in PostgreSQL, a file of its own in SQLite.
    """

    def __init__(self, url: str, namespace: str = "") -> None:
        parsed = make_url(url)
        self._namespace = namespace
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.url = parsed
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite and parsed.database and parsed.database != ":memory:":
            if namespace:
                file = Path(parsed.database)
                self.url = parsed = parsed.set(
                    database=str(file.with_stem(f"{file.stem}-{namespace}"))
                )
            assert parsed.database is not None
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine: Engine = self._engine()

    def _engine(self) -> Engine:
        if not self.is_sqlite:
            engine = sa.create_engine(self.url, pool_pre_ping=True, pool_size=5, max_overflow=15)
            if self._namespace:
                sa.event.listen(engine, "connect", self._enter_namespace)
            return engine
        engine = sa.create_engine(
            self.url, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
        )
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_immediate)
        return engine

    def _enter_namespace(self, connection: Any, _record: Any) -> None:
        name = '"' + self._namespace.replace('"', "") + '"'
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {name}")
            cursor.execute(f"SET search_path TO {name}")
        connection.commit()

    def migrate(self) -> None:
        """Bring the tables to the newest version; raises DatabaseUnavailable."""
        configuration = Config()
        configuration.set_main_option("script_location", str(MIGRATIONS))
        try:
            with self.engine.connect() as connection:
                configuration.attributes["connection"] = connection
                command.upgrade(configuration, "head")
        except sa.exc.OperationalError as error:
            raise DatabaseUnavailable(f"{self.shown_url}: {error.orig}") from error

    @property
    def shown_url(self) -> str:
        """The URL without its password, for messages."""
        return self.url.render_as_string(hide_password=True)

    def check(self) -> None:
        """Raise DatabaseUnavailable with the reason if the database does not answer."""
        try:
            with self.engine.connect() as connection:
                connection.execute(sa.text("SELECT 1"))
        except sa.exc.SQLAlchemyError as error:
            raise DatabaseUnavailable(str(getattr(error, "orig", error))) from error

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Switch off the driver's own transaction handling: _begin_immediate sends BEGIN.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    # In SQLite, a reader that becomes a writer within a transaction cannot wait for the lock.
    # Readers with the execution option "read_only" take a snapshot, all others the write lock.
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
