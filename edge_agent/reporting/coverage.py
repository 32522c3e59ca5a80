"""For how much of a window a device was listened to (no I/O)."""

from dataclasses import dataclass

COMPLETE_SHARE = 0.75
"""A window of which less was heard is marked suspect: the share of data that air quality rules ask
for (Directive 2008/50/EC, annex I)."""


@dataclass(slots=True)
class Coverage:
    """The time in the open window during which the device was there."""

    heard_ms: int = 0
    since_ms: int | None = None
    """Since when it is there; None: it is not."""

    def resume(self, now_ms: int) -> None:
        """The device is there."""
        if self.since_ms is None:
            self.since_ms = now_ms

    def pause(self, now_ms: int) -> None:
        """The device is gone."""
        self.heard_ms = self.until(now_ms)
        self.since_ms = None

    def until(self, now_ms: int) -> int:
        """The time in the window that was heard up to now."""
        return self.heard_ms + (0 if self.since_ms is None else max(0, now_ms - self.since_ms))

    def close(self, end_ms: int, every_ms: int) -> float:
        """The share of the window that was heard; the next window begins."""
        share = min(1.0, self.until(end_ms) / every_ms)
        self.heard_ms = 0
        if self.since_ms is not None:
            self.since_ms = max(self.since_ms, end_ms)
        return share
