"""Commands that other tests ran have pointed the log at streams that are closed by now."""

import pytest
import structlog


@pytest.fixture(autouse=True)
def _fresh_log() -> None:
    structlog.reset_defaults()
