"""Which reports are sent when: live reports at once, the backlog behind them, lost ones again.

Pure bookkeeping over report numbers; times are seconds of the monotonic clock. Every batch from the
lowest that is held to the newest is either *unsent* (not sent in this session, or to be sent again)
or sent and waiting for its confirmation.

The window of the backlog adapts to the latency of confirmations: the backlog in flight is kept to
about half a second of the cloud's work, because a live report queues behind it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from telemetry.ranges import RangeSet

MIN_WINDOW = 250
FIRST_WINDOW = 5_000
MAX_WINDOW = 400_000
"""Bounds of the window, in samples of backlog in flight."""
MAX_CHUNK = 5_000
"""The most samples that are read and sent at once."""
FAST_S = 0.4
SLOW_S = 0.8
"""The window grows while confirmations are faster, and shrinks when they are slower."""
LEAST_GROWTH, MOST_GROWTH = 1.5, 4.0
"""Bounds of the growth, which follows the ratio of FAST_S to the latency."""
FIRST_RETRY_S = 10.0
MAX_RETRY_S = 300.0
_CERTAIN_S = 2.0
"""If a confirmation leaves out a batch that was sent this long ago, the batch is lost."""
_LIVE_LOG = 20_000


@dataclass(slots=True)
class _Flight:
    """A stretch of backlog in flight."""

    first: int
    last: int
    samples: int
    sent_s: float


class Delivery:
    """The delivery state of one session."""

    def __init__(self, lowest: int, next_batch: int, now_s: float) -> None:
        self.unsent = RangeSet()
        self.unsent.add(lowest, next_batch - 1)
        self.confirmed = lowest - 1
        self.next_batch = next_batch
        """The number after the newest batch that is known here."""
        self.window = float(FIRST_WINDOW)
        self.retries = 0
        self._flights: deque[_Flight] = deque()
        self._under_way = 0
        self._live: deque[tuple[int, float]] = deque(maxlen=_LIVE_LOG)
        self._progress_s = now_s
        self._retry_s = FIRST_RETRY_S
        self._latency_s = 0.0
        self._adapted_s = now_s
        self._chunk = 1
        self._resent_through = -1

    # -- live ----------------------------------------------------------------------------------

    def is_new(self, batch: int) -> bool:
        """Whether a new report can be sent live. Numbers that it skips become backlog."""
        if batch < self.next_batch:
            return False
        self.unsent.add(self.next_batch, batch - 1)
        self.next_batch = batch + 1
        return True

    def put_back(self, batch: int) -> None:
        """Leave a report to the backlog."""
        self.unsent.add(batch, batch)

    def sent_live(self, batch: int, now_s: float) -> None:
        """A live report was sent."""
        if not self.is_waiting:
            self._progress_s = now_s
        self._live.append((batch, now_s))

    # -- backlog -------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Samples of backlog in flight."""
        return self._under_way

    @property
    def head(self) -> int:
        """The lowest unconfirmed number."""
        return self.confirmed + 1

    @property
    def is_waiting(self) -> bool:
        """Whether a confirmation is due."""
        return self.head < self.next_batch and bool(self._flights or self._live)

    def plan(self) -> tuple[int, int] | None:
        """What to read next: after which number, and how many samples. None: nothing now."""
        lowest = self.unsent.lowest
        room = int(self.window) - self._under_way
        if lowest is None or (room <= 0 and self._flights):
            return None
        chunk = min(MAX_CHUNK, max(MIN_WINDOW // 2, int(self.window) // 4))
        return lowest - 1, min(chunk, max(room, 1))

    def sent_backlog(self, batches: Sequence[int], samples: int, now_s: float) -> None:
        """Reports with these numbers (in order) were sent, with ``samples`` samples in all."""
        if not batches:
            return
        if not self.is_waiting:
            self._progress_s = now_s
        if batches[-1] - batches[0] == len(batches) - 1:
            self.unsent.remove(batches[0], batches[-1])
        else:
            for batch in batches:
                self.unsent.remove(batch, batch)
        self._flights.append(_Flight(batches[0], batches[-1], samples + len(batches), now_s))
        self._under_way += samples + len(batches)

    # -- confirmation --------------------------------------------------------------------------

    def acknowledged(self, through: int, now_s: float) -> bool:
        """All batches up to ``through`` are stored. False: refused, the outbox has no such number.

        The bound is what the outbox has numbered, not what this session has sent: after a reconnect
        the host may rightly acknowledge reports that an earlier session sent, and this one does not
        know which those were. A bound by session needs acknowledgements that name their session and
        prove their sender; it comes together with the changes of the host.
        """
        if through >= self.next_batch:
            return False
        if through > self.confirmed:
            self._advance(through, now_s)
        self._mend_hole(now_s)
        return True

    def evicted(self, lowest: int, now_s: float) -> bool:
        """The outbox has evicted everything below ``lowest``. True if that was not known."""
        if lowest <= self.head:
            return False
        self._advance(min(lowest, self.next_batch) - 1, now_s)
        return True

    def _advance(self, through: int, now_s: float) -> None:
        self.confirmed = through
        self.unsent.remove(0, through)
        self._progress_s = now_s
        self._retry_s = FIRST_RETRY_S
        while self._live and self._live[0][0] <= through:
            self._live.popleft()
        sent_s = None
        while self._flights and self._flights[0].last <= through:
            flight = self._flights.popleft()
            self._under_way -= flight.samples
            sent_s = flight.sent_s
        if sent_s is not None:
            self._adapt(now_s - sent_s, sent_s, now_s)

    def _adapt(self, latency_s: float, sent_s: float, now_s: float) -> None:
        self._latency_s = 0.8 * self._latency_s + 0.2 * latency_s
        if sent_s < self._adapted_s:
            return  # it was sent under an earlier window and says nothing about this one
        if latency_s < FAST_S:
            growth = min(MOST_GROWTH, max(LEAST_GROWTH, FAST_S / max(latency_s, 0.01)))
            self.window = min(MAX_WINDOW, self.window * growth)
        elif latency_s > SLOW_S:
            self.window = max(MIN_WINDOW, self.window * 0.7)
        else:
            return
        self._adapted_s = now_s

    # -- loss ----------------------------------------------------------------------------------

    def tick(self, now_s: float) -> None:
        """Send again what was not confirmed in time."""
        if self.is_waiting and now_s - self._progress_s >= self._retry_s:
            self._send_again(now_s)
            self.window = max(MIN_WINDOW, self.window / 4)
            self._retry_s = min(MAX_RETRY_S, self._retry_s * 2)

    def _mend_hole(self, now_s: float) -> None:
        """Send again what a confirmation left out although it was sent long ago."""
        head = self.head
        if head >= self.next_batch or head in self.unsent:
            return
        patience = max(_CERTAIN_S, 4 * self._latency_s)
        if self._resent_through >= head and now_s - self._progress_s < patience:
            return
        if self._resent_through == head - 1 and self._chunk > 1:
            self._send_again(now_s)
            return
        sent_s = self._sent_s(head)
        if sent_s is None or now_s - sent_s >= patience:
            self._send_again(now_s)

    def _sent_s(self, batch: int) -> float | None:
        for flight in self._flights:
            if flight.first <= batch <= flight.last:
                return flight.sent_s
        for number, sent_s in self._live:
            if number >= batch:
                return sent_s if number == batch else None
        return None

    def _send_again(self, now_s: float) -> None:
        head = self.head
        for flight in self._flights:
            self.unsent.add(max(flight.first, head), flight.last)
        self._flights.clear()
        self._under_way = 0
        # One report first. If the hole continues behind it, twice the number each time.
        self._chunk = self._chunk * 2 if self._resent_through == head - 1 else 1
        last = min(head + self._chunk - 1, self.next_batch - 1)
        self.unsent.add(head, last)
        self._resent_through = last
        self._progress_s = now_s
        self.retries += 1
