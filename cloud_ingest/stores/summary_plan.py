"""Which summaries answer a query exactly, and for which spans samples must be read. Pure."""

from collections.abc import Collection

from cloud_ingest.stores.protocol import SUMMARY_STEP_MS, Resolution

DAY_MS = 86_400_000
Span = tuple[int, int]
"""start_ms <= time < end_ms"""


def coarsest_fitting(step_ms: int, offset_ms: int) -> Resolution | None:
    """The coarsest resolution whose steps divide the given ones; None if samples are needed."""
    fitting = [n for n, w in SUMMARY_STEP_MS.items() if step_ms % w == 0 and offset_ms % w == 0]
    return fitting[-1] if fitting else None


def join_days(days: Collection[int], within: Span) -> list[Span]:
    """Consecutive days joined into spans, clipped to ``within``."""
    spans: list[list[int]] = []
    for day in sorted(days):
        if spans and spans[-1][1] == day * DAY_MS:
            spans[-1][1] += DAY_MS
        else:
            spans.append([day * DAY_MS, (day + 1) * DAY_MS])
    cut = [(max(start, within[0]), min(end, within[1])) for start, end in spans]
    return [(start, end) for start, end in cut if start < end]


def divide(
    span: Span, width_ms: int, closed: Collection[int], deleted_before_ms: int
) -> tuple[list[Span], list[Span]]:
    """The parts of ``span`` that summaries with steps of ``width_ms`` answer, and the rest.

    ``closed`` days have summaries. If an end of ``span`` lies within a step whose samples are
    deleted, the whole step is used.
    """
    start, end = span
    inner_start, inner_end = -(-start // width_ms) * width_ms, end // width_ms * width_ms
    if start < deleted_before_ms:
        start = inner_start = start // width_ms * width_ms
    if end < deleted_before_ms:
        end = inner_end = -(-end // width_ms) * width_ms
    ready = join_days(closed, (inner_start, inner_end)) if inner_start < inner_end else []
    rest = []
    done_ms = start
    for a, b in ready:
        if done_ms < a:
            rest.append((done_ms, a))
        done_ms = b
    if done_ms < end:
        rest.append((done_ms, end))
    return ready, rest
