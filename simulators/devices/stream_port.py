"""A device with a stream protocol: it sends frames by itself or on request."""

import asyncio
from collections.abc import Callable, Mapping

from device_profiles.streams import decoder, encoder
from simulators.clock import SimulationClock
from simulators.devices.instrument import Instrument
from simulators.devices.line import LineSettings, transmit
from simulators.devices.pseudo_terminal import PseudoTerminal
from simulators.devices.serial_line import LineCounters, OnAnswered
from simulators.faults.answers import stream_frames
from simulators.faults.plan import OF_ANSWERS, FaultPlan
from simulators.truth import AnsweredValue
from telemetry.time.clock import utc_now_ms

Moments = Callable[[int], tuple[int, Mapping[str, float]]]
"""For a simulated time: the time of the next frame, and the values of that frame."""


class StreamPort:
    """A device with a stream protocol on a pseudo-terminal, at the rate of the line.

    Frames are sent every ``every_ms`` of simulated time, or at ``moments`` (vehicles at a radar).
    """

    def __init__(
        self,
        port: PseudoTerminal,
        settings: LineSettings,
        series: str,
        instrument: Instrument,
        faults: FaultPlan,
        clock: SimulationClock,
        *,
        every_ms: int = 1000,
        moments: Moments | None = None,
        on_answered: OnAnswered | None = None,
    ) -> None:
        self.port = port
        port.received = self.received
        self.counters = LineCounters()
        self._settings = settings
        self._series = series
        self.instrument = instrument
        self._faults = faults
        self._clock = clock
        self._every_ms = every_ms
        self._moments = moments
        self._on_answered = on_answered
        self._encoder = encoder(instrument.profile)
        self._request = instrument.profile.stream.request
        self._heard = bytearray()
        self._asked = asyncio.Event()
        self._before = b""
        self._turn = 0

    def received(self, data: bytes) -> None:
        """Accept bytes from the other end; all but the request of the device are ignored."""
        self._heard += data
        if self._request and self._request in self._heard:
            self._heard.clear()
            self.counters.requests += 1
            self._asked.set()
        del self._heard[:-64]

    async def run(self) -> None:
        """Send until cancelled."""
        self.port.plug_in()
        try:
            while True:
                values = await self._next()
                await self._send(values)
        finally:
            self.port.unplug()

    async def _next(self) -> Mapping[str, float]:
        if self._request:
            await self._asked.wait()
            self._asked.clear()
            return {}
        now = self._clock.now_ms()
        if self._moments is not None:
            moment, values = self._moments(now)
        else:
            moment, values = (now // self._every_ms + 1) * self._every_ms, {}
        await asyncio.sleep(max(self._clock.wall_s(moment - now), 0.0))
        return values

    async def _send(self, values: Mapping[str, float]) -> None:
        now = self._clock.now_ms()
        shown = values or self.instrument.readings(now)
        if all(v is None for v in shown.values()):
            return
        frame = self._encoder.encode(shown)
        self._turn += 1
        faults = self._faults.active(OF_ANSWERS, now, self._turn) if self._faults else []
        out = stream_frames(frame, self._before, faults, self._turn)
        if out is None:
            return
        await asyncio.sleep(out.delay_s)
        await transmit(self.port, self._settings, out.data)
        self._before = frame
        self.counters.frames += 1
        self.counters.damaged += not out.good
        if out.good and self._on_answered is not None and self.port.is_plugged_in:
            self._on_answered(self._values_of(frame, now))

    def _values_of(self, frame: bytes, now: int) -> list[AnsweredValue]:
        wall = utc_now_ms()
        samples = decoder(self.instrument.profile, canonical=True).feed(frame, wall)
        return [AnsweredValue(f"{self._series}/{s.metric}", wall, s.value, now) for s in samples]
