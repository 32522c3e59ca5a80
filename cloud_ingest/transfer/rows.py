"""Imported rows, which name their series, collected into batches."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey

BATCH_ROWS = 10_000


class RowError(ValueError):
    """A row of a file cannot be read; ``line`` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line


class RowSeries(NamedTuple):
    """The series of a row, as the file describes it."""

    key: SeriesKey
    station: str
    quantity: str
    unit: str


class Row(NamedTuple):
    """One sample of a file."""

    series: RowSeries
    time_ms: int
    value: float
    quality: int


@dataclass(frozen=True, slots=True)
class Imported:
    """The numbers of stored and of rejected rows, with the first reason."""

    samples: int
    rejected: int
    reason: str = ""


def batches(rows: Iterable[Row], admit: Callable[[RowSeries], Series]) -> Iterator[SampleBatch]:
    """Rows as batches; ``admit`` returns the series of a description."""
    known: dict[RowSeries, int] = {}
    pending: list[tuple[int, Row]] = []
    for row in rows:
        index = known.get(row.series)
        if index is None:
            index = known[row.series] = admit(row.series).index
        pending.append((index, row))
        if len(pending) >= BATCH_ROWS:
            yield _batch(pending)
            pending.clear()
    if pending:
        yield _batch(pending)


def _batch(rows: list[tuple[int, Row]]) -> SampleBatch:
    return SampleBatch.of(
        [index for index, _ in rows],
        [row.time_ms for _, row in rows],
        [row.value for _, row in rows],
        [row.quality for _, row in rows],
    )
