"""Opens a bus, opens it again when it is lost, and reports its devices to an observer."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import structlog

from edge_agent.acquisition.bus_counters import DeviceCounters, RecurringProblem
from edge_agent.acquisition.lines.line import BusLost, BusUnavailable, Line, LineReceiver
from edge_agent.acquisition.lines.serial_line import open_serial
from edge_agent.acquisition.lines.tcp_line import open_tcp
from edge_agent.devices import Bus, Device
from telemetry.samples import Sample

REOPEN_FIRST_S = 0.5
REOPEN_CAP_S = 5.0

_log = structlog.get_logger()


class BusObserver(Protocol):
    """Is called by a bus with the readings and states of its devices: the agent."""

    def online(self, device: Device) -> None:
        """The device has answered."""

    def offline(self, device: Device, why: str) -> None:
        """The device has not answered for several turns, or its bus is lost."""

    async def take(self, device: Device, samples: Sequence[Sample]) -> None:
        """The device has given readings. Returns when more can be taken."""


async def open_line(bus: Bus, receiver: LineReceiver) -> Line:
    """Open a bus. Raises BusUnavailable."""
    if bus.serial is not None:
        return await open_serial(bus.serial, receiver)
    assert bus.tcp is not None  # a bus has one of the two
    return await open_tcp(bus.tcp.host, bus.tcp.port, receiver)


async def keep_open(
    bus: Bus,
    counters: Mapping[str, DeviceCounters],
    work: Callable[[], Awaitable[None]],
    lost: Callable[[str], None],
) -> None:
    """Call ``work``, which opens the bus and works on it, again each time the bus is lost."""
    log = _log.bind(bus=bus.name, where=bus.where)
    recurring, rest_s = RecurringProblem(), REOPEN_FIRST_S
    while True:
        began_s = time.monotonic()
        try:
            await work()
        except (BusUnavailable, BusLost) as error:
            for counter in counters.values():
                counter.add("bus_errors")
                counter.last_error = str(error)
            lost(str(error))
            if time.monotonic() - began_s > 2 * REOPEN_CAP_S:
                recurring.ends()
                rest_s = REOPEN_FIRST_S
            if recurring.begins(str(error)):
                log.warning("bus_unavailable", problem=str(error))
        await asyncio.sleep(rest_s)
        rest_s = min(2 * rest_s, REOPEN_CAP_S)
