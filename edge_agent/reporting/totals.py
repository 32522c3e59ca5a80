"""Turns counters that wrap around or are reset into totals that only grow (no I/O)."""

from dataclasses import dataclass
from enum import Enum, auto

LEAST_WRAP_SHARE = 1 / 256
"""An increase across a wrap is accepted up to this share of the range in any case."""
RATE_MARGIN = 4.0
LEAST_ELAPSED_S = 0.05
"""Readings closer than this, or with a clock that was set back, say nothing about the rate."""
RESET_SHARE = 0.5
"""A counter that fell below this share of its last value was reset."""


class Step(Enum):
    """The change of a counter from one reading to the next."""

    ON = auto()
    WRAPPED = auto()
    RESET = auto()
    BACK = auto()


@dataclass(slots=True)
class Total:
    """A total that continues when its counter wraps or is reset.

    ``modulus`` is the value at which the counter wraps to 0; None if it does not. ``state`` is all
    that must be saved between runs.
    """

    modulus: float | None = None
    offset: float = 0.0
    last: float | None = None
    last_ms: int = 0
    fastest_per_s: float = 0.0

    def take(self, raw: float, time_ms: int) -> tuple[float, Step]:
        """The total after a reading, and how the counter changed."""
        if self.last is None:
            self.last, self.last_ms = raw, time_ms
            return raw + self.offset, Step.ON
        elapsed_s = max(time_ms - self.last_ms, 0) / 1000
        step = self._step(raw, elapsed_s)
        if step is Step.ON:
            if elapsed_s >= LEAST_ELAPSED_S:
                self.fastest_per_s = max(0.999 * self.fastest_per_s, (raw - self.last) / elapsed_s)
        elif step is Step.WRAPPED:
            self.offset += self.modulus or 0.0
        elif step is Step.RESET:
            self.offset += self.last
        else:
            self.offset += self.last - raw
        self.last, self.last_ms = raw, time_ms
        return raw + self.offset, step

    def _step(self, raw: float, elapsed_s: float) -> Step:
        assert self.last is not None  # take() checks it
        if raw >= self.last:
            return Step.ON
        if self.modulus is not None:
            across = raw + self.modulus - self.last
            believable = max(
                LEAST_WRAP_SHARE * self.modulus, RATE_MARGIN * self.fastest_per_s * elapsed_s
            )
            if across <= min(believable, self.modulus / 2):
                return Step.WRAPPED
        return Step.RESET if raw <= RESET_SHARE * self.last else Step.BACK

    @property
    def state(self) -> list[float | int | None]:
        """The state to save."""
        return [self.offset, self.last, self.last_ms, self.fastest_per_s]

    def restore(self, state: object) -> None:
        """Continue from a saved state; anything else is ignored."""
        if not isinstance(state, list) or len(state) != 4:
            return
        offset, last, last_ms, fastest = state
        numbers = all(isinstance(v, (int, float)) for v in (offset, last, last_ms, fastest))
        if numbers:
            self.offset, self.last = float(offset), float(last)
            self.last_ms, self.fastest_per_s = int(last_ms), float(fastest)
