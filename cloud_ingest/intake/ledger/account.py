"""Which reports of each gateway are stored: ranges of batch numbers, gaps, and how far to acknowledge."""

from dataclasses import dataclass, field

from telemetry.ranges import RangeSet


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

    ``batches`` are the batch numbers that are stored or will never come, 0 included.
    ``sent`` is what was acknowledged last, and when; ``again``: the gateway wants to hear it once
    more; ``open``: something may be to acknowledge.
    """

    gateway: str
    batches: RangeSet = field(default_factory=lambda: RangeSet([(0, 0)]))
    samples_stored: int = 0
    known: bool = False
    changed: bool = False
    sent: int = field(default=-1, compare=False)
    sent_ms: int = field(default=0, compare=False)
    again: bool = field(default=False, compare=False)
    open: bool = field(default=False, compare=False)

    @property
    def through(self) -> int:
        """The highest batch number below which none is missing."""
        return self.batches.range_end(0)

    def receive(self, batch: int, samples: int) -> bool:
        """Account for a stored batch; False where it was there already."""
        if batch in self.batches:
            return False
        self.batches.add(batch, batch)
        self.samples_stored += samples
        self.changed = True
        return True

    def receive_range(self, first: int, last: int, samples: int) -> bool:
        """Account for the stored batches ``first`` to ``last``, where they are the next to come.

        False, and nothing done, where they are not.
        """
        if first != self.through + 1 or self.batches.has_any(first, last):
            return False
        self.batches.add(first, last)
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
            self.batches = RangeSet([(0, max(0, oldest - 1))])
            return []
        if upcoming <= self.through:
            self.batches = RangeSet([(0, max(0, oldest - 1))])
            self.changed = True
            return [Gap(self.gateway, 0, 0, "the gateway began a new outbox", now_ms)]
        self.batches.remove(upcoming, self.batches.highest or 0)
        return self.give_up_below(oldest, now_ms)

    def give_up_below(self, oldest: int, now_ms: int) -> list[Gap]:
        """The gateway holds nothing below ``oldest``: what is missing there becomes a gap."""
        missing = self.batches.gaps(0, oldest - 1)
        if not missing:
            return []
        self.batches.add(0, oldest - 1)
        self.changed = True
        return [Gap(self.gateway, a, b, "given up by the gateway", now_ms) for a, b in missing]
