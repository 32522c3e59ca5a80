"""Reads a device that sends by itself."""

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from device_profiles.streams import StreamDecoder, decoder
from edge_agent.acquisition.bus_connection import BusObserver, keep_open, open_line
from edge_agent.acquisition.bus_counters import DeviceCounters, RecurringProblem
from edge_agent.acquisition.lines.line import BusLost
from edge_agent.clock import distinct
from edge_agent.devices import Bus, Device
from telemetry.samples import Sample

QUIET_S = 15.0
"""Without a frame for this time, one time-out is counted."""
QUIET_EVENTS_S = 6 * 3600.0
"""The same for a sensor that sends only when something passes: at night that may take hours."""
QUIET_GAPS = 3.0
"""A stream with longer pauses is silent after this many of its usual pauses."""
REOPEN_AFTER = 4
"""Time-outs in a row after which the port is opened again."""

_log = structlog.get_logger()


class StreamBus:
    """Takes the frames of the only device on its bus as they arrive."""

    def __init__(
        self,
        bus: Bus,
        counters: DeviceCounters,
        observer: BusObserver,
        clock: Callable[[float], int],
    ) -> None:
        self._bus = bus
        self._device: Device = bus.devices[0]
        self._counters = counters
        self._observer = observer
        self._clock = clock
        self._problem = RecurringProblem()
        self._stamper = Stamper()
        self._heard_s: float | None = None
        self._usual_gap_s = self._device.interval_ms / 1000

    async def run(self) -> None:
        """Work until cancelled."""
        counters = {self._device.name: self._counters}
        await keep_open(self._bus, counters, self._connect_and_listen, self._lost)

    async def _connect_and_listen(self) -> None:
        listener = Listener(self._device, self._clock)
        line = await open_line(self._bus, listener)
        _log.info("bus_open", bus=self._bus.name, where=self._bus.where)
        try:
            settings = self._device.profile.stream
            for start in settings.start:
                line.send(start)
            if sends_on_events(self._device):
                self._observer.online(self._device)  # its silence is no sign of a fault
            async with asyncio.TaskGroup() as tasks:
                if settings.request is not None:
                    request, every_s = settings.request, (settings.interval_ms or 1000) / 1000
                    tasks.create_task(_ask_every(line.send, request, every_s))
                tasks.create_task(self._listen(listener))
        except* BusLost as group:
            raise group.exceptions[0] from None
        finally:
            line.close()

    async def _listen(self, listener: "Listener") -> None:
        quiet_times = 0
        while True:
            quiet_s = self._quiet_s()
            samples = await listener.next(quiet_s)
            self._count(listener)
            if samples:
                quiet_times = 0
                self._heard()
                await self._observer.take(self._device, self._stamper.stamp(samples))
            elif not listener.alive:
                quiet_times += 1
                self._quiet(quiet_s)
                if quiet_times >= REOPEN_AFTER:
                    raise BusLost(f"{self._bus.where}: silent; opening it again")
            else:
                self._heard()

    def _count(self, listener: "Listener") -> None:
        frames, resyncs, checksum_errors = listener.take_counts()
        self._counters.add("polls", frames)
        self._counters.add("answers", frames)
        self._counters.add("resyncs", resyncs)
        self._counters.add("crc_errors", checksum_errors)

    def _quiet_s(self) -> float:
        least_s = QUIET_EVENTS_S if sends_on_events(self._device) else QUIET_S
        return max(least_s, QUIET_GAPS * self._usual_gap_s)

    def _heard(self) -> None:
        now_s = time.monotonic()
        if self._heard_s is not None:
            self._usual_gap_s += 0.3 * (now_s - self._heard_s - self._usual_gap_s)
        self._heard_s = now_s
        self._observer.online(self._device)
        if self._problem.ends():
            _log.info("device_answering", bus=self._bus.name, device=self._device.name)

    def _quiet(self, quiet_s: float) -> None:
        why = f"no frame for {quiet_s:g} s"
        self._counters.add("timeouts")
        self._counters.last_error = why
        self._observer.offline(self._device, why)
        if self._problem.begins(why):
            _log.warning(
                "device_not_answering", bus=self._bus.name, device=self._device.name, problem=why
            )

    def _lost(self, why: str) -> None:
        self._observer.offline(self._device, why)


def sends_on_events(device: Device) -> bool:
    """Whether the device sends only when something happens, such as a radar at a road."""
    profile = device.profile
    return profile.is_stream and profile.domain == "traffic" and profile.stream.request is None


async def _ask_every(send: Callable[[bytes], None], request: bytes, every_s: float) -> None:
    while True:
        send(request)
        await asyncio.sleep(every_s)


class Listener:
    """The receiver of the line of a stream: bytes in, samples out."""

    def __init__(self, device: Device, clock: Callable[[float], int]) -> None:
        self._decoder: StreamDecoder = decoder(device.profile, canonical=True)
        self._clock = clock
        self._samples: list[Sample] = []
        self._arrived = asyncio.Event()
        self._why: str | None = None
        self._counted = (0, 0, 0)
        self._frames_seen = 0
        self.heard = False
        """Whether any byte has arrived."""
        self.alive = False
        """Whether a frame arrived during the last wait, even one without samples."""

    def on_data(self, data: bytes) -> None:
        """Bytes from the line."""
        self.heard = True
        samples = self._decoder.feed(data, self._clock(time.monotonic()))
        if samples:
            self._samples += samples
            self._arrived.set()

    def on_lost(self, why: str) -> None:
        """The line is gone."""
        self._why = why
        self._arrived.set()

    async def next(self, within_s: float) -> list[Sample]:
        """The samples that have arrived, after at most ``within_s``. Raises BusLost."""
        try:
            async with asyncio.timeout(within_s):
                await self._arrived.wait()
        except TimeoutError:
            pass
        else:
            if self._why is None:
                self._arrived.clear()
        samples, self._samples = self._samples, []
        if self._why is not None and not samples:
            raise BusLost(self._why)
        self.alive = self._decoder.frames > self._frames_seen
        self._frames_seen = self._decoder.frames
        return samples

    def take_counts(self) -> tuple[int, int, int]:
        """Good frames, resynchronisations and wrong checksums since the last call."""
        now = (self._decoder.frames, self._decoder.resyncs, self._decoder.checksum_errors)
        frames, resyncs, checksum_errors = (a - b for a, b in zip(now, self._counted, strict=True))
        self._counted = now
        return frames, resyncs, checksum_errors


class Stamper:
    """Gives the samples of a metric strictly increasing times."""

    def __init__(self) -> None:
        self._last_ms: dict[str, int] = {}

    def stamp(self, samples: Sequence[Sample]) -> tuple[Sample, ...]:
        """The samples, each later than the sample of the same metric before it."""
        stamped = []
        for sample in samples:
            time_ms = distinct(sample.time_ms, self._last_ms.get(sample.metric, 0))
            self._last_ms[sample.metric] = time_ms
            if time_ms != sample.time_ms:
                sample = Sample(sample.metric, time_ms, sample.value, sample.flag)  # noqa: PLW2901  # the same with its own time
            stamped.append(sample)
        return tuple(stamped)
