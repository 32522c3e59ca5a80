"""The time of samples: UTC while the wall clock can be trusted, monotonic time until then.

A gateway without a battery-backed clock boots in 1970, and NTP can move a clock by hours. So the
time of a sample runs with the monotonic clock, which never jumps. It is tied to the wall clock when
that is past 2023 and has kept step with the monotonic clock for SETTLE_MS. Until then samples carry
plain monotonic milliseconds (far below any real date), and ``ClockEvent.shift_ms`` says later what
must be added to them.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

FIRST_TRUSTED_MS = 1_704_067_200_000
"""2024-01-01. A clock that shows an earlier time has not been set."""

JUMP_MS = 5_000
"""A bigger difference between two looks at the clocks is a jump of the wall clock."""
SETTLE_MS = 5_000
"""How long a wall clock must keep step before samples are stamped with it."""
_SLEW_MS = 20
"""Smaller differences are noise. Bigger ones up to a jump (NTP slewing) are followed."""


@dataclass(frozen=True, slots=True)
class ClockEvent:
    """A change of the clock.

    ``jumped``: the wall clock moved by ``shift_ms`` against the monotonic clock; samples carry
    monotonic time from now on. ``trusted``: such samples become right by adding ``shift_ms``.
    """

    kind: Literal["jumped", "trusted"]
    monotonic_ms: int
    shift_ms: int


class ClockWatch:
    """Decides whether the wall clock can be trusted. Both times are passed in, in ms."""

    def __init__(self, wall_ms: int, monotonic_ms: int) -> None:
        self._steady_since = monotonic_ms
        self._offset = wall_ms - monotonic_ms
        # A clock that is set at the start is trusted at once: usually the agent was restarted.
        self._trusted = wall_ms >= FIRST_TRUSTED_MS

    @property
    def trusted(self) -> bool:
        """Whether ``stamp`` gives calendar time."""
        return self._trusted

    @property
    def shift_ms(self) -> int | None:
        """What turns monotonic time into UTC; None while that is not known."""
        return self._offset if self._trusted else None

    def stamp(self, monotonic_ms: int) -> int:
        """The time of a sample measured at ``monotonic_ms``."""
        return monotonic_ms + self._offset if self._trusted else monotonic_ms

    def observe(self, wall_ms: int, monotonic_ms: int) -> ClockEvent | None:
        """Compare the clocks. Call this about every second."""
        offset = wall_ms - monotonic_ms
        shift = offset - self._offset
        if abs(shift) > JUMP_MS:
            was_trusted, self._trusted = self._trusted, False
            self._offset, self._steady_since = offset, monotonic_ms
            return ClockEvent("jumped", monotonic_ms, shift) if was_trusted else None
        if abs(shift) > _SLEW_MS:
            self._offset = offset
        if (
            not self._trusted
            and wall_ms >= FIRST_TRUSTED_MS
            and monotonic_ms - self._steady_since >= SETTLE_MS
        ):
            self._trusted = True
            return ClockEvent("trusted", monotonic_ms, self._offset)
        return None


class Clock:
    """The agent's clock, for all threads. The outbox calls ``poll`` every second."""

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._lock = threading.Lock()
        self._watch = ClockWatch(wall_ns() // 1_000_000, monotonic_ns() // 1_000_000)

    @property
    def trusted(self) -> bool:
        """Whether times given now are UTC."""
        return self._watch.trusted

    @property
    def shift_ms(self) -> int | None:
        """What turns monotonic time into UTC; None while that is not known."""
        return self._watch.shift_ms

    def now_ms(self) -> int:
        """The time of a sample measured now."""
        with self._lock:
            return self._watch.stamp(self._monotonic_ns() // 1_000_000)

    def at(self, monotonic_s: float) -> int:
        """The time of a sample measured at ``monotonic_s`` of ``time.monotonic()``."""
        with self._lock:
            return self._watch.stamp(int(monotonic_s * 1000))

    def poll(self) -> ClockEvent | None:
        """Compare the clocks; returns an event if something changed."""
        with self._lock:
            return self._watch.observe(
                self._wall_ns() // 1_000_000, self._monotonic_ns() // 1_000_000
            )


def distinct(time_ms: int, last_ms: int) -> int:
    """The time of a sample at ``time_ms`` after a sample of the same series at ``last_ms``.

    Two samples of a series never share a time: a sample that would not be later is put one
    millisecond after its predecessor. A time more than JUMP_MS earlier means that the clock was set
    back, and stays as it is.
    """
    return last_ms + 1 if last_ms - JUMP_MS < time_ms <= last_ms else time_ms
