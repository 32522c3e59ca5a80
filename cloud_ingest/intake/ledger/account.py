"""Which reports of each gateway are stored: ranges of batch numbers, gaps, and how far to acknowledge."""

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(slots=True)
class Ranges:
    """Batch numbers: every one up to ``through`` is accounted for, ``above`` holds later ranges."""

    through: int = 0
    above: list[tuple[int, int]] = field(default_factory=list)

    def __contains__(self, batch: int) -> bool:
        if batch <= self.through:
            return True
        place = bisect_right(self.above, (batch, 1 << 64)) - 1
        return place >= 0 and self.above[place][0] <= batch <= self.above[place][1]

    @property
    def highest(self) -> int:
        """The highest number received."""
        return self.above[-1][1] if self.above else self.through

    def add(self, first: int, last: int | None = None) -> None:
        """Account for the numbers from ``first`` to ``last``."""
        last = first if last is None else last
        if first <= self.through + 1:
            self.through = max(self.through, last)
        elif not self.above or first > self.above[-1][1] + 1:
            self.above.append((first, last))
        else:
            self._merge(first, last)
        self._close_up()

    def _merge(self, first: int, last: int) -> None:
        kept = []
        for a, b in self.above:
            if b + 1 < first or a > last + 1:
                kept.append((a, b))
            else:
                first, last = min(first, a), max(last, b)
        self.above = sorted([*kept, (first, last)])

    def _close_up(self) -> None:
        while self.above and self.above[0][0] <= self.through + 1:
            self.through = max(self.through, self.above.pop(0)[1])

    def missing(self) -> list[tuple[int, int]]:
        """The holes between ``through`` and the highest number."""
        holes, at = [], self.through
        for first, last in self.above:
            holes.append((at + 1, first - 1))
            at = last
        return holes

    def copy(self) -> "Ranges":
        """The same ranges in a new object."""
        return Ranges(self.through, list(self.above))


@dataclass(frozen=True, slots=True)
class Gap:
    """Batches that will never come, and why; 0 to 0 where only the reason matters."""

    gateway: str
    first: int
    last: int
    reason: str
    time_ms: int


@dataclass(slots=True)
class Account:
    """The ledger of one gateway. ``known`` is False until its first birth told where it stands.

    ``sent`` is what was acknowledged last, and when; ``again``: the gateway wants to hear it once
    more; ``open``: something may be to acknowledge.
    """

    gateway: str
    ranges: Ranges = field(default_factory=Ranges)
    samples_stored: int = 0
    known: bool = False
    changed: bool = False
    sent: int = field(default=-1, compare=False)
    sent_ms: int = field(default=0, compare=False)
    again: bool = field(default=False, compare=False)
    open: bool = field(default=False, compare=False)

    def receive(self, batch: int, samples: int) -> bool:
        """Account for a stored batch; False where it was there already."""
        if batch in self.ranges:
            return False
        self.ranges.add(batch)
        self.samples_stored += samples
        self.changed = True
        return True

    def receive_range(self, first: int, last: int, samples: int) -> bool:
        """Account for the stored batches ``first`` to ``last``, where they are the next to come.

        False, and nothing done, where they are not.
        """
        ranges = self.ranges
        if first != ranges.through + 1 or (ranges.above and ranges.above[0][0] <= last + 1):
            return False
        ranges.through = last
        self.samples_stored += samples
        self.changed = True
        return True

    def introduce(self, oldest: int, upcoming: int, now_ms: int) -> list[Gap]:
        """Take in what a birth says the gateway still holds: from ``oldest`` to before ``upcoming``.

        Numbers below ``oldest`` that never came will not come: they become a gap. Numbers that
        went back mean a new outbox: the account starts over.
        """
        if not self.known:
            self.known = self.changed = True
            self.ranges = Ranges(max(0, oldest - 1))
            return []
        if upcoming <= self.ranges.through:
            self.ranges = Ranges(max(0, oldest - 1))
            self.changed = True
            return [Gap(self.gateway, 0, 0, "the gateway began a new outbox", now_ms)]
        self.ranges.above = [
            (a, min(b, upcoming - 1)) for a, b in self.ranges.above if a < upcoming
        ]
        return self.give_up_below(oldest, now_ms)

    def give_up_below(self, oldest: int, now_ms: int) -> list[Gap]:
        """The gateway holds nothing below ``oldest``: what is missing there becomes a gap."""
        if oldest <= self.ranges.through + 1:
            return []
        gaps, at = [], self.ranges.through
        for first, last in [*self.ranges.above, (1 << 63, 1 << 63)]:
            upto = min(first, oldest) - 1
            if upto > at:
                gaps.append(Gap(self.gateway, at + 1, upto, "given up by the gateway", now_ms))
            at = max(at, last)
        self.ranges.add(self.ranges.through + 1, oldest - 1)
        self.changed = True
        return gaps
