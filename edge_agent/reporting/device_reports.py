"""The reports of all devices: each device's chain, its open window, and their way to the outbox."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from edge_agent.devices import Device
from edge_agent.reporting.chain import Chain
from edge_agent.reporting.report_collector import ReportCollector
from telemetry.samples import Sample

KEEP_EVERY_S = 10.0
"""How much of an open window a power cut may cost."""
_TICK_S = 1.0

OnReset = Callable[[Device, str, float, float], None]


class DeviceReports:
    """Turns readings into reports, device by device.

    Devices come and go while reports wait for the outbox (a reload), so no method relies on a
    device that was there before it waited. ``totals`` holds the states of counters, ``on_reset``
    is called with device, metric, last value and new value. ``entries`` are those of the outbox: among them the open windows that a restart
    has cut.
    """

    def __init__(
        self,
        collector: ReportCollector,
        totals: dict[str, object],
        on_reset: OnReset,
        now_ms: Callable[[], int],
        entries: Callable[[], Mapping[str, str]],
    ) -> None:
        self._collector = collector
        self._totals = totals
        self._on_reset = on_reset
        self._now_ms = now_ms
        self._entries = entries
        self._chains: dict[str, Chain] = {}

    def add(self, device: Device) -> None:
        """Begin with a device, or go on with a new description of it."""
        known = self._chains.get(device.name)
        window = (
            self._entries().get(_entry_name(device.name))
            if known is None
            else known.window(self._now_ms())
        )

        def on_reset(metric: str, before: float, after: float) -> None:
            self._on_reset(device, metric, before, after)

        self._chains[device.name] = Chain(device, self._totals, on_reset, window)

    def remove(self, device: str) -> None:
        """Forget a device."""
        self._chains.pop(device, None)

    async def take(self, device: str, samples: Sequence[Sample]) -> None:
        """Report readings of a device. Waits while the outbox does not keep up."""
        chain = self._chains[device]
        if chain.is_plain:
            await self._collector.put(device, samples)
        else:
            await self._report(device, chain, chain.take(samples))

    def resume(self, device: str) -> None:
        """The device answers."""
        self._chains[device].resume(self._now_ms())

    def interrupt(self, device: str) -> None:
        """The device no longer answers, or is about to be read by another bus."""
        chain = self._chains.get(device)
        if chain is not None:
            chain.interrupt(self._now_ms())

    async def keep_windows(self) -> None:
        """Make the contents of the open windows durable."""
        now_ms = self._now_ms()
        for device, chain in list(self._chains.items()):
            if self._chains.get(device) is chain:
                await self._collector.put(device, (), _window_entry(device, chain, now_ms))

    async def run(self) -> None:
        """Report windows that have ended, and keep the open ones durable, until cancelled."""
        next_keep_s = time.monotonic() + KEEP_EVERY_S
        while True:
            await asyncio.sleep(_TICK_S)
            now_ms = self._now_ms()
            for device, chain in list(self._chains.items()):
                if self._chains.get(device) is chain:
                    await self._report(device, chain, chain.tick(now_ms))
            if time.monotonic() >= next_keep_s:
                next_keep_s = time.monotonic() + KEEP_EVERY_S
                await self.keep_windows()

    async def _report(self, device: str, chain: Chain, samples: Sequence[Sample]) -> None:
        """Put reports into the outbox, and with them what the open window then holds."""
        if samples:
            await self._collector.put(device, samples, _window_entry(device, chain, self._now_ms()))


def _entry_name(device: str) -> str:
    return f"window/{device}"


def _window_entry(device: str, chain: Chain, now_ms: int) -> Mapping[str, str]:
    window = chain.window(now_ms)
    return {} if window is None else {_entry_name(device): window}
