"""The selection of an export, read in pieces."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cloud_ingest.stores.protocol import Aggregate, SampleColumns, SampleStore
from telemetry.series import Series

STEPS_AT_ONCE = 50_000
Pieces = Iterable[tuple[Series, SampleColumns]]


@dataclass(frozen=True, slots=True)
class Selection:
    """Series and time span to export, raw or with one value per step."""

    series: Sequence[Series]
    start_ms: int
    end_ms: int
    step_ms: int | None = None
    aggregate: Aggregate = "mean"
    offset_ms: int = 0


def pieces(store: SampleStore, selection: Selection) -> Iterator[tuple[Series, SampleColumns]]:
    """The samples of ``selection`` in pieces of bounded size; series in the given order."""
    s = selection
    if s.step_ms is None:
        yield from store.scan(s.series, s.start_ms, s.end_ms)
        return
    width = s.step_ms * STEPS_AT_ONCE
    for series in s.series:
        start = s.start_ms
        while start < s.end_ms:
            # A piece ends at the end of a step.
            end = min(s.end_ms, (start - s.offset_ms) // width * width + width + s.offset_ms)
            found = store.read(series, start, end, s.step_ms, s.aggregate, s.offset_ms)
            if len(found.time_ms):
                yield series, found
            start = end
