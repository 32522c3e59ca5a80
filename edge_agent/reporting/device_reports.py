"""The reports of all devices: their reporting steps, open windows, and the way to the outbox."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from edge_agent.devices import Device
from edge_agent.reporting.report_collector import ReportCollector
from edge_agent.reporting.reporting_steps import ReportingSteps
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
        self._steps: dict[str, ReportingSteps] = {}

    def add(self, device: Device) -> None:
        """Begin with a device, or go on with a new description of it."""
        known = self._steps.get(device.name)
        window = (
            self._entries().get(_entry_name(device.name))
            if known is None
            else known.open_window(self._now_ms())
        )

        def on_reset(metric: str, before: float, after: float) -> None:
            self._on_reset(device, metric, before, after)

        self._steps[device.name] = ReportingSteps(device, self._totals, on_reset, window)

    def remove(self, device: str) -> None:
        """Forget a device."""
        self._steps.pop(device, None)

    async def take(self, device: str, samples: Sequence[Sample]) -> None:
        """Report readings of a device. Waits while the outbox does not keep up."""
        steps = self._steps[device]
        if steps.passes_unchanged:
            await self._collector.put(device, samples)
        else:
            await self._report(device, steps, steps.take(samples))

    def resume(self, device: str) -> None:
        """The device answers."""
        self._steps[device].resume(self._now_ms())

    def interrupt(self, device: str) -> None:
        """The device no longer answers, or is about to be read by another bus."""
        steps = self._steps.get(device)
        if steps is not None:
            steps.interrupt(self._now_ms())

    async def keep_windows(self) -> None:
        """Make the contents of the open windows durable."""
        now_ms = self._now_ms()
        for device, steps in list(self._steps.items()):
            if self._steps.get(device) is steps:
                await self._collector.put(device, (), _window_entry(device, steps, now_ms))

    async def run(self) -> None:
        """Report windows that have ended, and keep the open ones durable, until cancelled."""
        next_keep_s = time.monotonic() + KEEP_EVERY_S
        while True:
            await asyncio.sleep(_TICK_S)
            now_ms = self._now_ms()
            for device, steps in list(self._steps.items()):
                if self._steps.get(device) is steps:
                    await self._report(device, steps, steps.tick(now_ms))
            if time.monotonic() >= next_keep_s:
                next_keep_s = time.monotonic() + KEEP_EVERY_S
                await self.keep_windows()

    async def _report(self, device: str, steps: ReportingSteps, samples: Sequence[Sample]) -> None:
        """Put reports into the outbox, and with them what the open window then holds."""
        if samples:
            await self._collector.put(device, samples, _window_entry(device, steps, self._now_ms()))


def _entry_name(device: str) -> str:
    return f"window/{device}"


def _window_entry(device: str, steps: ReportingSteps, now_ms: int) -> Mapping[str, str]:
    window = steps.open_window(now_ms)
    return {} if window is None else {_entry_name(device): window}
