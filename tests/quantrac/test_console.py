"""What every command shares."""

import io
import sys

import structlog

from quantrac.console import Format, Level, start_logging


def test_log_lines_follow_standard_error(monkeypatch) -> None:
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", first)
    start_logging(Level.INFO, Format.JSON)
    log = structlog.get_logger()
    log.info("one")
    first.close()
    monkeypatch.setattr(sys, "stderr", second)
    log.info("two")
    assert '"event": "two"' in second.getvalue()
    structlog.reset_defaults()
