"""Counters of what happened on the bus, for each device: the diagnostics in births and NDATA."""

from dataclasses import dataclass, field

from telemetry.sparkplug.names import DIAGNOSTIC_COUNTERS


@dataclass(slots=True)
class DeviceCounters:
    """The counts of one device, by the names in telemetry.sparkplug.names.DIAGNOSTIC_COUNTERS."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DIAGNOSTIC_COUNTERS, 0))
    last_answer_ms: int | None = None
    last_error: str | None = None

    def add(self, counter: str, number: int = 1) -> None:
        """Add ``number`` to ``counter``."""
        self.counts[counter] += number

    def __getitem__(self, counter: str) -> int:
        return self.counts[counter]


@dataclass(slots=True)
class RecurringProblem:
    """A problem that is logged once when it begins and once when it is over."""

    text: str | None = None
    times: int = 0

    def begins(self, text: str) -> bool:
        """Whether this problem is new; the same problem again is only counted."""
        self.times += 1
        if self.text == text:
            return False
        self.text = text
        return True

    def ends(self) -> int:
        """The problem is over: how often it happened; 0 if there was none."""
        times = self.times
        self.text, self.times = None, 0
        return times
