"""A view of the store: what it was at one moment, and every question that can be asked of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cloud_ingest.stores import summaries
from cloud_ingest.stores.embedded.files.manifest import DAY_MS, Manifest, ParquetPart
from cloud_ingest.stores.embedded.files.parquet_parts import PartFiles, overlapping
from cloud_ingest.stores.embedded.files.summary_file import SummaryFile
from cloud_ingest.stores.protocol import SUMMARY_STEP_MS, Resolution
from cloud_ingest.stores.summaries import Summaries
from cloud_ingest.stores.summary_plan import Span, coarsest_fitting, runs_of_days
from telemetry.batches import SampleBatch

SCAN_DAYS = 7


class Layout:
    """The parts of a manifest by their days, and which of them the summaries know."""

    def __init__(self, manifest: Manifest, closed: Mapping[int, int]) -> None:
        self.manifest = manifest
        self.closed = closed
        self.days: dict[int, list[ParquetPart]] = {}
        for part in manifest.parts:
            self.days.setdefault(part.day, []).append(part)

    def unsummarised(self, day: int) -> list[ParquetPart]:
        """The parts of a day that its summaries do not know."""
        through = self.closed.get(day, -1)
        return [p for p in self.days.get(day, ()) if p.number > through]

    def forgotten(self, day: int) -> bool:
        """Whether all samples of a day are older than what is kept."""
        return (day + 1) * DAY_MS <= self.manifest.since("raw")


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A layout and the samples that are in memory, oldest first."""

    files: PartFiles
    summary_file: SummaryFile
    layout: Layout
    recent: tuple[SampleBatch, ...]
    circular: Collection[int] = field(default=())

    def samples(self, series: int, start_ms: int, end_ms: int) -> SampleBatch:
        """Samples of one series in the order of time, without duplicates."""
        return self._samples(series, start_ms, end_ms, self._recent_of(series))

    def _recent_of(self, series: int) -> SampleBatch:
        found = [(v, np.flatnonzero(v.series == series)) for v in self.recent]
        return SampleBatch.concat([v.select(places) for v, places in found if len(places)])

    def _samples(self, series: int, start_ms: int, end_ms: int, recent: SampleBatch) -> SampleBatch:
        start_ms = max(start_ms, self.layout.manifest.since("raw"))
        old = self.files.read(self.layout.manifest.parts, series, series, start_ms, end_ms)
        inside = (recent.time_ms >= start_ms) & (recent.time_ms < end_ms)
        batch = SampleBatch.concat([b for b in (old, recent.select(inside)) if len(b)])
        in_order = bool((batch.time_ms[1:] > batch.time_ms[:-1]).all())
        return batch if in_order else batch.newest_only()

    def summaries(
        self, series: int, start_ms: int, end_ms: int, step_ms: int, offset_ms: int
    ) -> Summaries:
        """Summaries of one series, from the coarsest resolution that gives the exact answer.

        Days whose summaries do not know everything yet, and the ends of a span that lie within a
        step of the resolution, are made from samples.
        """
        recent = self._recent_of(series)
        resolution = coarsest_fitting(step_ms, offset_ms)
        if resolution is None:
            samples = self._samples(series, start_ms, end_ms, recent)
            return summaries.summarise(samples, step_ms, offset_ms, self.circular)
        open_days = self._open_days(series, recent)
        whole, edges = self._divide((start_ms, end_ms), SUMMARY_STEP_MS[resolution], open_days)
        pieces = [self._ready(resolution, series, whole, open_days)]
        for start, end in (*edges, *runs_of_days(open_days, whole)):
            found = self._samples(series, start, end, recent)
            pieces.append(summaries.summarise(found, SUMMARY_STEP_MS[resolution], 0, self.circular))
        fine = summaries.concat([p for p in pieces if len(p)])
        if len(pieces) > 1:
            fine = fine.select(np.argsort(fine.time_ms, kind="stable"))
        return summaries.coarsen(fine, step_ms, offset_ms, self.circular)

    def _open_days(self, series: int, recent: SampleBatch) -> set[int]:
        """The days for which samples of ``series`` are not in the summaries yet."""
        days = {
            day
            for day in self.layout.days
            if any(p.low <= series <= p.high for p in self.layout.unsummarised(day))
        }
        days.update(np.unique(recent.time_ms // DAY_MS).tolist())
        return {day for day in days if not self.layout.forgotten(day)}

    def _divide(self, span: Span, width: int, open_days: set[int]) -> tuple[Span, list[Span]]:
        """The whole steps of the resolution in ``span``, and what is left at its ends.

        Where the samples of an end are forgotten already, the whole step stands for it.
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
        return day in open_days or (day in self.layout.days and not self.layout.forgotten(day))

    def _ready(
        self, resolution: Resolution, series: int, span: Span, open_days: set[int]
    ) -> Summaries:
        """Summaries that lie on disk, but for the days that are still open."""
        start = max(span[0], self.layout.manifest.since(resolution))
        found = self.summary_file.read(resolution, series, start, span[1])
        if open_days and len(found):
            still_open = np.fromiter(open_days, np.int64)
            found = found.select(~np.isin(found.time_ms // DAY_MS, still_open))
        return found

    def spans(self, series: int, start_ms: int, end_ms: int) -> Iterator[Span]:
        """The parts of a span in which ``series`` may have samples, of some days each."""
        parts = overlapping(self.layout.manifest.parts, series, series, start_ms, end_ms)
        days = {p.day for p in parts}
        recent = self._recent_of(series).time_ms
        days.update(np.unique(recent // DAY_MS).tolist())
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
        """How many distinct (series, time) there are of ``series``."""
        wanted = np.unique(np.asarray(series, np.int32))
        since = self.layout.manifest.since("raw")
        recent = SampleBatch.concat(
            [v.select(np.isin(v.series, wanted) & (v.time_ms >= since)) for v in self.recent]
        )
        mixed = set(np.unique(recent.time_ms // DAY_MS).tolist())
        plain: list[ParquetPart] = []
        doubtful: list[ParquetPart] = []
        for day, parts in self.layout.days.items():
            single = len({p.group for p in parts}) == 1 and day not in mixed
            (plain if single else doubtful).extend(parts)
        inside = "SEMI JOIN wanted USING (series) WHERE time_ms >= ?"
        tables = {"wanted": {"series": wanted}}
        total = 0
        if plain:
            question = f"SELECT count(*) AS n FROM {self.files.table(plain)} {inside}"  # noqa: S608  # quoted
            total += int(self.files.query(question, [since], **tables)["n"][0])
        new = {"series": recent.series, "time_ms": recent.time_ms}
        old = f"SELECT series, time_ms FROM {self.files.table(doubtful)} {inside}"  # noqa: S608  # quoted
        keys = "SELECT series, time_ms FROM new" + (f" UNION {old}" if doubtful else "")  # noqa: S608  # quoted
        question = f"SELECT count(*) AS n FROM (SELECT DISTINCT * FROM ({keys}))"  # noqa: S608  # quoted
        values = [since] if doubtful else []
        return total + int(self.files.query(question, values, new=new, **tables)["n"][0])
