"""The half of a store that reads, shared by the process that writes and those that only look."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from cloud_ingest.stores.embedded.snapshot import Snapshot
from cloud_ingest.stores.protocol import Aggregate, Envelope, SampleColumns, StoreUnavailable
from telemetry.series import Series

PIECE_ROWS = 25_000
Answer = TypeVar("Answer")


class StoreQueries(ABC):
    """Everything that a SampleStore answers, from views of the folder."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """What the store is at this moment."""

    def _ask(self, question: Callable[[Snapshot], Answer]) -> Answer:
        """Ask a view; again where a part of it was replaced in the meantime."""
        view = self.snapshot()
        while True:
            try:
                return question(view)
            except StoreUnavailable:
                newer = self.snapshot()
                if newer.layout.manifest == view.layout.manifest:
                    raise
                view = newer

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
        """Several series of one view."""
        if step_ms is not None:
            found = self.envelope(series, start_ms, end_ms, step_ms, offset_ms)
            return [e.columns(aggregate) for e in found]
        batches = self._ask(lambda v: [v.samples(s.index, start_ms, end_ms) for s in series])
        return [SampleColumns(b.time_ms, b.value, b.quality) for b in batches]

    def envelope(
        self,
        series: Sequence[Series],
        start_ms: int,
        end_ms: int,
        step_ms: int,
        offset_ms: int = 0,
    ) -> list[Envelope]:
        """Everything known of each step of several series."""
        return self._ask(
            lambda v: [
                v.summaries(s.index, start_ms, end_ms, step_ms, offset_ms).envelope()
                for s in series
            ]
        )

    def scan(
        self, series: Sequence[Series], start_ms: int, end_ms: int
    ) -> Iterator[tuple[Series, SampleColumns]]:
        """All samples of ``series`` in pieces."""
        for s in series:
            for start, end in self.snapshot().spans(s.index, start_ms, end_ms):
                found = self.read(s, start, end)
                for place in range(0, len(found.time_ms), PIECE_ROWS):
                    piece = slice(place, place + PIECE_ROWS)
                    columns = (found.time_ms[piece], found.value[piece], found.quality[piece])
                    yield s, SampleColumns(*columns)

    def count(self, series: Sequence[Series]) -> int:
        """How many distinct (series, time) are stored for ``series``."""
        return self._ask(lambda v: v.count([s.index for s in series]))
