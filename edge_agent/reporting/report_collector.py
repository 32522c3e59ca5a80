"""Collects the samples of all devices and puts them into the outbox, many in one commit."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from edge_agent.acquisition.bus_counters import RecurringProblem
from edge_agent.outbox import Outbox, OutboxError, Report
from telemetry.samples import Sample

GATHER_S = 0.05
"""Reports that arrive within this time share a commit."""
MAX_PENDING = 20_000
"""With more samples than this not yet in the outbox, the buses wait: memory stays bounded."""
RETRY_S = 2.0
_LARGEST_REPORT = 1000

_log = structlog.get_logger()


class ReportCollector:
    """Puts reports into the outbox. Runs in the event loop; the outbox has its own thread."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._pending: list[Report] = []
        self._entries: dict[str, str] = {}
        self._samples = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._problem = RecurringProblem()

    async def put(
        self, device: str, samples: Sequence[Sample], entries: Mapping[str, str] | None = None
    ) -> None:
        """Hand over samples of a device. Waits while too many are pending.

        ``entries`` are texts that become durable together with them (``Outbox.entries``).
        """
        if entries:
            self._entries.update(entries)
        elif not samples:
            return
        if 0 < len(samples) <= _LARGEST_REPORT:
            self._pending.append(Report(device, samples))
        else:
            for start in range(0, len(samples), _LARGEST_REPORT):
                part = samples[start : start + _LARGEST_REPORT]
                self._pending.append(Report(device, part))
        self._samples += len(samples)
        self._empty.clear()
        self._arrived.set()
        if self._samples > MAX_PENDING:
            self._room.clear()
        if not self._room.is_set():
            await self._room.wait()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(GATHER_S)
            self._arrived.clear()
            reports, self._pending = self._pending, []
            entries, self._entries = self._entries, {}
            count, self._samples = self._samples, 0
            self._room.set()
            try:
                await asyncio.wrap_future(self._outbox.submit(reports, entries))
            except OutboxError as error:
                self._pending = reports + self._pending
                self._entries = entries | self._entries
                self._samples += count
                if self._problem.begins(str(error)):
                    _log.error("outbox_refuses_reports", problem=str(error))
                if self._samples > MAX_PENDING:
                    self._room.clear()
                self._arrived.set()
                await asyncio.sleep(RETRY_S)
                continue
            if self._problem.ends():
                _log.info("outbox_accepts_reports")
            if not self._pending and not self._entries:
                self._empty.set()

    async def written(self) -> None:
        """Wait until everything that was handed over is in the outbox."""
        await self._empty.wait()
