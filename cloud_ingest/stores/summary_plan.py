"""Which summaries answer a question exactly, and for which spans samples must be read. Pure."""

from collections.abc import Collection

from cloud_ingest.stores.protocol import SUMMARY_STEP_MS, Resolution

DAY_MS = 86_400_000
Span = tuple[int, int]
"""start_ms <= time < end_ms"""


def coarsest_fitting(step_ms: int, offset_ms: int) -> Resolution | None:
    """The coarsest resolution whose steps make up the steps asked for; None: only samples do."""
    fitting = [n for n, w in SUMMARY_STEP_MS.items() if step_ms % w == 0 and offset_ms % w == 0]
    return fitting[-1] if fitting else None


def runs_of_days(days: Collection[int], within: Span) -> list[Span]:
    """Neighbouring days as spans, cut to ``within``."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][1] == day * DAY_MS:
            runs[-1][1] += DAY_MS
        else:
            runs.append([day * DAY_MS, (day + 1) * DAY_MS])
    cut = [(max(start, within[0]), min(end, within[1])) for start, end in runs]
    return [(start, end) for start, end in cut if start < end]


def divide(
    span: Span, width_ms: int, closed: Collection[int], forgotten_before_ms: int
) -> tuple[list[Span], list[Span]]:
    """The spans of ``span`` that summaries of ``width_ms`` answer, and the rest.

    ``closed`` days have summaries. Where an end of ``span`` lies within a step and the samples
    there are forgotten, the whole step stands for it.
    """
    start, end = span
    inner_start, inner_end = -(-start // width_ms) * width_ms, end // width_ms * width_ms
    if start < forgotten_before_ms:
        start = inner_start = start // width_ms * width_ms
    if end < forgotten_before_ms:
        end = inner_end = -(-end // width_ms) * width_ms
    ready = runs_of_days(closed, (inner_start, inner_end)) if inner_start < inner_end else []
    rest = []
    place = start
    for a, b in ready:
        if place < a:
            rest.append((place, a))
        place = b
    if place < end:
        rest.append((place, end))
    return ready, rest
