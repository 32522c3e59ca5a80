"""Limits the new series of each gateway. No I/O; time is passed in."""

from dataclasses import dataclass

MINUTE_MS = 60_000


@dataclass(slots=True)
class _Budget:
    began_ms: int
    in_minute: int = 0
    total: int = 0


class SeriesLimiter:
    """At most ``per_minute`` new series a minute and ``in_all`` since the start, for each gateway."""

    def __init__(self, per_minute: int, in_all: int) -> None:
        self._per_minute = per_minute
        self._in_all = in_all
        self._budgets: dict[str, _Budget] = {}

    def allow(self, gateway: str, now_ms: int) -> bool:
        """Whether ``gateway`` may add a series; if so, it is counted."""
        budget = self._budgets.setdefault(gateway, _Budget(now_ms))
        if now_ms - budget.began_ms >= MINUTE_MS:
            budget.began_ms, budget.in_minute = now_ms, 0
        if budget.in_minute >= self._per_minute or budget.total >= self._in_all:
            return False
        budget.in_minute += 1
        budget.total += 1
        return True
