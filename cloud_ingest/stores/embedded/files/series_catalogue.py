"""The series catalogue: which series each index stands for. One JSON object a line; the last wins."""

import json
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from cloud_ingest.stores.protocol import StoreError
from telemetry.quantities import QUANTITIES
from telemetry.series import Series, SeriesKey

NAME = "series.jsonl"


def to_line(series: Series) -> str:
    """All fields of ``series`` as one line."""
    s = series
    key = {"gateway": s.key.gateway, "device": s.key.device, "metric": s.key.metric}
    return json.dumps(
        {"index": s.index, "key": key, "group": s.group, "station": s.station,
         "quantity": s.quantity, "unit": s.unit, "interval_ms": s.interval_ms, "valid": s.valid,
         "profile": s.profile, "tags": s.tags}
    ) + "\n"  # fmt: skip


def from_tree(tree: dict[str, Any]) -> Series:
    """The series that the JSON object of a line describes."""
    valid = tree["valid"]
    return Series(
        index=tree["index"],
        key=SeriesKey(**tree["key"]),
        group=tree["group"],
        station=tree["station"],
        quantity=tree["quantity"],
        unit=tree["unit"],
        interval_ms=tree["interval_ms"],
        valid=None if valid is None else (valid[0], valid[1]),
        profile=tree["profile"],
        tags=tuple(tree["tags"]),
    )


def load(folder: Path) -> dict[int, Series]:
    """The series known in ``folder``, by index. A last line that is cut off is left out.

    Raises StoreError, with the file's name and the line, for a damaged line.
    """
    path = folder / NAME
    if not path.exists():
        return {}
    known = {}
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            series = from_tree(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(f"{path}:{number}: damaged ({error})") from error
        known[series.index] = series
    return known


def circular(series: Iterable[Series]) -> frozenset[int]:
    """The indexes of the series whose values are angles."""
    return frozenset(
        s.index for s in series if s.quantity in QUANTITIES and QUANTITIES[s.quantity].circular
    )


class SeriesCatalogue:
    """The series catalogue of a store that this process writes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._known: list[Series | None] = []  # by index
        self._add(load(folder).values())
        self._circular = circular(s for s in self._known if s is not None)
        self._cut_incomplete_line()

    def _cut_incomplete_line(self) -> None:
        if self._path.exists():
            data = self._path.read_bytes()
            sound = data.rfind(b"\n") + 1
            if sound < len(data):
                os.truncate(self._path, sound)

    def _add(self, series: Collection[Series]) -> None:
        top = max((s.index for s in series), default=-1) + 1
        self._known.extend([None] * (top - len(self._known)))
        for s in series:
            self._known[s.index] = s

    def _find(self, index: int) -> Series | None:
        return self._known[index] if index < len(self._known) else None

    def register(self, series: Sequence[Series]) -> None:
        """Save new and changed series durably.

        Raises StoreError if an index already stands for another series: the samples of one would be
        taken for those of the other.
        """
        for s in series:
            known = self._find(s.index)
            if known is not None and known.key != s.key:
                raise StoreError(
                    f"{self._path}: series {s.index} is {known.key} in this store and {s.key} in the "
                    "database: they do not belong together. Restore both from one backup, or give "
                    "the store an empty folder"
                )
        news = [s for s in series if self._find(s.index) != s]
        if not news:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write("".join(to_line(s) for s in news))
            file.flush()
            os.fsync(file.fileno())
        self._add(news)
        self._circular = self._circular.difference(s.index for s in news) | circular(news)

    def circular(self) -> frozenset[int]:
        """The indexes of the series whose values are angles."""
        return self._circular

    def all(self) -> list[Series]:
        """All series, by index."""
        return [s for s in self._known.copy() if s is not None]
