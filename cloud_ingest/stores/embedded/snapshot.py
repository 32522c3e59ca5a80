"""A snapshot of the store at one moment, with all queries on it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cloud_ingest.stores import summaries
from cloud_ingest.stores.embedded.files.manifest import DAY_MS, Manifest, ParquetPart
from cloud_ingest.stores.embedded.files.parquet_parts import PartFiles, overlapping
from cloud_ingest.stores.embedded.files.summary_file import SummaryFile
from cloud_ingest.stores.protocol import SUMMARY_STEP_MS, Resolution
from cloud_ingest.stores.summaries import Summaries
from cloud_ingest.stores.summary_plan import Span, coarsest_fitting, join_days
from telemetry.batches import SampleBatch

SCAN_DAYS = 7


class Layout:
    """The parts of a manifest by day, and which of them are in the summaries."""

    def __init__(self, manifest: Manifest, closed: Mapping[int, int]) -> None:
        self.manifest = manifest
        self.closed = closed
        self.days: dict[int, list[ParquetPart]] = {}
        for part in manifest.parts:
            self.days.setdefault(part.day, []).append(part)

    def unsummarised(self, day: int) -> list[ParquetPart]:
        """The parts of a day that are not in its summaries."""
        through = self.closed.get(day, -1)
        return [p for p in self.days.get(day, ()) if p.number > through]

    def is_deleted(self, day: int) -> bool:
        """True if all samples of a day are past their retention."""
        return (day + 1) * DAY_MS <= self.manifest.kept_since("raw")


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A layout and the samples that are not in parts yet, oldest first."""

    files: PartFiles
    summary_file: SummaryFile
    layout: Layout
    unflushed: tuple[SampleBatch, ...]
    circular: Collection[int] = field(default=())

    def samples(self, series: int, start_ms: int, end_ms: int) -> SampleBatch:
        """Samples of one series in the order of time, without duplicates."""
        return self._samples(series, start_ms, end_ms, self._unflushed_of(series))

    def _unflushed_of(self, series: int) -> SampleBatch:
        found = [(v, np.flatnonzero(v.series == series)) for v in self.unflushed]
        return SampleBatch.concat([v.select(positions) for v, positions in found if len(positions)])

    def _samples(
        self, series: int, start_ms: int, end_ms: int, unflushed: SampleBatch
    ) -> SampleBatch:
        start_ms = max(start_ms, self.layout.manifest.kept_since("raw"))
        old = self.files.read(self.layout.manifest.parts, series, series, start_ms, end_ms)
        inside = (unflushed.time_ms >= start_ms) & (unflushed.time_ms < end_ms)
        batch = SampleBatch.concat([b for b in (old, unflushed.select(inside)) if len(b)])
        in_order = bool((batch.time_ms[1:] > batch.time_ms[:-1]).all())
        return batch if in_order else batch.without_duplicates()

    def summaries(
        self, series: int, start_ms: int, end_ms: int, step_ms: int, offset_ms: int
    ) -> Summaries:
        """Summaries of one series, from the coarsest resolution that gives the exact result.

        Days with samples that are not summarised yet, and the ends of a span that lie within a step
        of the resolution, are computed from samples.
        """
        unflushed = self._unflushed_of(series)
        resolution = coarsest_fitting(step_ms, offset_ms)
        if resolution is None:
            samples = self._samples(series, start_ms, end_ms, unflushed)
            return summaries.summarise(samples, step_ms, offset_ms, self.circular)
        open_days = self._open_days(series, unflushed)
        whole, edges = self._divide((start_ms, end_ms), SUMMARY_STEP_MS[resolution], open_days)
        pieces = [self._ready(resolution, series, whole, open_days)]
        for start, end in (*edges, *join_days(open_days, whole)):
            found = self._samples(series, start, end, unflushed)
            pieces.append(summaries.summarise(found, SUMMARY_STEP_MS[resolution], 0, self.circular))
        fine = summaries.concat([p for p in pieces if len(p)])
        if len(pieces) > 1:
            fine = fine.select(np.argsort(fine.time_ms, kind="stable"))
        return summaries.coarsen(fine, step_ms, offset_ms, self.circular)

    def _open_days(self, series: int, unflushed: SampleBatch) -> set[int]:
        """The days with samples of ``series`` that are not in the summaries yet."""
        days = {
            day
            for day in self.layout.days
            if any(p.low <= series <= p.high for p in self.layout.unsummarised(day))
        }
        days.update(np.unique(unflushed.time_ms // DAY_MS).tolist())
        return {day for day in days if not self.layout.is_deleted(day)}

    def _divide(self, span: Span, width: int, open_days: set[int]) -> tuple[Span, list[Span]]:
        """The whole steps of the resolution in ``span``, and the rest at its ends.

        If the samples of an end are deleted already, the whole step is used for it.
        """
        start, end = span
        inner_start = -(-start // width) * width
        inner_end = end // width * width
        if inner_start != start and not self._has_raw(start, open_days):
            inner_start = start // width * width
        if inner_end != end and not self._has_raw(end, open_days):
            inner_end = -(-end // width) * width
        if inner_start >= inner_end:
            return (inner_start, inner_start), [span]
        ends = [(start, inner_start), (inner_end, end)]
        return (inner_start, inner_end), [e for e in ends if e[0] < e[1]]

    def _has_raw(self, time_ms: int, open_days: set[int]) -> bool:
        day = time_ms // DAY_MS
        return day in open_days or (day in self.layout.days and not self.layout.is_deleted(day))

    def _ready(
        self, resolution: Resolution, series: int, span: Span, open_days: set[int]
    ) -> Summaries:
        """Summaries on disk, except those of open days."""
        start = max(span[0], self.layout.manifest.kept_since(resolution))
        found = self.summary_file.read(resolution, series, start, span[1])
        if open_days and len(found):
            still_open = np.fromiter(open_days, np.int64)
            found = found.select(~np.isin(found.time_ms // DAY_MS, still_open))
        return found

    def spans(self, series: int, start_ms: int, end_ms: int) -> Iterator[Span]:
        """The pieces of a span, of up to SCAN_DAYS days, in which ``series`` may have samples."""
        parts = overlapping(self.layout.manifest.parts, series, series, start_ms, end_ms)
        days = {p.day for p in parts}
        unflushed = self._unflushed_of(series).time_ms
        days.update(np.unique(unflushed // DAY_MS).tolist())
        first = None
        for day in sorted(days):
            if first is not None and day < first + SCAN_DAYS:
                continue
            first = day
            start = max(start_ms, day * DAY_MS)
            end = min(end_ms, (day + SCAN_DAYS) * DAY_MS)
            if start < end:
                yield start, end

    def count(self, series: Sequence[int]) -> int:
        """The number of distinct (series, time) of ``series``."""
        wanted = np.unique(np.asarray(series, np.int32))
        since = self.layout.manifest.kept_since("raw")
        unflushed = SampleBatch.concat(
            [v.select(np.isin(v.series, wanted) & (v.time_ms >= since)) for v in self.unflushed]
        )
        mixed = set(np.unique(unflushed.time_ms // DAY_MS).tolist())
        distinct_parts: list[ParquetPart] = []
        overlapping_parts: list[ParquetPart] = []
        for day, parts in self.layout.days.items():
            single = len({p.group for p in parts}) == 1 and day not in mixed
            (distinct_parts if single else overlapping_parts).extend(parts)
        within = "SEMI JOIN wanted USING (series) WHERE time_ms >= ?"
        tables = {"wanted": {"series": wanted}}
        total = 0
        if distinct_parts:
            sql = f"SELECT count(*) AS n FROM {self.files.table(distinct_parts)} {within}"  # noqa: S608  # quoted
            total += int(self.files.query(sql, [since], **tables)["n"][0])
        new = {"series": unflushed.series, "time_ms": unflushed.time_ms}
        old = f"SELECT series, time_ms FROM {self.files.table(overlapping_parts)} {within}"  # noqa: S608  # quoted
        keys = "SELECT series, time_ms FROM new" + (f" UNION {old}" if overlapping_parts else "")  # noqa: S608  # quoted
        sql = f"SELECT count(*) AS n FROM (SELECT DISTINCT * FROM ({keys}))"  # noqa: S608  # quoted
        values = [since] if overlapping_parts else []
        return total + int(self.files.query(sql, values, new=new, **tables)["n"][0])
