"""Compaction: which parts to write anew, and doing it piece by piece.

Planning is pure. A day that is over is *closed*: its raw parts become one group without duplicates,
and its summaries are made. A day that gets late samples is closed again. Within a day, and within
the partitions of summaries, small parts are merged as they pile up.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cloud_ingest.stores import levels
from cloud_ingest.stores.embedded.manifest import DAY_MS, Manifest, Part
from cloud_ingest.stores.embedded.parts import PartFiles
from cloud_ingest.stores.embedded.view import Layout
from cloud_ingest.stores.levels import Summaries
from cloud_ingest.stores.protocol import LEVEL_MS, Level
from telemetry.batches import Int64

SETTLE_MS = 3_600_000
"""A day is closed so long after its end; most of what comes late has come by then."""
AGAIN_MS = 3_600_000
"""A closed day that got late samples is closed again at most so often, unless they are many."""
MANY = 0.1
MERGE_GROUPS = 8
CHUNK_ROWS = 1_000_000
_EVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Change:
    """What a finished compaction makes true."""

    add: tuple[Part, ...]
    drop: tuple[Part, ...]
    closed: dict[int, int]


def day_to_close(layout: Layout, now_ms: int, closed_at_ms: dict[int, int]) -> int | None:
    """The oldest day that is over and has samples which its summaries lack."""
    for day, parts in sorted(layout.raw_days.items()):
        if (day + 1) * DAY_MS + SETTLE_MS > now_ms:
            return None
        new = layout.unsummarised(day)
        if not new:
            continue
        rows, new_rows = sum(p.rows for p in parts), sum(p.rows for p in new)
        rested = now_ms - closed_at_ms.get(day, -_EVER) >= AGAIN_MS
        if rested or new_rows >= MANY * rows:
            return day
    return None


def parts_to_merge(layout: Layout) -> list[Part]:
    """The newest parts of some partition, once many have piled up; empty where none have."""
    candidates: list[list[Part]] = list(layout.raw_days.values())
    for level in ("hour", "day"):
        by_partition: dict[int, list[Part]] = {}
        for part in layout.summaries[level]:
            by_partition.setdefault(part.partition, []).append(part)
        candidates.extend(by_partition.values())
    for parts in candidates:
        chosen = _pile(parts)
        if chosen:
            return chosen
    return []


def _pile(parts: Sequence[Part]) -> list[Part]:
    """The newest groups of similar size: each at most twice as large as all newer ones together."""
    groups: dict[int, list[Part]] = {}
    for part in parts:
        groups.setdefault(part.group, []).append(part)
    chosen: list[Part] = []
    taken = 0
    for number in sorted(groups, reverse=True):
        rows = sum(p.rows for p in groups[number])
        if chosen and rows > 2 * sum(p.rows for p in chosen):
            break
        chosen.extend(groups[number])
        taken += 1
    return sorted(chosen, key=lambda p: p.number) if taken >= MERGE_GROUPS else []


def chunks(series: Int64, rows: Int64, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of series, lowest to highest, of at most ``most`` rows (one series may have more)."""
    place = 0
    ends = np.cumsum(rows)
    while place < len(series):
        before = int(ends[place - 1]) if place else 0
        after = max(int(np.searchsorted(ends, before + most, side="right")), place + 1)
        yield int(series[place]), int(series[after - 1])
        place = after


class Compactor:
    """Writes parts anew. ``between`` is called between pieces, so that other work is not kept up."""

    def __init__(
        self,
        files: PartFiles,
        reserve: Callable[[int], int],
        between: Callable[[], None],
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        self._files = files
        self._reserve = reserve
        self._between = between
        self._chunk_rows = chunk_rows

    def _chunks(self, parts: Sequence[Part]) -> list[tuple[int, int]]:
        return list(chunks(*self._files.rows_of_series(parts), self._chunk_rows))

    def merge(self, parts: Sequence[Part]) -> Change:
        """One group instead of ``parts``, without duplicates."""
        ranges = self._chunks(parts)
        group = self._reserve(len(ranges))
        level = parts[0].level
        made = []
        for i, (low, high) in enumerate(ranges):
            if level == "raw":
                batch = self._files.read_samples(parts, low, high, -_EVER, _EVER).newest_only()
                made.append(self._files.write_samples(batch, group + i, group))
            else:
                rows = self._files.read_summaries(parts, low, high, -_EVER, _EVER).newest_only()
                made.append(self._files.write_summaries(level, rows, group + i, group))
            self._between()
        return Change(tuple(made), tuple(parts), {})

    def close(self, layout: Layout, day: int, circular: Collection[int]) -> Change:
        """Make the summaries of ``day`` from all its samples, and one group of its raw parts.

        Where older samples of the day are forgotten already, what came late is added to the
        summaries that are there.
        """
        parts = layout.raw_days[day]
        forgotten = (day + 1) * DAY_MS <= layout.manifest.since("raw")
        rewrite = len({p.group for p in parts}) > 1 and not forgotten
        ranges = self._chunks(parts)
        n = len(ranges)
        first = self._reserve(2 * n + 2)
        raw: list[Part] = []
        minutes: list[Part] = []
        longer: dict[Level, list[Summaries]] = {"hour": [], "day": []}
        for i, (low, high) in enumerate(ranges):
            batch = self._files.read_samples(parts, low, high, -_EVER, _EVER).newest_only()
            if rewrite:
                raw.append(self._files.write_samples(batch, first + i, first))
            made = {
                level: levels.summarise(batch, width, 0, circular)
                for level, width in LEVEL_MS.items()
            }
            if forgotten:
                made = {
                    level: self._added(layout, level, day, (low, high), new, circular)
                    for level, new in made.items()
                }
            minutes.append(
                self._files.write_summaries("minute", made["minute"], first + n + i, first)
            )
            for level, pieces in longer.items():
                pieces.append(made[level])
            self._between()
        summaries = [
            self._files.write_summaries(level, levels.concat(pieces), first + 2 * n + i, first)
            for i, (level, pieces) in enumerate(longer.items())
        ]
        return Change(
            (*raw, *minutes, *summaries),
            self._outdated(layout, day, rewrite or forgotten, forgotten),
            {day: first + 2 * n + 1},
        )

    @staticmethod
    def _outdated(layout: Layout, day: int, drop_raw: bool, forgotten: bool) -> tuple[Part, ...]:
        old = layout.raw_days[day] if drop_raw else []
        minutes = [] if forgotten else layout.summaries["minute"]
        return (*old, *(p for p in minutes if p.partition == day))

    def _added(
        self,
        layout: Layout,
        level: Level,
        day: int,
        series: tuple[int, int],
        new: Summaries,
        circular: Collection[int],
    ) -> Summaries:
        """``new`` summaries and those that are there for the same steps, taken together."""
        old = self._files.read_summaries(
            layout.summaries[level], *series, day * DAY_MS, (day + 1) * DAY_MS
        ).newest_only()
        both = levels.concat([p for p in (old, new) if len(p)])
        in_order = both.select(np.lexsort((both.time_ms, both.series)))
        return levels.coarsen(in_order, LEVEL_MS[level], 0, circular)


def expired(manifest: Manifest, level: Level, time_ms: int) -> list[Part]:
    """The parts of ``level`` in which nothing is as young as ``time_ms``."""
    return [p for p in manifest.of(level) if p.last_ms < time_ms]
