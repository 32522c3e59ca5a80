"""``quantrac cloud map``: shows the samples that a mapping makes of a payload."""

import re
import sys
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
from telemetry.time.clock import utc_now_ms

app = typer.Typer(no_args_is_help=True, help="Check mappings of payloads that are not Sparkplug.")


@app.callback()
def mappings() -> None:
    """Check mappings of payloads that are not Sparkplug."""


@app.command(epilog="Example: quantrac cloud map check tasmota.yaml --sample payload.json")
def check(
    file: Annotated[Path, typer.Argument(help="A mapping file (YAML).")],
    sample: Annotated[Path | None, typer.Option(help="A payload as it comes by MQTT.")] = None,
    topic: Annotated[str | None, typer.Option(help="The topic it came on.")] = None,
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Check a mapping file, and show what it makes of a payload. Exits 1 if that is nothing."""
    from cloud_ingest.intake.mappings import load_mappings
    from telemetry.yaml_files import YamlFileError

    start_logging(log_level, log_format)
    try:
        found = load_mappings([file])
    except YamlFileError as error:
        stop(error)
    if sample is None:
        for mapping in found:
            typer.echo(f"{mapping.name}: {mapping.format} on {mapping.filter}, ok")
        return
    try:
        payload = sample.read_bytes()
    except OSError as error:
        stop(f"{sample}: {error.strerror}")
    chosen = [m for m in found if topic is None or m.catch(topic) is not None]
    if not chosen:
        stop(f"no mapping in {file} is for the topic {topic}", FOUND_A_PROBLEM)
    shown = [_show(m, topic or _example_topic(m.topic), payload) for m in chosen]
    if not any(shown):
        raise typer.Exit(FOUND_A_PROBLEM)


def _example_topic(pattern: str) -> str:
    return re.sub(r"\{(\w+)\}", r"\1", pattern).replace("+", "any").replace("#", "any")


def _show(mapping: object, topic: str, payload: bytes) -> bool:
    from rich.console import Console
    from rich.table import Table

    from cloud_ingest.intake.mappings import Mapping, MappingError, apply

    assert isinstance(mapping, Mapping)
    console = Console(width=None if sys.stdout.isatty() else 160)
    now_ms = utc_now_ms()
    try:
        samples, refused = apply(mapping, topic, payload, now_ms)
    except MappingError as error:
        typer.echo(f"{mapping.name}: {error}", err=True)
        return False
    table = Table("series", "quantity", "value", "unit", "time (UTC)", title=mapping.name)
    for s in samples:
        moment = "on arrival" if s.arrived else _moment(s.time_ms)
        table.add_row(str(s.key), s.quantity, f"{s.value:.6g}", s.unit, moment)
    console.print(table)
    for r in refused:
        typer.echo(f"not taken in: {r.key} = {r.value}: {r.reason}", err=True)
    if not samples:
        typer.echo(f"{mapping.name}: nothing in this payload is mapped", err=True)
    return bool(samples) and not refused


def _moment(time_ms: int) -> str:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return f"{time_ms} ms"
