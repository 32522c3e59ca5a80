"""``quantrac detect``: measure the detectors on public data, or run them over a file."""

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

app = typer.Typer(no_args_is_help=True, help="Measure the anomaly detectors.")

DEFAULT_DATA = Path("../shared/data/anomaly")


@app.callback()
def _group() -> None:
    """Measure the anomaly detectors."""


@app.command()
def evaluate(
    data: Annotated[
        Path, typer.Option(help="Folder with nab, water_lro, air_beijing ...")
    ] = DEFAULT_DATA,
    report: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("build/detection"),
    plots: Annotated[bool, typer.Option(help="Draw a picture of each benchmark file.")] = True,
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Run every benchmark whose data is there and write a report with plots.

    Example: quantrac detect evaluate --data ../shared/data/anomaly
    """
    start_logging(log_level, log_format)
    if not data.is_dir():
        stop(
            f"--data: there is no folder {data}; give the one that holds nab, water_lro, air_beijing"
        )
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / "benchmarks" / "scoring").is_dir():
        stop("the benchmarks are part of the source checkout: install Quantrac from there")
    sys.path.insert(0, str(checkout))
    from benchmarks.detection.scoring.report import evaluate_all

    written = evaluate_all(data, report, plots=plots, say=typer.echo)
    if written is None:
        stop(
            f"--data: {data} holds none of nab, water_lro, air_beijing, traffic_i94",
            FOUND_A_PROBLEM,
        )
    typer.echo(f"report: {written}")


@app.command()
def score(
    file: Annotated[
        Path, typer.Argument(help="CSV with a header and the columns timestamp,value.")
    ],
    layer: Annotated[str, typer.Option(help="statistical | fault | first")] = "statistical",
    quantity: Annotated[str, typer.Option(help="What is measured, by its fixed name.")] = "unknown",
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Print timestamp,value,score,onset,low,expected,high,reason for each row of a file.

    The score stays up while an event lasts. The onset is above 0 only in the row with which it
    begins or gets much worse: that is the column for a benchmark that counts detections.

    Example: quantrac detect score station.csv --layer fault --quantity ph
    """
    start_logging(log_level, log_format)
    from cloud_ingest.detection.files import LAYERS, FileProblemError, score_file

    if layer not in LAYERS:
        stop(f"--layer: {layer!r} is not one of {', '.join(LAYERS)}")
    try:
        for line in score_file(file, layer, quantity):
            typer.echo(line)
    except (OSError, FileProblemError) as problem:
        stop(problem)
