"""``quantrac rules``: list, check and backtest alert rules."""

from pathlib import Path
from typing import Annotated

import typer

from alert_rules import RuleSet
from quantrac.console import (
    FOUND_A_PROBLEM,
    Format,
    Level,
    LogFormat,
    LogLevel,
    counted,
    start_logging,
    stop,
)

_ONE_LINE = 1000

app = typer.Typer(no_args_is_help=True, help="List, check and backtest alert rules.")


@app.command("list", epilog="Example: quantrac rules list library/vn-air")
def list_rules(
    packs: Annotated[
        list[str] | None, typer.Argument(help="Packs or files; without any, the whole library.")
    ] = None,
    *,
    language: Annotated[str, typer.Option(help="vi or en.")] = "en",
    page: Annotated[
        Path | None,
        typer.Option("--write", help="Update the table of the library's limits in this page."),
    ] = None,
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Print every rule with its limits, whether it is enabled, and its legal basis."""
    from rich.console import Console
    from rich.table import Table

    from alert_rules.loading import library_packs

    start_logging(log_level, log_format)
    if language not in ("vi", "en"):
        stop(f"--language {language}: there are vi and en")
    if page is not None:
        from alert_rules.loading.limit_table import with_table

        page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")
        return
    rules = _load(packs or library_packs())
    table = Table(box=None, pad_edge=False)
    for title in ("rule", "kind", "limits", "on", "verified", "what", "basis"):
        table.add_column(title, overflow="fold")
    for rule in rules:
        limits = ", ".join(f"{limit.comparison} {limit.value:g}" for limit in rule.threshold_lines)
        legal = rule.legal
        table.add_row(
            rule.full_id, rule.kind, limits, "yes" if rule.is_enabled else "no",
            "" if legal is None else "yes" if legal.verified else "no",
            getattr(rule.name, language), legal.document if legal else "",
        )  # fmt: skip
    console = Console()
    if not console.is_terminal:  # for programs: one line a rule
        console = Console(width=_ONE_LINE)
    console.print(table)


@app.command("check", epilog="Example: quantrac rules check my-rules.yaml")
def check(
    files: Annotated[list[str], typer.Argument(help="Files or packs (library/NAME), in order.")],
    *,
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Validate rule files as the service does. Exits 2 with file, line and field of every error."""
    start_logging(log_level, log_format)
    rules = _load(files)
    enabled = sum(r.is_enabled for r in rules)
    typer.echo(f"{counted(len(rules), 'rule')} valid, {enabled} enabled")
    for warning in rules.warnings:
        typer.echo(f"warning: {warning}")
    if not rules:
        raise typer.Exit(FOUND_A_PROBLEM)


@app.command(epilog="Example: quantrac rules schema > rules.schema.json")
def schema(*, log_level: LogLevel = Level.INFO, log_format: LogFormat = Format.TEXT) -> None:
    """Print the JSON Schema of a rule file, for editors that complete and check fields."""
    from alert_rules.loading.json_schema import json_schema

    start_logging(log_level, log_format)
    typer.echo(json_schema(), nl=False)


@app.command(
    "backtest",
    epilog="Example: quantrac rules backtest my-rules.yaml --from 2026-11-01 --to 2026-11-08 --plot out.png",
)
def backtest(
    file: Annotated[str, typer.Argument(help="A rule file, or a pack (library/NAME).")],
    *,
    start: Annotated[str, typer.Option("--from", help="Day or time; local without a time zone.")],
    end: Annotated[str, typer.Option("--to", help="Day or time (not included).")],
    config: Annotated[Path, typer.Option(help="cloud.yaml of the store.")] = Path("cloud.yaml"),
    csv: Annotated[
        Path | None,
        typer.Option(help="Read samples from this file (series,time,value) instead of the store."),
    ] = None,
    rule: Annotated[list[str] | None, typer.Option(help="Only these rules (their id).")] = None,
    series: Annotated[list[str] | None, typer.Option(help="Only these series.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Plot rules and series with their alerts to this PNG or SVG."),
    ] = None,
    language: Annotated[str, typer.Option(help="Language of the plot: vi or en.")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Run rules over stored history: when they would have fired, how often, for how long.

    Disabled rules run as well. Exits 1 if there are no samples.
    """
    from cloud_ingest.alerts.backtest import command

    start_logging(log_level, log_format)
    if language not in ("vi", "en"):
        stop(f"--language {language}: there are vi and en")
    rules = _load([file])
    try:
        span = command.Span(command.moment_ms(start), command.moment_ms(end))
        chosen = command.choose(rules, rule or ())
        source = command.from_csv(csv) if csv is not None else command.from_store(config)
        with source as found:
            result = command.run(chosen, found, span, series or ())
    except command.BacktestError as error:
        stop(error)
    typer.echo(command.as_json(result) if as_json else command.as_text(result))
    if plot is not None and result.replay.samples:
        command.draw(result, plot, language)
        typer.echo(f"plot written: {plot}", err=True)
    if not result.replay.samples:
        raise typer.Exit(FOUND_A_PROBLEM)


def _load(refs: list[str]) -> RuleSet:
    from alert_rules import RuleNotFound, load_rules
    from telemetry.yaml_files import YamlFileError

    try:
        return load_rules(refs, Path())
    except (YamlFileError, RuleNotFound) as error:
        stop(error)
