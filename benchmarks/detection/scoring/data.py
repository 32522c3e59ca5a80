"""Public data sets for the benchmarks of the detectors (folder ``anomaly``; see its README)."""

import csv
import gzip
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from telemetry.batches import SampleBatch
from telemetry.quality import Flag
from telemetry.series import Series, SeriesKey

DEFAULT_FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "anomaly"


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """One recorded series; ``labelled`` marks rows that the publisher marked as wrong."""

    series: Series
    time_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    labelled: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class NabFile:
    """A file of the Numenta Anomaly Benchmark; windows are given as first and last row."""

    name: str
    recorded: Recorded
    windows: tuple[tuple[int, int], ...]


def load_nab(folder: Path) -> list[NabFile]:
    """All files named in ``windows.json``, sorted by name."""
    labels = json.loads((folder / "windows.json").read_text())
    files = []
    for number, name in enumerate(sorted(labels)):
        with (folder / name).open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        stamps = [row["timestamp"] for row in rows]
        windows = tuple(
            (stamps.index(first.split(".")[0]), stamps.index(last.split(".")[0]))
            for first, last in labels[name]
        )
        series = _series(number, name.replace("/", "-"), "nab", "-", "value", "unknown")
        value = np.array([float(row["value"]) for row in rows])
        recorded = Recorded(series, _times(stamps), value, np.zeros(len(rows), dtype=np.bool_))
        files.append(NabFile(name, recorded, windows))
    return files


_WATER = {
    "temp": "water_temperature",
    "cond": "conductivity",
    "ph": "ph",
    "do": "dissolved_oxygen",
    "turb": "turbidity",
    "stage": "water_level",
}


def load_water(folder: Path) -> list[Recorded]:
    """Raw sonde values of each site and year, labelled where a technician qualified the row."""
    recorded: list[Recorded] = []
    for file in sorted(folder.glob("*.csv.gz")):
        rows = _rows(file)
        site = file.name.removesuffix(".csv.gz")
        times = _times([row["timestamp"] for row in rows])
        for column, quantity in _WATER.items():
            series = _series(len(recorded), site, site, site, column, quantity)
            labelled = np.array([bool(row[f"{column}_qual"].strip()) for row in rows])
            recorded.append(Recorded(series, times, _numbers(rows, column), labelled))
    return recorded


_AIR = {
    "PM2.5": "pm2_5",
    "PM10": "pm10",
    "SO2": "so2",
    "NO2": "no2",
    "CO": "co",
    "O3": "o3",
    "TEMP": "air_temperature",
    "PRES": "atmospheric_pressure",
    "WSPM": "wind_speed",
}


def load_air(folder: Path) -> list[Recorded]:
    """Hourly values of the Beijing stations; nothing is labelled."""
    recorded: list[Recorded] = []
    for file in sorted(folder.glob("*.csv.gz")):
        rows = _rows(file)
        station = file.name.removesuffix(".csv.gz")
        times = _times([row["timestamp"] for row in rows])
        for column, quantity in _AIR.items():
            series = _series(len(recorded), station, "beijing", station, column, quantity)
            value = _numbers(rows, column)
            recorded.append(Recorded(series, times, value, np.zeros(len(rows), dtype=np.bool_)))
    return recorded


def load_traffic(folder: Path) -> list[Recorded]:
    """Hourly traffic of I-94; nothing is labelled."""
    recorded: list[Recorded] = []
    for file in sorted(folder.glob("*.csv.gz")):
        rows = _rows(file)
        series = _series(len(recorded), file.stem, "i94", "atr301", "volume", "vehicle_flow")
        times = _times([row["date_time"] for row in rows])
        value = _numbers(rows, "traffic_volume")
        recorded.append(Recorded(series, times, value, np.zeros(len(rows), dtype=np.bool_)))
    return recorded


def as_batch(recorded: list[Recorded]) -> SampleBatch:
    """All samples of all series, one series after the other."""
    return SampleBatch(
        np.concatenate([np.full(len(r.value), r.series.index, np.int32) for r in recorded]),
        np.concatenate([r.time_ms for r in recorded]),
        np.concatenate([r.value for r in recorded]),
        np.concatenate([np.full(len(r.value), Flag.PASS, np.uint8) for r in recorded]),
    )


def split(recorded: list[Recorded]) -> list[slice]:
    """The rows of each series in the batch of ``as_batch``."""
    ends = np.cumsum([len(r.value) for r in recorded])
    return [slice(end - len(r.value), end) for end, r in zip(ends, recorded, strict=True)]


def _series(
    index: int, gateway: str, group: str, station: str, metric: str, quantity: str
) -> Series:
    return Series(index, SeriesKey(gateway, "recorded", metric), group, station, quantity, "1")


def _rows(file: Path) -> list[dict[str, str]]:
    with gzip.open(file, "rt", newline="") as stream:
        return list(csv.DictReader(stream))


def _times(stamps: list[str]) -> NDArray[np.int64]:
    parsed = (datetime.fromisoformat(stamp).replace(tzinfo=UTC) for stamp in stamps)
    return np.array([round(moment.timestamp() * 1000) for moment in parsed], dtype=np.int64)


def _numbers(rows: list[dict[str, str]], column: str) -> NDArray[np.float64]:
    return np.array([_number(row[column]) for row in rows])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
