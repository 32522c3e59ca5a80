"""Limits the rate of rebirth requests. No I/O; time is passed in."""

from dataclasses import dataclass

FIRST_WAIT_MS = 5_000
LONGEST_WAIT_MS = 3_600_000
CALM_MS = 600_000
"""After this long without a request, a gateway starts again with the shortest wait."""


@dataclass(slots=True)
class _Wait:
    not_before_ms: int = 0
    wait_ms: int = FIRST_WAIT_MS


class RebirthLimiter:
    """At most ``per_s`` requests a second in all; the wait doubles for each gateway."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._allowance = max(1.0, per_s)
        self._filled_ms = 0
        self._waits: dict[str, _Wait] = {}

    def allow(self, gateway: str, now_ms: int) -> bool:
        """Whether ``gateway`` may be asked now; if so, the request is counted."""
        wait = self._waits.setdefault(gateway, _Wait())
        if now_ms < wait.not_before_ms or not self._take(now_ms):
            return False
        if now_ms > wait.not_before_ms + CALM_MS:
            wait.wait_ms = FIRST_WAIT_MS
        wait.not_before_ms = now_ms + wait.wait_ms
        wait.wait_ms = min(wait.wait_ms * 2, LONGEST_WAIT_MS)
        return True

    def _take(self, now_ms: int) -> bool:
        gained = max(0, now_ms - self._filled_ms) / 1000 * self._per_s
        self._allowance = min(max(1.0, self._per_s), self._allowance + gained)
        self._filled_ms = now_ms
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True
