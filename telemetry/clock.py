"""The time of day, and which sample times the clock allows. Everything reads the time here."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemetry.batches import Bool, Int64

FUTURE_TOLERANCE_MS = 600_000
"""Samples further ahead of the clock are suspect, and no rule judges them."""


def utc_now_ms() -> int:
    """UTC milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def is_too_far_ahead(
    time_ms: "Int64", now_ms: int, tolerance_ms: int = FUTURE_TOLERANCE_MS
) -> "Bool":
    """True for each time that lies more than ``tolerance_ms`` after ``now_ms``."""
    return time_ms > now_ms + tolerance_ms
