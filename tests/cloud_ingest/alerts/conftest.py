"""A database of alerts on disk."""

import pytest

from cloud_ingest.database import Database


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('alerts')}/quantrac.db")
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def database(migrated):
    from tests.cloud_ingest.alerts.parts import wipe

    wipe(migrated)
    return migrated
