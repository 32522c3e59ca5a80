"""Databases of alerts: on disk, and on a real PostgreSQL server."""

import pytest
import sqlalchemy as sa

from cloud_ingest.database import Database
from tests.cloud_ingest.alerts.parts import wipe, without_sync
from tests.cloud_ingest.intake.test_shards import running_postgresql


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('alerts')}/quantrac.db")
    sa.event.listen(database.engine, "connect", without_sync)
    database.migrate()
    yield database
    database.close()


@pytest.fixture(scope="session")
def migrated_postgresql():
    with running_postgresql() as server:
        database = Database(server.url)
        database.migrate()
        yield database
        database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request):
    """An empty database of alerts, of each kind that the service runs on."""
    name = "migrated" if request.param == "sqlite" else "migrated_postgresql"
    found = request.getfixturevalue(name)
    wipe(found)
    return found
