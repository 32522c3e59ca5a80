"""A Modbus TCP server with one or many units."""

import asyncio
from collections.abc import Mapping

from simulators.clock import SimulationClock
from simulators.devices.serial_line import LineCounters, LineUnit, OnAnswered
from simulators.faults.answers import tcp_answer
from simulators.faults.plan import OF_ANSWERS
from simulators.wire.functions import ExceptionCode, refuse
from simulators.wire.tcp import TcpFrameError, TcpListener, TcpRequest, tcp_frame


class TcpServer:
    """Listens on ``host:port``; each unit has its own response time, connections are independent."""

    def __init__(
        self,
        host: str,
        port: int,
        units: Mapping[int, LineUnit],
        clock: SimulationClock,
        on_answered: OnAnswered | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.units = units
        self.clock = clock
        self.on_answered = on_answered
        self.counters = LineCounters()
        self.connections: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    @property
    def is_plugged_in(self) -> bool:
        """True if the server is listening."""
        return self._server is not None

    async def plug_in(self) -> None:
        """Listen; port 0 selects a free port, which is kept."""
        if self._server is not None:
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), self.host, self.port, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        """Stop listening and close all connections."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for transport in list(self.connections):
            transport.abort()

    async def run(self) -> None:
        """Serve until cancelled."""
        await self.plug_in()
        try:
            await asyncio.Event().wait()
        finally:
            await self.unplug()


_WHOLE = 12
_PLAIN = b"\x00\x00\x00\x06"


class _Connection(asyncio.Protocol):
    def __init__(self, server: TcpServer) -> None:
        self._server = server
        self._listener = TcpListener()
        self._transport: asyncio.Transport | None = None
        self._later: set[asyncio.TimerHandle] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        for timer in self._later:
            timer.cancel()
        if self._transport is not None:
            self._server.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if len(data) == _WHOLE and data[2:6] == _PLAIN and self._listener.is_empty:
            # fast path: one read request that arrived in one piece
            self._answer(TcpRequest(data[0] << 8 | data[1], data[6], data[7:]))
            return
        try:
            requests = self._listener.feed(data)
        except TcpFrameError:
            self._server.counters.not_understood += 1
            self._transport.close()
            return
        for request in requests:
            self._answer(request)

    def _answer(self, request: TcpRequest) -> None:
        server = self._server
        counters = server.counters
        counters.requests += 1
        here = server.units.get(request.unit)
        if here is None:
            refusal = refuse(request.pdu[0], ExceptionCode.GATEWAY_TARGET)
            self._send(tcp_frame(request.transaction, request.unit, refusal))
            counters.refused += 1
            return
        now = server.clock.now_ms()
        pdu = here.unit.answer(request.pdu, now)
        if pdu is None:
            return
        counters.refused += pdu[0] >= 0x80
        if not here.faults:
            self._send(tcp_frame(request.transaction, request.unit, pdu))
        else:
            here.turn += 1
            faults = here.faults.active(OF_ANSWERS, now, here.turn)
            out = tcp_answer(request.transaction, request.unit, request.pdu, pdu, faults)
            if out is None:
                return
            counters.damaged += not out.good
            if out.delay_s:
                self._send_later(out.delay_s, out.data)
            else:
                self._send(out.data)
            if not out.good:
                return
        counters.answers += 1
        if server.on_answered is not None and pdu[0] < 0x80:
            server.on_answered(here.answered_values(request.pdu, now))

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _send_later(self, delay_s: float, data: bytes) -> None:
        timer = asyncio.get_running_loop().call_later(delay_s, lambda: self._send(data))
        self._later = {t for t in self._later if not t.cancelled() and t.when() > timer.when() - 60}
        self._later.add(timer)
