"""The time of day. Everything reads it here."""

import time


def utc_now_ms() -> int:
    """UTC milliseconds since 1970."""
    return time.time_ns() // 1_000_000
