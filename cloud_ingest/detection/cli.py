"""``quantrac detect``: run a detector over a file."""

from pathlib import Path
from typing import Annotated

import typer

from cloud_ingest.detection.files import LAYERS, FileProblemError, score_file
from quantrac.console import Format, Level, LogFormat, LogLevel, start_logging, stop

app = typer.Typer(no_args_is_help=True, help="Run the anomaly detectors over a file.")


@app.callback()
def _group() -> None:
    """Run the anomaly detectors over a file."""


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

    The score stays up while an event lasts. The onset is above 0 only in the row where an event
    begins or gets much worse. A benchmark that counts detections should read the onset.

    Example: quantrac detect score station.csv --layer fault --quantity ph
    """
    start_logging(log_level, log_format)
    if layer not in LAYERS:
        stop(f"--layer: {layer!r} is not one of {', '.join(LAYERS)}")
    try:
        for line in score_file(file, layer, quantity):
            typer.echo(line)
    except (OSError, FileProblemError) as problem:
        stop(problem)
