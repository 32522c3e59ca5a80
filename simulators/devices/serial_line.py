"""Modbus devices on one serial line, connected by a pseudo-terminal."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from simulators.clock import SimulationClock
from simulators.devices.line import LineSettings, transmit
from simulators.devices.modbus_unit import ModbusUnit
from simulators.devices.pseudo_terminal import PseudoTerminal
from simulators.faults.answers import rtu_answer
from simulators.faults.plan import OF_ANSWERS, FaultPlan
from simulators.truth import AnsweredValue
from simulators.wire.rtu import RtuListener, RtuRequest
from telemetry.time.clock import utc_now_ms

_log = structlog.get_logger()

OnAnswered = Callable[[list[AnsweredValue]], None]


@dataclass(slots=True)
class LineCounters:
    """Counters of a line: what was asked, answered, sent, damaged on purpose and not understood."""

    requests: int = 0
    answers: int = 0
    damaged: int = 0
    refused: int = 0
    not_understood: int = 0
    frames: int = 0


@dataclass(slots=True)
class LineUnit:
    """A unit on a line: series prefix, registers, faults and response time."""

    series: str
    unit: ModbusUnit
    faults: FaultPlan
    turnaround_s: float = 0.01
    turn: int = 0
    last_frame: bytes = b""
    counters: LineCounters = field(default_factory=LineCounters)

    def answered_values(self, pdu: bytes, now_ms: int) -> list[AnsweredValue]:
        """The values in a correct answer to a request."""
        wall = utc_now_ms()
        return [
            AnsweredValue(f"{self.series}/{name}", wall, self.unit.answered.get(name), now_ms)
            for name in self.unit.metrics_in(pdu)
        ]


class SerialLine:
    """Receives requests and sends the answers of the addressed units at the rate of the line.

    Requests from a port with another baud rate are ignored, as on a real line.
    """

    def __init__(
        self,
        port: PseudoTerminal,
        settings: LineSettings,
        units: Mapping[int, LineUnit],
        clock: SimulationClock,
        on_answered: OnAnswered | None = None,
    ) -> None:
        self.port = port
        port.received = self.received
        self.settings = settings
        self.units = units
        self.counters = LineCounters()
        self._clock = clock
        self._on_answered = on_answered
        # the bytes of a request arrive together here: programs write whole frames
        self._listener = RtuListener(max(settings.silence_s, 0.005))
        self._requests: asyncio.Queue[RtuRequest] = asyncio.Queue()
        self._wrong_rate: int | None = None

    def received(self, data: bytes) -> None:
        """Accept bytes from the other end."""
        if not self._rate_is_right():
            self.counters.not_understood += 1
            return
        before = self._listener.bad_frames
        for request in self._listener.feed(data, time.monotonic()):
            self._requests.put_nowait(request)
        self.counters.not_understood += self._listener.bad_frames - before

    async def run(self) -> None:
        """Answer until cancelled."""
        self.port.plug_in()
        try:
            while True:
                await self._answer(await self._next())
        finally:
            self.port.unplug()

    async def _next(self) -> RtuRequest:
        while True:
            try:
                return await asyncio.wait_for(self._requests.get(), 1.0)
            except TimeoutError:
                for request in self._listener.flush(time.monotonic()):
                    self._requests.put_nowait(request)

    async def _answer(self, request: RtuRequest) -> None:
        self.counters.requests += 1
        here = self.units.get(request.unit)
        if here is None:
            for each in self.units.values() if request.unit == 0 else ():
                each.unit.answer(request.pdu, self._clock.now_ms())  # a broadcast has no answer
            return
        # the request also took time on the line
        await asyncio.sleep((len(request.pdu) + 3) * self.settings.byte_s + here.turnaround_s)
        now = self._clock.now_ms()
        pdu = here.unit.answer(request.pdu, now)
        if pdu is None:
            return
        answered = here.answered_values(request.pdu, now) if pdu[0] < 0x80 else []
        here.turn += 1
        faults = here.faults.active(OF_ANSWERS, now, here.turn) if here.faults else []
        out = rtu_answer(request.unit, request.pdu, pdu, here.last_frame, faults, here.turn)
        if out is None:
            return
        await asyncio.sleep(out.delay_s)
        await transmit(self.port, self.settings, out.data)
        self.counters.answers += 1
        self.counters.refused += pdu[0] >= 0x80
        self.counters.damaged += not out.good
        if out.good:
            here.last_frame = out.data
            if self._on_answered is not None:
                self._on_answered(answered)

    def _rate_is_right(self) -> bool:
        rate = self.port.baudrate()
        if rate is None or rate == self.settings.baudrate:
            self._wrong_rate = None
            return True
        if rate != self._wrong_rate:
            self._wrong_rate = rate
            _log.warning(
                "wrong_baudrate",
                port=str(self.port.link), rate=rate, line=self.settings.baudrate,
            )  # fmt: skip
        return False
