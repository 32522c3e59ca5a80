"""The share of a window during which a device was heard (no I/O)."""

from dataclasses import dataclass

COMPLETE_SHARE = 0.75
"""Below this share a window is marked suspect: the data capture that air quality rules require
(Directive 2008/50/EC, annex I)."""


@dataclass(slots=True)
class Coverage:
    """The time in the open window during which the device answered."""

    heard_ms: int = 0
    since_ms: int | None = None
    """Since when it answers; None: it does not."""

    def resume(self, now_ms: int) -> None:
        """The device answers."""
        if self.since_ms is None:
            self.since_ms = now_ms

    def pause(self, now_ms: int) -> None:
        """The device no longer answers."""
        self.heard_ms = self.until(now_ms)
        self.since_ms = None

    def until(self, now_ms: int) -> int:
        """The time in the window that was heard until now."""
        return self.heard_ms + (0 if self.since_ms is None else max(0, now_ms - self.since_ms))

    def close(self, end_ms: int, every_ms: int) -> float:
        """The share of the window that was heard; the next window begins."""
        share = min(1.0, self.until(end_ms) / every_ms)
        self.heard_ms = 0
        if self.since_ms is not None:
            self.since_ms = max(self.since_ms, end_ms)
        return share
