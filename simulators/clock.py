"""Simulated time beside the time on the wall."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SimulationClock:
    """Starts at ``start_ms`` (UTC) and runs ``speed`` times as fast as the wall clock."""

    start_ms: int
    speed: float = 1.0
    began_s: float = field(default_factory=time.monotonic)

    def now_ms(self) -> int:
        """Simulated time."""
        return self.at(time.monotonic())

    def at(self, monotonic_s: float) -> int:
        """Simulated time at a moment of ``time.monotonic()``."""
        return self.start_ms + round((monotonic_s - self.began_s) * self.speed * 1000.0)

    def wall_s(self, simulated_ms: float) -> float:
        """How long a simulated span takes on the wall, in seconds."""
        return simulated_ms / 1000.0 / self.speed
