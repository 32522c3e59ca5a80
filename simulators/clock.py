"""Simulated time."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SimulationClock:
    """A clock that starts at ``start_ms`` (UTC) and runs ``speed`` times as fast as real time."""

    start_ms: int
    speed: float = 1.0
    began_s: float = field(default_factory=time.monotonic)

    def now_ms(self) -> int:
        """Simulated time now, UTC ms."""
        return self.at(time.monotonic())

    def at(self, monotonic_s: float) -> int:
        """Simulated time at a value of ``time.monotonic()``."""
        return self.start_ms + round((monotonic_s - self.began_s) * self.speed * 1000.0)

    def wall_s(self, simulated_ms: float) -> float:
        """The real duration of a simulated one, in seconds."""
        return simulated_ms / 1000.0 / self.speed
