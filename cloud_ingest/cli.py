"""``quantrac cloud``: run and manage the cloud side."""

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from quantrac.console import (
    FOUND_A_PROBLEM,
    Format,
    Level,
    LogFormat,
    LogLevel,
    start_logging,
    stop,
)

app = typer.Typer(
    help="Run and manage the cloud side: ingest, API, web page.", no_args_is_help=True
)
ConfigurationFile = Annotated[
    Path, typer.Option("--config", help="The configuration file, cloud.yaml.")
]


@app.callback()
def cloud() -> None:
    """Run and manage the cloud side: ingest, API, web page."""


@app.command(epilog="Example: quantrac cloud run --config cloud.yaml")
def run(
    config: ConfigurationFile = Path("cloud.yaml"),
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Run ingest, rules, API and web page until Ctrl-C or SIGTERM."""
    from cloud_ingest.configuration import load_cloud
    from cloud_ingest.database import DatabaseUnavailable
    from cloud_ingest.intake.broker import BrokerFailed
    from cloud_ingest.service import Service, ServiceFailed
    from cloud_ingest.stores.protocol import StoreError
    from telemetry.documents import DocumentError

    start_logging(log_level, log_format)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        service = Service(load_cloud(config))
    except DocumentError as error:
        stop(error)
    except ValueError as error:  # a notification address that nothing serves
        stop(f"{config}: notify: {error}")
    except (StoreError, DatabaseUnavailable) as error:
        stop(f"{config}: {error}", FOUND_A_PROBLEM)
    try:
        service.start()
    except (BrokerFailed, ServiceFailed, DatabaseUnavailable) as error:
        service.stop()
        stop(error, FOUND_A_PROBLEM)
    typer.echo(f"Quantrac cloud is running: {service.address}", err=True)
    while not ended.wait(0.5):
        if service.failed:
            break
    service.stop()
    if service.failed:
        stop("the pipeline failed; see the log", FOUND_A_PROBLEM)
    sys.stderr.flush()
