"""The commands ``quantrac sim``."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from quantrac.console import BAD_USAGE, Format, Level, LogFormat, LogLevel, start_logging, stop
from telemetry.time.durations import parse_duration_ms
from telemetry.yaml_files import YamlFileError

app = typer.Typer(
    help="Simulate devices, buses and fleets.", no_args_is_help=True, add_completion=False
)

ScenarioName = Annotated[
    str, typer.Argument(help="A scenario file, or the name of one in the library (sim list).")
]
Folder = Annotated[
    Path, typer.Option("--dir", help="Folder for links to serial ports and for gateway files.")
]
Stations = Annotated[
    int | None, typer.Option("--stations", min=1, max=1000, help="How many stations.")
]
FirstPort = Annotated[
    int | None,
    typer.Option("--tcp-port", min=1, max=65535, help="First TCP port; free ones otherwise."),
]


def _span_ms(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_duration_ms(text)
    except ValueError as error:
        stop(f"--duration {text!r}: {error}", BAD_USAGE)


@app.command(
    epilog="Example: quantrac sim run demo --dir ./wire --truth truth.csv, "
    "or: quantrac sim run my-scenario.yaml --speed 60 --seed 7 --duration 10m"
)
def run(
    scenario: ScenarioName,
    folder: Folder = Path("./sim"),
    stations: Stations = None,
    speed: Annotated[
        float | None,
        typer.Option(
            min=0, max=100000, help="Simulated seconds in a second (0: as fast as possible)."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random values.")] = None,
    duration: Annotated[
        str | None, typer.Option(help="Stop after this long (simulated), such as 10m.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Write the values that devices sent to this CSV file.")
    ] = None,
    tcp_port: FirstPort = None,
    broker: Annotated[
        str | None, typer.Option(help="MQTT broker for fleets: mqtt://host:port.")
    ] = None,
    gateways: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="How many gateways a fleet has.")
    ] = None,
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Run a scenario until Ctrl-C, its duration, or a TERM signal."""
    start_logging(log_level, log_format)
    from simulators.fleets.fleet import FleetError
    from simulators.runner import Options, run_scenario

    options = Options(
        folder=folder, stations=stations, speed=speed, seed=seed, duration_ms=_span_ms(duration),
        truth=truth, tcp_port=tcp_port, broker=broker, gateways=gateways,
    )  # fmt: skip
    try:
        asyncio.run(run_scenario(scenario, options))
    except* YamlFileError as errors:
        stop(errors.exceptions[0], BAD_USAGE)
    except* (OSError, FleetError) as errors:
        stop(errors.exceptions[0], 1)


@app.command("list", epilog="Example: quantrac sim list")
def list_scenarios(log_level: LogLevel = Level.INFO, log_format: LogFormat = Format.TEXT) -> None:
    """List the scenarios of the library."""
    start_logging(log_level, log_format)
    from rich.console import Console
    from rich.table import Table

    from simulators.scenarios import find_scenario, load_scenario, scenario_names

    table = Table("scenario", "what", "stations", "fleet", box=None)
    for name in scenario_names():
        found = load_scenario(find_scenario(name))
        count = found.count or len(found.stations)
        fleet = f"{found.fleet.gateways:,} gateways" if found.fleet else ""
        table.add_row(name, found.title, str(count or ""), fleet)
    Console(file=sys.stdout).print(table)


@app.command(epilog="Example: quantrac sim check my-scenario.yaml")
def check(
    scenario: ScenarioName,
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Check a scenario file and everything that it names."""
    start_logging(log_level, log_format)
    from simulators.scenario_check import check_scenario

    try:
        findings = check_scenario(scenario)
    except YamlFileError as error:
        stop(error, BAD_USAGE)
    for line in findings:
        typer.echo(line)


@app.command(epilog="Example: quantrac sim schema > scenario.schema.json")
def schema(log_level: LogLevel = Level.INFO, log_format: LogFormat = Format.TEXT) -> None:
    """Print the JSON Schema of scenario files, for editors."""
    start_logging(log_level, log_format)
    import json

    from simulators.scenarios import Scenario

    typer.echo(json.dumps(Scenario.model_json_schema(), indent=2, ensure_ascii=False))


@app.command(
    epilog="Example: quantrac sim gateways demo --dir ./wire --broker mqtt://127.0.0.1:1883"
)
def gateways(
    scenario: ScenarioName,
    broker: Annotated[str, typer.Option(help="MQTT broker: mqtt://host:port.")],
    folder: Folder = Path("./sim"),
    stations: Stations = None,
    tcp_port: FirstPort = None,
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Write the gateway.yaml files for the stations of a scenario."""
    start_logging(log_level, log_format)
    from simulators.scenario_check import check_scenario
    from simulators.scenarios import find_scenario, load_scenario
    from simulators.scenarios.gateways import write_gateways
    from simulators.scenarios.ports import ports_in
    from simulators.scenarios.stations import stations_of

    try:
        check_scenario(scenario)
        found = load_scenario(find_scenario(scenario))
        there = stations_of(found, stations)
        if not there:
            stop(f"{scenario} has no stations, only a fleet; there is nothing to write")
        ports = ports_in(folder, there, tcp_port)
        for path in write_gateways(found, there, folder, broker, ports):
            typer.echo(path)
    except YamlFileError as error:
        stop(error, BAD_USAGE)


if __name__ == "__main__":
    app()
