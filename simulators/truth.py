"""The values that simulated devices sent, recorded independently of the agent."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

COLUMNS = ("series", "time_ms", "value", "simulated_ms")


@dataclass(frozen=True, slots=True)
class AnsweredValue:
    """A value that a simulated device sent.

    ``time_ms`` is real time (UTC), ``simulated_ms`` simulated time; both are equal in a simulation
    that runs now at normal speed. ``value`` is the correct decoding of the bytes, in the canonical
    unit; None if the device had no reading.
    """

    series: str
    time_ms: int
    value: float | None
    simulated_ms: int


class TruthFile:
    """A CSV file with the columns of ``COLUMNS``; a context manager."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not path.exists() or path.stat().st_size == 0
        self._file = path.open("a", encoding="utf-8", newline="", buffering=1 << 16)
        self.rows = 0
        if fresh:
            self._file.write(",".join(COLUMNS) + "\n")

    def write(self, answered: Iterable[AnsweredValue]) -> None:
        """Append values in the order in which they were sent."""
        for s in answered:
            value = "" if s.value is None else repr(s.value)
            self._file.write(f"{s.series},{s.time_ms},{value},{s.simulated_ms}\n")
            self.rows += 1

    def flush(self) -> None:
        """Write buffered rows to the file."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()


def read_truth(path: Path) -> Iterator[AnsweredValue]:
    """Read a truth file, in order."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            value = float(row["value"]) if row["value"] else None
            yield AnsweredValue(row["series"], int(row["time_ms"]), value, int(row["simulated_ms"]))
