"""Asks one question at a time on a line and waits for its answer."""

import asyncio
from dataclasses import dataclass

from edge_agent.bus.line import BusLost, Line
from edge_agent.modbus.guard import Answer, Confused, Guard, Outcome, Refusal, probe_for
from edge_agent.modbus.requests import Request
from edge_agent.modbus.timing import LineTiming

QUIET_S = 0.1
"""After bytes that make no answer, so much silence ends the wait (USB adapters pause 16 ms)."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came of one request. ``outcome`` None: no answer in time.

    ``damaged`` says that something came that could not be read. ``sent_s`` and ``received_s`` are
    times of ``time.monotonic()``.
    """

    outcome: Answer | Refusal | None
    sent_s: float
    received_s: float
    damaged: bool = False

    @property
    def middle_s(self) -> float:
        """The middle of the transaction: the time of what was read."""
        return (self.sent_s + self.received_s) / 2


class Client:
    """The receiver of a line and the only one that sends on it.

    ``timing`` is that of a serial line; None for TCP, where frames need no silence between them.
    """

    def __init__(self, guard: Guard, timing: LineTiming | None) -> None:
        self._guard = guard
        self._timing = timing
        self._gap_s = timing.gap_s if timing else 0.0
        self._loop = asyncio.get_running_loop()
        self._line: Line | None = None
        self._lost: str | None = None
        self._waiter: asyncio.Future[Outcome | None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._free_s = 0.0
        self._heard_s = 0.0

    def attach(self, line: Line) -> None:
        """Use ``line`` from now on."""
        self._line, self._lost = line, None

    def on_data(self, data: bytes) -> None:
        """Bytes from the line."""
        now = self._heard_s = self._loop.time()
        outcome = self._guard.feed(data, now)
        if self._waiter is None or self._waiter.done():
            return
        if outcome is not None:
            self._waiter.set_result(outcome)
        elif self._guard.incomplete and self._timing is not None:
            self._wait_until(now + QUIET_S + 20 * self._timing.character_s, no_later=True)

    def on_lost(self, why: str) -> None:
        """The line is gone."""
        self._lost = why
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(BusLost(why))

    async def ask(self, request: Request, timeout_s: float, pause_s: float = 0.0) -> Exchange:
        """Send ``request`` and wait for its answer at most ``timeout_s`` beyond the wire's time.

        ``pause_s`` is the silence that the device needs before it is spoken to. Where a late reply
        to an earlier request could be mistaken, a probe of another length goes first. Raises
        BusLost.
        """
        if self._guard.ambiguous(request, self._loop.time()):
            probe = probe_for(request)
            if probe is not None:
                first = await self._ask(probe, timeout_s, pause_s)
                if not isinstance(first.outcome, Answer):
                    return first
        return await self._ask(request, timeout_s, pause_s)

    async def _ask(self, request: Request, timeout_s: float, pause_s: float) -> Exchange:
        if self._line is None or self._lost is not None:
            raise BusLost(self._lost or "the line is not open")
        wait = self._free_s + max(pause_s - self._gap_s, 0.0) - self._loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        self._waiter = self._loop.create_future()
        frame = self._guard.ask(request)
        sent_s = self._heard_s = self._loop.time()
        self._line.send(frame)
        self._limit_s = sent_s + timeout_s + self._wire_s(request, frame)
        self._wait_until(self._limit_s)
        try:
            outcome = await self._waiter
        finally:
            self._waiter = None
            if self._deadline is not None:
                self._deadline.cancel()
        received_s = self._loop.time()
        self._free_s = received_s + self._gap_s
        if isinstance(outcome, Confused):
            raise BusLost("the reply stream makes no sense; connecting anew")
        damaged = outcome is None and self._guard.incomplete
        if outcome is None:
            self._guard.give_up(received_s)
        return Exchange(outcome, sent_s, received_s, damaged)

    def _wire_s(self, request: Request, frame: bytes) -> float:
        if self._timing is None:
            return 0.0
        characters = len(frame) + (request.reply_length or 64) + 3
        return characters * self._timing.character_s + self._gap_s

    def _wait_until(self, at_s: float, *, no_later: bool = False) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        limit = min(at_s, self._limit_s) if no_later else at_s
        self._deadline = self._loop.call_at(limit, self._expire)

    def _expire(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
