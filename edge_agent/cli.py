"""``quantrac edge``: run, check and inspect an edge agent."""

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
    help="Run, check and inspect an edge agent.", no_args_is_help=True, rich_markup_mode=None
)

Config = Annotated[
    Path,
    typer.Option("--config", "-c", help="The gateway's file (gateway.yaml).", show_default=False),
]


@app.command(epilog="Example: quantrac edge run --config gateway.yaml")
def run(
    config: Config, log_level: LogLevel = Level.INFO, log_format: LogFormat = Format.TEXT
) -> None:
    """Measure and deliver until stopped.

    SIGTERM or Ctrl-C stops at once (the outbox keeps what is not delivered); SIGUSR1 stops
    measuring, delivers the rest and ends; SIGHUP, or a change of the file, reads it again.
    """
    from edge_agent.signals import Signals

    signals = Signals()  # before the slow imports
    from edge_agent.agent import AgentFailedError, run_agent
    from edge_agent.outbox import OutboxError
    from telemetry.yaml_files import YamlFileError

    start_logging(log_level, log_format)
    try:
        run_agent(config, signals)
    except YamlFileError as error:
        stop(error)
    except (OutboxError, AgentFailedError) as error:
        stop(error, FOUND_A_PROBLEM)


@app.command(epilog="Example: quantrac edge check --config gateway.yaml")
def check(
    config: Config, log_level: LogLevel = Level.WARNING, log_format: LogFormat = Format.TEXT
) -> None:
    """Read each device once: the bus plan, a table of values, a verdict per line.

    Exit 1 if a device fails, 2 if the file is wrong or its readings cannot fit on the wire.
    """
    from edge_agent.acquisition.bus_plan import plan_bus, refuse_impossible
    from edge_agent.configuration import load_gateway
    from edge_agent.devices import resolve
    from edge_agent.tools import console_output
    from edge_agent.tools.check import failed, run_check
    from telemetry.yaml_files import YamlFileError

    start_logging(log_level, log_format)
    try:
        buses = resolve(load_gateway(config), config)
    except YamlFileError as error:
        stop(error)
    plans = [plan_bus(bus) for bus in buses]
    typer.echo(console_output.plan_text(plans) + "\n")
    try:
        refuse_impossible(config, plans)
    except YamlFileError as error:
        stop(error)
    checks = run_check(buses)
    typer.echo(console_output.values_text(checks) + "\n")
    typer.echo(console_output.verdicts_text(checks))
    if failed(checks):
        raise typer.Exit(FOUND_A_PROBLEM)


@app.command(epilog="Example: quantrac edge status --config gateway.yaml --json")
def status(
    config: Config,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    log_level: LogLevel = Level.WARNING,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Show the outbox, the last confirmation, and each device's success and error counts."""
    import json

    from edge_agent.outbox import OutboxError
    from edge_agent.tools import console_output
    from edge_agent.tools.agent_status import read_agent_status
    from telemetry.yaml_files import YamlFileError

    start_logging(log_level, log_format)
    try:
        found = read_agent_status(config)
    except YamlFileError as error:
        stop(error)
    except OutboxError as error:
        stop(error, FOUND_A_PROBLEM)
    typer.echo(
        json.dumps(found, ensure_ascii=False) if as_json else console_output.status_text(found)
    )
