"""Scores a CSV file that holds one series."""

import csv
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from cloud_ingest.detection.detector import Detector, Reason
from cloud_ingest.detection.sensor_faults.detector import FaultDetector
from cloud_ingest.detection.statistical.ensemble import EnsembleDetector
from cloud_ingest.detection.statistical.seasonal_residual import SeasonalResidualDetector
from telemetry.batches import SampleBatch
from telemetry.quality import Flag
from telemetry.series import Series, SeriesKey

LAYERS: dict[str, Callable[[], Detector]] = {
    "statistical": EnsembleDetector,
    "fault": FaultDetector,
    "first": SeasonalResidualDetector,
}


class FileProblemError(ValueError):
    """A file that cannot be read as a series; the message names file and line."""


def score_file(file: Path, layer: str, quantity: str) -> Iterator[str]:
    """Lines of CSV: each row of the file with its score, onset, band and reason."""
    stamps, batch = read_series(file)
    detector = LAYERS[layer]()
    detector.register([Series(0, SeriesKey("file", "-", file.stem), "-", file.stem, quantity, "1")])
    scores = detector.update(batch)
    yield "timestamp,value,score,onset,low,expected,high,reason"
    for i, stamp in enumerate(stamps):
        numbers = (
            batch.value[i], scores.score[i], scores.onset[i],
            scores.low[i], scores.expected[i], scores.high[i],
        )  # fmt: skip
        columns = ",".join("" if np.isnan(n) else f"{n:.6g}" for n in numbers)
        yield f"{stamp},{columns},{Reason(int(scores.reason[i])).name.lower()}"


def read_series(file: Path) -> tuple[list[str], SampleBatch]:
    """The time stamps as written and the samples; times without a zone are UTC."""
    stamps: list[str] = []
    times: list[int] = []
    values: list[float] = []
    with file.open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        if not {"timestamp", "value"} <= set(rows.fieldnames or ()):
            raise FileProblemError(f"{file}:1: the header must name the columns timestamp,value")
        for number, row in enumerate(rows, start=2):
            try:
                moment = datetime.fromisoformat(row["timestamp"])
                values.append(float(row["value"]) if row["value"].strip() else float("nan"))
            except (ValueError, AttributeError, TypeError) as error:
                raise FileProblemError(f"{file}:{number}: {error}") from error
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            stamps.append(row["timestamp"])
            times.append(round(moment.timestamp() * 1000))
    return stamps, SampleBatch.of([0] * len(times), times, values, [int(Flag.PASS)] * len(times))
