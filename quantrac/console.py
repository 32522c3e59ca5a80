"""Log options, error output and exit codes of all commands. Imports nothing else of Quantrac.

Exit codes: 0 done, 1 the work found a problem, 2 bad usage or bad configuration.
"""

import logging
import sys
from enum import StrEnum
from typing import Annotated, NoReturn

import structlog
import typer
from structlog.typing import Processor

FOUND_A_PROBLEM = 1
BAD_USAGE = 2


class Level(StrEnum):
    """Log levels."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Format(StrEnum):
    """Formats of log lines: text, or one JSON object a line."""

    TEXT = "text"
    JSON = "json"


LogLevel = Annotated[Level, typer.Option("--log-level", help="How much to log.")]
LogFormat = Annotated[
    Format, typer.Option("--log-format", help="Log lines for people, or one JSON object a line.")
]


def start_logging(level: Level = Level.INFO, form: Format = Format.TEXT) -> None:
    """Log to standard error, times in UTC. Each command calls this first."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form is Format.JSON
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    number = logging.getLevelNamesMapping()[level.value.upper()]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, last]
        if form is Format.JSON
        else [*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        # Looked up for each line, since tests replace standard error.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    logging.basicConfig(
        level=max(number, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(message)s"
    )


def counted(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun: "1 rule", "2 rules"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def stop(message: object, code: int = BAD_USAGE) -> NoReturn:
    """Print an error to standard error and exit with ``code``."""
    typer.echo(f"quantrac: {message}", err=True)
    raise typer.Exit(code)
