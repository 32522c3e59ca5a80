"""The time of samples: the calendar's while the clock can be trusted, the machine's own until then.

A gateway without a battery-backed clock boots in 1970, and NTP moves clocks by hours. Here the
time of a sample runs with the monotonic clock, which never jumps. It is tied to the wall clock once
that is past 2023 and has kept step with the monotonic clock for a while; until then samples carry
plain monotonic milliseconds (recognisable: far below any real date), and ``ClockEvent.shift_ms``
says later what has to be added to them.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

FIRST_TRUSTED_MS = 1_704_067_200_000
"""2024-01-01: a clock that says less has not been set."""

JUMP_MS = 5_000
SETTLE_MS = 5_000
"""How long a wall clock has to keep step before samples are stamped with it."""
_SLEW_MS = 20
"""Differences up to this are noise; bigger ones (NTP slewing) are followed."""


@dataclass(frozen=True, slots=True)
class ClockEvent:
    """Something happened to the clock.

    ``jumped``: the wall clock moved by ``shift_ms`` against the monotonic one; samples carry
    monotonic time from here on. ``trusted``: samples that do become right by adding ``shift_ms``.
    """

    kind: Literal["jumped", "trusted"]
    monotonic_ms: int
    shift_ms: int


class ClockWatch:
    """Decides whether the wall clock can be trusted. Both times are given to it, in ms."""

    def __init__(self, wall_ms: int, monotonic_ms: int) -> None:
        self._steady_since = monotonic_ms
        self._offset = wall_ms - monotonic_ms
        # A clock that is set at the start is believed at once: the agent may just be restarting.
        self._trusted = wall_ms >= FIRST_TRUSTED_MS

    @property
    def trusted(self) -> bool:
        """Whether ``stamp`` gives calendar time."""
        return self._trusted

    @property
    def shift_ms(self) -> int | None:
        """What turns monotonic into calendar time; None while that is not known."""
        return self._offset if self._trusted else None

    def stamp(self, monotonic_ms: int) -> int:
        """The time of a sample measured at ``monotonic_ms``."""
        return monotonic_ms + self._offset if self._trusted else monotonic_ms

    def observe(self, wall_ms: int, monotonic_ms: int) -> ClockEvent | None:
        """Compare the clocks; to be called about every second."""
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
    """The agent's clock, for all threads. ``poll`` has to be called every second: the outbox does."""

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
        """Whether times given now are of the calendar."""
        return self._watch.trusted

    @property
    def shift_ms(self) -> int | None:
        """What turns monotonic into calendar time; None while that is not known."""
        return self._watch.shift_ms

    def now_ms(self) -> int:
        """The time of a sample measured now."""
        with self._lock:
            return self._watch.stamp(self._monotonic_ns() // 1_000_000)

    def at(self, monotonic_s: float) -> int:
        """The time of a sample measured at that moment of ``time.monotonic()``."""
        with self._lock:
            return self._watch.stamp(int(monotonic_s * 1000))

    def poll(self) -> ClockEvent | None:
        """Look at the clocks; an event where something happened to them."""
        with self._lock:
            return self._watch.observe(
                self._wall_ns() // 1_000_000, self._monotonic_ns() // 1_000_000
            )


def distinct(time_ms: int, last_ms: int) -> int:
    """The time for a sample at ``time_ms`` whose predecessor in its series has ``last_ms``.

    Two samples of a series never share a time: one that comes a moment early is put a millisecond
    behind. A time far behind is that of a clock that was set back, and stays as it is.
    """
    return last_ms + 1 if last_ms - JUMP_MS < time_ms <= last_ms else time_ms
