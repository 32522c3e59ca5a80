"""The command ``quantrac demo``."""

import socket
from pathlib import Path
from typing import Annotated

import typer

from quantrac.console import (
    BAD_USAGE,
    FOUND_A_PROBLEM,
    Format,
    Level,
    LogFormat,
    LogLevel,
    start_logging,
    stop,
)
from quantrac.demo.processes import StartFailed
from quantrac.demo.run import STATIONS, Count, Demo, demo_folder

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the web page and the API.")] = 8080,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder for stores, outboxes and logs; kept. Without it, a temporary one."
        ),
    ] = None,
    gateways: Annotated[int, typer.Option(min=1, max=30, help="How many stations.")] = STATIONS,
    run_for: Annotated[
        float | None,
        typer.Option(
            min=1, help="Stop after this many seconds, deliver everything, compare the counts."
        ),
    ] = None,
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Run everything on this machine: broker, simulated stations, edge agents, cloud, web page.

    Example: quantrac demo --port 8080 --run-for 120
    """
    start_logging(log_level, log_format)
    if _in_use(port):
        stop(
            f"port {port} is in use; choose another one: quantrac demo --port {port + 1}", BAD_USAGE
        )
    with demo_folder(data) as folder:
        try:
            good = _run(folder, port, gateways, run_for, kept=data is not None)
        except StartFailed as error:
            stop(error, FOUND_A_PROBLEM)
    if not good:
        raise typer.Exit(FOUND_A_PROBLEM)


def _run(folder: Path, port: int, gateways: int, run_for: float | None, *, kept: bool) -> bool:
    with Demo(folder, port, gateways) as run:
        typer.echo(
            f"Starting {gateways} simulated stations, their edge agents, broker and cloud ..."
        )
        run.start()
        if not run.wait_until_ready():
            return True
        typer.echo(f"Quantrac is ready: {run.api.url}")
        where = str(folder) if kept else f"{folder} (removed at the end; keep it with --data DIR)"
        typer.echo(f"API: {run.api.url}/api/docs   Data and logs: {where}")
        if run_for is None:
            typer.echo("Ctrl-C stops everything.")
        run.keep_running(run_for)
        if run.stop_asked or run_for is None:
            typer.echo("Stopping ...")
            return True
        return _finish(run)


def _finish(run: Demo) -> bool:
    typer.echo("Measuring has ended; delivering what the outboxes hold ...")
    drained = run.drain()
    counts = run.counts()
    width = max(len(c.gateway) for c in counts)
    typer.echo(f"{'gateway':<{width}}  {'measured':>10}  {'stored':>10}")
    for count in counts:
        typer.echo(_line(count, width))
    if not drained:
        typer.echo(f"An outbox was not delivered in time; see {run.logs}", err=True)
    return drained and bool(counts) and all(c.equal for c in counts)


def _line(count: Count, width: int) -> str:
    verdict = "equal" if count.equal else f"DIFFERS by {count.stored - count.measured:+d}"
    return f"{count.gateway:<{width}}  {count.measured:>10}  {count.stored:>10}  {verdict}"


def _in_use(port: int) -> bool:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
