"""The account of one gateway in the ledger: stored report numbers, gaps, acknowledgement."""

from dataclasses import dataclass, field

from telemetry.ranges import RangeSet


@dataclass(frozen=True, slots=True)
class Gap:
    """Reports that will never come, and why; 0 to 0 where only the reason matters."""

    gateway: str
    first: int
    last: int
    reason: str
    time_ms: int


@dataclass(slots=True)
class Account:
    """The ledger of one gateway. ``known`` is False until its first birth gave its numbers.

    ``batches`` are the report numbers that are stored or will never come, 0 included.
    ``sent`` is the last acknowledged number, ``sent_ms`` when it was sent; ``again``: repeat it;
    ``open``: an acknowledgement may be due.
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
        """The highest report number below which none is missing."""
        return self.batches.range_end(0)

    def receive(self, batch: int, samples: int) -> bool:
        """Enter a stored report; False if it was entered before."""
        if batch in self.batches:
            return False
        self.batches.add(batch, batch)
        self.samples_stored += samples
        self.changed = True
        return True

    def receive_range(self, first: int, last: int, samples: int) -> bool:
        """Enter the stored reports ``first`` to ``last`` if they are the next expected ones.

        Otherwise changes nothing and returns False.
        """
        if first != self.through + 1 or self.batches.has_any(first, last):
            return False
        self.batches.add(first, last)
        self.samples_stored += samples
        self.changed = True
        return True

    def take_bounds(self, oldest: int, upcoming: int, now_ms: int) -> list[Gap]:
        """Take the bounds of the gateway's outbox from its birth: ``oldest`` to before ``upcoming``.

        Missing numbers below ``oldest`` will never come and become a gap. Numbers that went back
        mean a new outbox: the account starts over.
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
        return self.close_gaps_below(oldest, now_ms)

    def close_gaps_below(self, oldest: int, now_ms: int) -> list[Gap]:
        """The gateway holds nothing below ``oldest``: missing numbers there become gaps."""
        missing = self.batches.gaps(0, oldest - 1)
        if not missing:
            return []
        self.batches.add(0, oldest - 1)
        self.changed = True
        return [Gap(self.gateway, a, b, "given up by the gateway", now_ms) for a, b in missing]
