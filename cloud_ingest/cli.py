"""``quantrac cloud``: run and manage the cloud side."""

import importlib
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

# Commands that are defined beside what they run: name, module with a typer app, help.
ELSEWHERE = (
    (
        "map",
        "cloud_ingest.intake.mappings.cli",
        "Check mappings of payloads that are not Sparkplug.",
    ),
    ("init", "cloud_ingest.transfer.cli", "Set up store and database."),
    (
        "export",
        "cloud_ingest.transfer.cli",
        "Write samples as CSV, Parquet, Excel or line protocol.",
    ),
    ("import", "cloud_ingest.transfer.cli", "Read samples from such files."),
    ("backup", "cloud_ingest.transfer.cli", "Save everything, also while it runs."),
    ("restore", "cloud_ingest.transfer.cli", "Bring a backup back."),
    (
        "notify-test",
        "cloud_ingest.notification.cli",
        "Send a test message to notification addresses.",
    ),
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
    shard: Annotated[
        str, typer.Option(help="Which of how many workers this is, such as 2/3 (docs/scaling.md).")
    ] = "1/1",
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Run ingest, rules, API and web page until Ctrl-C or SIGTERM."""
    from alert_rules import RuleNotFound
    from cloud_ingest.configuration import check_files, load_cloud
    from cloud_ingest.database import DatabaseUnavailable
    from cloud_ingest.intake.mqtt.embedded_broker import BrokerFailed
    from cloud_ingest.intake.mqtt.shard import Shard
    from cloud_ingest.service import Service, ServiceFailed
    from cloud_ingest.stores.protocol import StoreError
    from telemetry.yaml_files import YamlFileError

    start_logging(log_level, log_format)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        configuration = load_cloud(config)
        check_files(config, configuration)
        service = Service(configuration, shard=Shard.parse(shard))
    except YamlFileError as error:
        stop(error)
    except RuleNotFound as error:
        stop(f"{config}: rules: {error}")
    except ValueError as error:  # an impossible shard, an address without a server
        stop(f"{config}: {error}")
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
        stop(f"the pipeline failed: {service.failed} (the log has the traceback)", FOUND_A_PROBLEM)
    sys.stderr.flush()


def _pass_on(name: str, module: str, text: str) -> None:
    """Make ``quantrac cloud NAME`` run the app of ``module``, which is imported only then."""

    def run_elsewhere(context: typer.Context) -> None:
        found: typer.Typer = importlib.import_module(module).app
        found.pretty_exceptions_enable = False
        several = len(found.registered_commands) > 1 or found.registered_callback is not None
        is_own = name in {
            c.name or getattr(c.callback, "__name__", "") for c in found.registered_commands
        }
        arguments = [name, *context.args] if several and is_own else context.args
        own = arguments is not context.args
        found(args=arguments, prog_name="quantrac cloud" if own else f"quantrac cloud {name}")

    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command(name, help=text, context_settings=settings)(run_elsewhere)


for _name, _module, _text in ELSEWHERE:
    _pass_on(_name, _module, _text)
