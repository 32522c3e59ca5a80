"""Commands that other tests ran have pointed the log at streams that are closed by now."""

import pytest
import structlog


@pytest.fixture(autouse=True)
def fresh_log():
    structlog.reset_defaults()
