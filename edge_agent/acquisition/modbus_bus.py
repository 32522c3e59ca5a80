"""Runs a Modbus bus: opens it and reads each device when its turn comes."""

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog

from edge_agent.acquisition.bus_connection import BusObserver, keep_open, open_line
from edge_agent.acquisition.bus_counters import RecurringProblem
from edge_agent.acquisition.lines.line import BusLost
from edge_agent.acquisition.modbus.client import Client, ReplyMatcher
from edge_agent.acquisition.modbus.outcomes import LineEvent
from edge_agent.acquisition.modbus.poller import Poll, Poller, TurnResult
from edge_agent.acquisition.modbus.rtu_framer import RtuFramer
from edge_agent.acquisition.modbus.tcp_reply_matcher import TcpReplyMatcher
from edge_agent.acquisition.phase_spread import Task
from edge_agent.acquisition.schedule import Schedule
from edge_agent.devices import Bus, Device

OFFLINE_AFTER = 3
"""Silent turns in a row after which a device is offline."""

_log = structlog.get_logger()


class ModbusBus:
    """Reads the Modbus devices of one bus, each at its own interval."""

    def __init__(
        self,
        bus: Bus,
        pollers: Mapping[str, Poller],
        observer: BusObserver,
    ) -> None:
        self._bus = bus
        self._pollers = pollers
        self._observer = observer
        self._counters = {name: p.counters for name, p in pollers.items()}
        self._by_unit = {d.unit: self._counters[d.name] for d in bus.devices}
        self._problems = {name: RecurringProblem() for name in pollers}
        self._silent = dict.fromkeys(pollers, 0)
        self._failed_turns = 0
        self._reconnecting = False
        self._began_s = time.monotonic()
        self._busy_s = 0.0
        self.schedule = Schedule(
            [self._task(d) for d in bus.devices], asyncio.get_running_loop().time()
        )

    async def run(self) -> None:
        """Work until cancelled."""
        await keep_open(self._bus, self._counters, self._connect_and_poll, self._lost)

    @property
    def busy(self) -> float:
        """The share of the time that the bus was in use since it was started."""
        return self._busy_s / max(time.monotonic() - self._began_s, 0.001)

    def _task(self, device: Device) -> Task:
        timing = self._bus.timing
        reads = self._pollers[device.name].reads
        cost_s = sum((timing.read_s(r) if timing else 0.002) + device.pause_s for r in reads)
        timeout_ms = device.timeout_s * 1000
        return Task(device.name, device.interval_ms, cost_s * 1000, timeout_ms)

    def _note(self, event: LineEvent, unit: int) -> None:
        counters = self._by_unit.get(unit)
        if counters is not None:
            counters.add(event.value)

    async def _connect_and_poll(self) -> None:
        client = make_client(self._bus, self._note)
        line = await open_line(self._bus, client)
        client.attach(line)
        self._failed_turns = 0
        if not self._reconnecting:
            self.schedule.reset_back_off()
        self._reconnecting = False
        _log.info("bus_open", bus=self._bus.name, where=self._bus.where)
        try:
            await self._poll_for_ever(client)
        finally:
            line.close()

    async def _poll_for_ever(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        while True:
            turn = self.schedule.next(loop.time())
            wait_s = turn.due_s - loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            poller = self._pollers[turn.name]
            began_s = loop.time()
            poll = await poller.poll(client, self._patience_s(poller, 0))
            ended_s = loop.time()
            self._busy_s += ended_s - began_s
            if poll.result is not TurnResult.LOST:
                self._settle(poller, poll, ended_s)
            if poll.samples:
                await self._observer.take(poller.device, poll.samples)
            if poll.result is TurnResult.LOST:
                raise BusLost(poll.error)
            self._check_connection()

    def _patience_s(self, poller: Poller, more_failures: int) -> float:
        failures = self.schedule.failures(poller.device.name) + more_failures
        if failures < 2:
            return poller.device.timeout_s
        return poller.probe_s(failures, max(p.slowest_s for p in self._pollers.values()))

    def _settle(self, poller: Poller, poll: Poll, now_s: float) -> None:
        name = poller.device.name
        if poll.error is not None:
            poller.counters.last_error = poll.error
        if poll.result is TurnResult.BUSY:
            self.schedule.busy(name, now_s)
        elif poll.result is TurnResult.SILENT:
            self._failed(poller, poll, now_s)
            return
        else:
            self.schedule.succeeded(name, now_s)
        if poll.result is TurnResult.DAMAGED:
            self._failed(poller, poll, now_s, back_off=False)
            return
        self._failed_turns = 0
        self._answered(poller, poll)

    def _answered(self, poller: Poller, poll: Poll) -> None:
        name = poller.device.name
        self._silent[name] = 0
        self._observer.online(poller.device)
        recurring = self._problems[name]
        if poll.error is None and not recurring.times:
            return
        log = _log.bind(bus=self._bus.name, device=name, unit=poller.device.unit)
        if poll.error is None:
            log.info("device_answering", after_failures=recurring.ends())
        elif recurring.begins(poll.error):
            log.warning("device_refuses", problem=poll.error)

    def _failed(self, poller: Poller, poll: Poll, now_s: float, *, back_off: bool = True) -> None:
        name = poller.device.name
        self._silent[name] += 1
        self._failed_turns += 1
        if back_off:
            self.schedule.failed(name, now_s, self._patience_s(poller, 1))
        error = poll.error or "no answer"
        if self._problems[name].begins(error):
            _log.warning(
                "device_not_answering", bus=self._bus.name, device=name,
                unit=poller.device.unit, problem=error,
            )  # fmt: skip
        if self._silent[name] >= OFFLINE_AFTER:
            self._observer.offline(poller.device, error)

    def _check_connection(self) -> None:
        """End a TCP connection on which nobody answers: it may be dead, and a new one costs little."""
        if self._bus.tcp is not None and self._failed_turns > max(2, len(self._pollers)):
            self._reconnecting = True
            raise BusLost(f"{self._bus.where}: nobody answers; connecting again")

    def _lost(self, why: str) -> None:
        for poller in self._pollers.values():
            self._observer.offline(poller.device, why)


def make_client(bus: Bus, note: Callable[[LineEvent, int], None]) -> Client:
    """A client for the framing of this bus."""
    rtu = bus.tcp is None or bus.tcp.framing == "rtu"
    matcher: ReplyMatcher = RtuFramer(note) if rtu else TcpReplyMatcher(note)
    return Client(matcher, bus.timing)
