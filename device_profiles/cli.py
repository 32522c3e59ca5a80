"""The commands ``quantrac profiles``."""

import json
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
    help="List, show and check device profiles.\n\nExample: quantrac profiles show eastron-sdm120",
    no_args_is_help=True,
)


@app.command("list", epilog="Example: quantrac profiles list --domain water")
def list_profiles(
    domain: Annotated[str, typer.Option(help="Only this domain, such as water.")] = "",
    quantity: Annotated[
        str, typer.Option(help="Only profiles that measure this, such as pm2_5.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False,
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """List the device library."""
    start_logging(log_level, log_format)
    from device_profiles import library, listing
    from telemetry.yaml_files import YamlFileError

    try:
        profiles = [library.load(i) for i in library.ids()]
    except YamlFileError as error:
        stop(error)
    chosen = [
        p
        for p in profiles
        if domain in ("", p.domain)
        and (not quantity or any(m.quantity == quantity for m in p.metrics))
    ]
    if as_json:
        typer.echo(json.dumps([listing.summary(p) for p in chosen], ensure_ascii=False, indent=2))
    else:
        typer.echo(listing.listing(chosen))
    if not chosen:
        stop("no profile matches; see quantrac profiles list", FOUND_A_PROBLEM)


@app.command(epilog="Example: quantrac profiles show plantower-pms5003")
def show(
    profile: Annotated[str, typer.Argument(help="An id of the library, or a profile file.")],
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Show what a profile measures, how it is read and its source."""
    start_logging(log_level, log_format)
    from device_profiles import ProfileNotFound, listing, load_profile
    from telemetry.yaml_files import YamlFileError

    try:
        typer.echo(listing.description(load_profile(profile)))
    except (ProfileNotFound, YamlFileError) as error:
        stop(error)


@app.command(epilog="Example: quantrac profiles check ./my-sensor.yaml")
def check(
    files: Annotated[list[Path], typer.Argument(help="Profile files.")],
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Check profile files: every error with its file, line and field, then warnings."""
    start_logging(log_level, log_format)
    from device_profiles import listing

    checked = [listing.check(file) for file in files]
    for result in checked:
        typer.echo(str(result), err=bool(result.problems))
    if any(result.problems for result in checked):
        raise typer.Exit(2)


@app.command(epilog="Example: quantrac profiles schema > profile.schema.json")
def schema(log_level: LogLevel = Level.INFO, log_format: LogFormat = Format.TEXT) -> None:
    """Print the JSON Schema of a profile, for completion and checks in editors."""
    start_logging(log_level, log_format)
    from device_profiles import listing

    typer.echo(listing.json_schema(), nl=False)
