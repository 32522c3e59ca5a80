"""Sends one request at a time on a line and waits for its answer."""

import asyncio
from dataclasses import dataclass

from edge_agent.acquisition.lines.line import BusLost, Line
from edge_agent.acquisition.modbus.outcomes import Answer, Confused, Outcome, Refusal
from edge_agent.acquisition.modbus.requests import Request
from edge_agent.acquisition.modbus.rtu_framer import RtuFramer
from edge_agent.acquisition.modbus.tcp_reply_matcher import TcpReplyMatcher
from edge_agent.acquisition.modbus.timing import LineTiming

ReplyMatcher = RtuFramer | TcpReplyMatcher

QUIET_S = 0.1
"""After bytes that are no answer, this silence ends the wait (USB adapters pause 16 ms)."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """The result of one request. ``outcome`` None: no answer in time.

    ``damaged``: something arrived that could not be read. ``sent_s`` and ``received_s`` are times of
    ``time.monotonic()``.
    """

    outcome: Answer | Refusal | None
    sent_s: float
    received_s: float
    damaged: bool = False

    @property
    def middle_s(self) -> float:
        """The middle of the transaction: the time of the values."""
        return (self.sent_s + self.received_s) / 2


def _is_settled(outcome: Outcome | None) -> bool:
    """Whether no late reply to an older request can follow this outcome."""
    return isinstance(outcome, Answer) or (isinstance(outcome, Refusal) and outcome.certain)


class Client:
    """The receiver of a line, and the only sender on it.

    ``timing`` is that of a serial line; None for TCP, where frames need no silence between them.
    """

    def __init__(self, matcher: ReplyMatcher, timing: LineTiming | None) -> None:
        self._matcher = matcher
        self._timing = timing
        self._gap_s = timing.gap_s if timing else 0.0
        self._loop = asyncio.get_running_loop()
        self._line: Line | None = None
        self._lost: str | None = None
        self._waiter: asyncio.Future[Outcome | None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._limit_s = self._until_s = 0.0
        self._free_s = 0.0

    def attach(self, line: Line) -> None:
        """Use ``line`` from now on."""
        self._line, self._lost = line, None

    def on_data(self, data: bytes) -> None:
        """Bytes from the line."""
        now = self._loop.time()
        outcome = self._matcher.feed(data, now)
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if outcome is not None:
            waiter.set_result(outcome)
        elif self._timing is not None and self._matcher.incomplete:
            self._wait_until(min(self._limit_s, now + QUIET_S + 20 * self._timing.character_s))

    def on_lost(self, why: str) -> None:
        """The line is gone."""
        self._lost = why
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(BusLost(why))

    async def ask(self, request: Request, timeout_s: float, pause_s: float = 0.0) -> Exchange:
        """Send ``request`` and wait for its answer, at most ``timeout_s`` beyond the time on the wire.

        ``pause_s`` is the silence that the device needs before a request. If a late reply to an
        earlier request could be taken for the answer, a probe of another length goes first. Raises
        BusLost.
        """
        if self._matcher.ambiguous(request, self._loop.time()):
            probe = self._matcher.probe(request, self._loop.time())
            if probe is not None:
                first = await self._ask(probe, timeout_s, pause_s)
                if not _is_settled(first.outcome):
                    return first
        return await self._ask(request, timeout_s, pause_s)

    async def _ask(self, request: Request, timeout_s: float, pause_s: float) -> Exchange:
        loop, matcher = self._loop, self._matcher
        line = self._open_line()
        sent_s = loop.time()
        wait_s = self._free_s + max(pause_s - self._gap_s, 0.0) - sent_s
        if wait_s > 0:
            await asyncio.sleep(wait_s)
            line = self._open_line()
            sent_s = loop.time()
        frame = matcher.ask(request)
        line.send(frame)
        waiter = self._waiter = loop.create_future()
        self._limit_s = sent_s + timeout_s
        if self._timing is not None:
            self._limit_s += self._wire_s(request, frame, self._timing)
        self._wait_until(self._limit_s)
        try:
            outcome = await waiter
        finally:
            self._waiter = None
        received_s = loop.time()
        self._free_s = received_s + self._gap_s
        if outcome is None:
            damaged = matcher.incomplete
            matcher.time_out(received_s)
            return Exchange(None, sent_s, received_s, damaged)
        if isinstance(outcome, Confused):
            self._lost = "the reply stream cannot be read; connecting again"
            raise BusLost(self._lost)
        return Exchange(outcome, sent_s, received_s)

    def _open_line(self) -> Line:
        """The line. Raises BusLost with the reason of the loss."""
        if self._line is None or self._lost is not None:
            raise BusLost(self._lost or "the line is not open")
        return self._line

    def _wire_s(self, request: Request, frame: bytes, timing: LineTiming) -> float:
        characters = len(frame) + (request.reply_length or 64) + 3
        return characters * timing.character_s + self._gap_s

    def _wait_until(self, at_s: float) -> None:
        """Time out at ``at_s``. One timer serves many requests; if it fires early, it is set again."""
        self._until_s = at_s
        timer = self._timer
        if timer is not None:
            if timer.when() <= at_s:
                return
            timer.cancel()
        self._timer = self._loop.call_at(at_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if self._loop.time() >= self._until_s:
            waiter.set_result(None)
        else:
            self._timer = self._loop.call_at(self._until_s, self._ring)
