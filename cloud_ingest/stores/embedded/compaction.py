"""Compaction: choosing parts to rewrite, and rewriting them piece by piece.

The choice is made by pure functions. A day that is over is *closed*: its parts become one group
without duplicates, and its summaries are made. A day that receives late samples is closed again.
Small parts of a day are merged once there are several.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cloud_ingest.stores import summaries
from cloud_ingest.stores.embedded.files.manifest import DAY_MS, ParquetPart
from cloud_ingest.stores.embedded.files.parquet_parts import PartFiles
from cloud_ingest.stores.embedded.files.summary_file import SummaryFile, mark_closed
from cloud_ingest.stores.embedded.snapshot import Layout
from cloud_ingest.stores.protocol import SUMMARY_STEP_MS
from telemetry.batches import Int64, SampleBatch

CLOSE_AFTER_MS = 3_600_000
"""Delay between the end of a day and its closing; most late samples have arrived by then."""
RECLOSE_PAUSE_MS = 3_600_000
"""Shortest time before a day with late samples is closed again."""
RECLOSE_PAUSE_OF_BACKLOG_MS = 60_000
"""The same if late samples are at least BACKLOG_SHARE of the day: a backlog is arriving."""
BACKLOG_SHARE = 0.1
MERGE_GROUPS = 8
CHUNK_ROWS = 1_000_000
_EVER = 1 << 62


@dataclass(frozen=True, slots=True)
class CompactionResult:
    """The parts that replace others."""

    add: tuple[ParquetPart, ...]
    drop: tuple[ParquetPart, ...]


def day_to_close(layout: Layout, now_ms: int, closed_at_ms: dict[int, int]) -> int | None:
    """The oldest day that is over and has samples missing from its summaries."""
    for day, parts in sorted(layout.days.items()):
        if (day + 1) * DAY_MS + CLOSE_AFTER_MS > now_ms:
            return None
        new = layout.unsummarised(day)
        if not new:
            continue
        rows, new_rows = sum(p.rows for p in parts), sum(p.rows for p in new)
        is_backlog = new_rows >= BACKLOG_SHARE * rows
        pause_ms = RECLOSE_PAUSE_OF_BACKLOG_MS if is_backlog else RECLOSE_PAUSE_MS
        if now_ms - closed_at_ms.get(day, -_EVER) >= pause_ms:
            return day
    return None


def parts_to_merge(layout: Layout) -> list[ParquetPart]:
    """The parts of one day that are worth merging; empty if there are none."""
    for parts in layout.days.values():
        chosen = _newest_of_similar_size(parts)
        if chosen:
            return chosen
    return []


def _newest_of_similar_size(parts: Sequence[ParquetPart]) -> list[ParquetPart]:
    """The newest groups, each at most twice as large as all newer ones together."""
    groups: dict[int, list[ParquetPart]] = {}
    for part in parts:
        groups.setdefault(part.group, []).append(part)
    chosen: list[ParquetPart] = []
    taken = 0
    for number in sorted(groups, reverse=True):
        rows = sum(p.rows for p in groups[number])
        if chosen and rows > 2 * sum(p.rows for p in chosen):
            break
        chosen.extend(groups[number])
        taken += 1
    return sorted(chosen, key=lambda p: p.number) if taken >= MERGE_GROUPS else []


def chunks(series: Int64, rows: Int64, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of series (lowest, highest) with at most ``most`` rows; a single series may exceed it."""
    at = 0
    ends = np.cumsum(rows)
    while at < len(series):
        before = int(ends[at - 1]) if at else 0
        after = max(int(np.searchsorted(ends, before + most, side="right")), at + 1)
        yield int(series[at]), int(series[after - 1])
        at = after


class Compactor:
    """Rewrites parts. ``between`` is called between pieces, so that other work can go on."""

    def __init__(
        self,
        files: PartFiles,
        summaries: SummaryFile,
        reserve: Callable[[int], int],
        between: Callable[[], None],
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        self._files = files
        self._summaries = summaries
        self._reserve = reserve
        self._between = between
        self._chunk_rows = chunk_rows

    def _chunks(self, parts: Sequence[ParquetPart]) -> list[tuple[int, int]]:
        return list(chunks(*self._files.rows_of_series(parts), self._chunk_rows))

    def _samples(self, parts: Sequence[ParquetPart], series: tuple[int, int]) -> SampleBatch:
        return self._files.read(parts, *series, -_EVER, _EVER).without_duplicates()

    def merge(self, parts: Sequence[ParquetPart]) -> CompactionResult:
        """Replace ``parts`` by one group without duplicates."""
        ranges = self._chunks(parts)
        group = self._reserve(len(ranges))
        made = []
        for i, series in enumerate(ranges):
            made.append(self._files.write(self._samples(parts, series), group + i, group))
            self._between()
        return CompactionResult(tuple(made), tuple(parts))

    def close(self, layout: Layout, day: int, circular: Collection[int]) -> CompactionResult:
        """Make the summaries of ``day`` from all its samples, and one group of its parts.

        The summaries are on disk when this returns. If the process dies before the result is in the
        manifest, nothing is lost: the old parts hold the same samples.
        """
        if layout.is_deleted(day):
            return self._add_to_summaries(layout, day, circular)
        parts = layout.days[day]
        rewrite = len({p.group for p in parts}) > 1
        ranges = self._chunks(parts)
        group = self._reserve(len(ranges) + 1)
        made: list[ParquetPart] = []
        for i, series in enumerate(ranges):
            batch = self._samples(parts, series)
            if rewrite:
                made.append(self._files.write(batch, group + i, group))
            with self._summaries.writing() as connection:
                for resolution, width in SUMMARY_STEP_MS.items():
                    new = summaries.summarise(batch, width, 0, circular)
                    self._summaries.put(connection, resolution, day, new)
                if i == len(ranges) - 1:
                    mark_closed(connection, day, group + len(ranges))
            self._between()
        return CompactionResult(tuple(made), tuple(parts) if rewrite else ())

    def _add_to_summaries(
        self, layout: Layout, day: int, circular: Collection[int]
    ) -> CompactionResult:
        """Add late samples to the summaries of a day whose other samples were deleted.

        Adding them twice would be wrong, so the day is marked in the same transaction.
        """
        late = layout.unsummarised(day)
        with self._summaries.writing() as connection:
            for series in self._chunks(late):
                batch = self._samples(late, series)
                for resolution, width in SUMMARY_STEP_MS.items():
                    new = summaries.summarise(batch, width, 0, circular)
                    self._summaries.put(connection, resolution, day, new, True, circular)
            mark_closed(connection, day, max(p.number for p in late))
        return CompactionResult((), tuple(layout.days[day]))


def parts_to_delete(layout: Layout, before_ms: int) -> list[ParquetPart]:
    """The summarised parts in which all samples are older than ``before_ms``."""
    return [
        p
        for p in layout.manifest.parts
        if p.last_ms < before_ms and p.number <= layout.closed.get(p.day, -1)
    ]
