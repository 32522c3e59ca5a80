"""Limits how often gateways are asked to introduce themselves again. No I/O; time is passed in."""

from dataclasses import dataclass

FIRST_WAIT_MS = 5_000
LONGEST_WAIT_MS = 3_600_000
CALM_MS = 600_000
"""A gateway that needed no rebirth for this long starts over with the shortest wait."""


@dataclass(slots=True)
class _Wait:
    not_before_ms: int = 0
    wait_ms: int = FIRST_WAIT_MS


class RebirthLimiter:
    """At most ``per_s`` requests a second in all, and ever rarer ones to the same gateway."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._allowance = max(1.0, per_s)
        self._filled_ms = 0
        self._waits: dict[str, _Wait] = {}

    def allow(self, gateway: str, now_ms: int) -> bool:
        """Whether ``gateway`` may be asked now; if so, it counts as asked."""
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
