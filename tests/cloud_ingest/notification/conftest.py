"""The databases of the tests of alerts, and a log of their own."""

import pytest
import structlog

from tests.cloud_ingest.alerts.conftest import (  # noqa: F401  # fixtures
    database,
    migrated,
    migrated_postgresql,
)


@pytest.fixture(autouse=True)
def fresh_log():
    """Commands that other tests ran have pointed the log at streams that are closed by now."""
    structlog.reset_defaults()
