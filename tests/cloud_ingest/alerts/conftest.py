"""A database of alerts on disk."""

import pytest
import sqlalchemy as sa

from cloud_ingest.database import Database
from tests.cloud_ingest.alerts.parts import wipe, without_sync


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('alerts')}/quantrac.db")
    sa.event.listen(database.engine, "connect", without_sync)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def database(migrated):
    wipe(migrated)
    return migrated
