"""The queries of a store, shared by the process that writes it and those that only read it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from cloud_ingest.stores.embedded.snapshot import Snapshot
from cloud_ingest.stores.protocol import Aggregate, Envelope, SampleColumns, StoreUnavailable
from telemetry.series import Series

PIECE_ROWS = 25_000
ResultT = TypeVar("ResultT")


class StoreQueries(ABC):
    """The queries of a SampleStore, answered from snapshots."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """The content of the store at this moment."""

    def _query(self, query: Callable[[Snapshot], ResultT]) -> ResultT:
        """Query a snapshot; again with a newer one if one of its parts was replaced meanwhile."""
        snapshot = self.snapshot()
        while True:
            try:
                return query(snapshot)
            except StoreUnavailable:
                newer = self.snapshot()
                if newer.layout.manifest == snapshot.layout.manifest:
                    raise
                snapshot = newer

    def read(
        self,
        series: Series,
        start_ms: int,
        end_ms: int,
        step_ms: int | None = None,
        aggregate: Aggregate = "mean",
        offset_ms: int = 0,
    ) -> SampleColumns:
        """Samples of ``series``, raw or one value per step."""
        [found] = self.read_many([series], start_ms, end_ms, step_ms, aggregate, offset_ms)
        return found

    def read_many(
        self,
        series: Sequence[Series],
        start_ms: int,
        end_ms: int,
        step_ms: int | None = None,
        aggregate: Aggregate = "mean",
        offset_ms: int = 0,
    ) -> list[SampleColumns]:
        """``read`` of several series, from one snapshot."""
        if step_ms is not None:
            found = self.envelope(series, start_ms, end_ms, step_ms, offset_ms)
            return [e.columns(aggregate) for e in found]
        batches = self._query(lambda v: [v.samples(s.index, start_ms, end_ms) for s in series])
        return [SampleColumns(b.time_ms, b.value, b.quality) for b in batches]

    def envelope(
        self,
        series: Sequence[Series],
        start_ms: int,
        end_ms: int,
        step_ms: int,
        offset_ms: int = 0,
    ) -> list[Envelope]:
        """All summaries of each step of several series."""
        return self._query(
            lambda v: [
                v.summaries(s.index, start_ms, end_ms, step_ms, offset_ms).envelope()
                for s in series
            ]
        )

    def scan(
        self, series: Sequence[Series], start_ms: int, end_ms: int
    ) -> Iterator[tuple[Series, SampleColumns]]:
        """All samples of ``series``, in pieces."""
        for s in series:
            for start, end in self.snapshot().spans(s.index, start_ms, end_ms):
                found = self.read(s, start, end)
                for first in range(0, len(found.time_ms), PIECE_ROWS):
                    piece = slice(first, first + PIECE_ROWS)
                    columns = (found.time_ms[piece], found.value[piece], found.quality[piece])
                    yield s, SampleColumns(*columns)

    def count(self, series: Sequence[Series]) -> int:
        """The number of distinct (series, time) stored for ``series``."""
        return self._query(lambda v: v.count([s.index for s in series]))
