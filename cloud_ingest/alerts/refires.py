"""Re-fires: whether a span of a condition continues the last alert. One decision for live, late and replayed data."""

from collections.abc import Sequence
from typing import Protocol, TypeVar


class HasSpan(Protocol):
    """Something with a start and an end; ``end_ms`` None: it has not ended."""

    @property
    def start_ms(self) -> int:
        """When it began."""

    @property
    def end_ms(self) -> int | None:
        """When it ended."""


SpanT = TypeVar("SpanT", bound=HasSpan)


def is_refire(start_ms: int, last_end_ms: int | None, refire_within_ms: int) -> bool:
    """Whether a span from ``start_ms`` belongs to the alert whose last span ended at ``last_end_ms``."""
    return last_end_ms is not None and 0 <= start_ms - last_end_ms <= refire_within_ms


def group_refires(spans: Sequence[SpanT], refire_within_ms: int) -> list[list[SpanT]]:
    """The spans of one rule and subject, in the order of time, grouped into alerts."""
    alerts: list[list[SpanT]] = []
    for span in spans:
        if alerts and is_refire(span.start_ms, alerts[-1][-1].end_ms, refire_within_ms):
            alerts[-1].append(span)
        else:
            alerts.append([span])
    return alerts
