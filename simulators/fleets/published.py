"""Stations that publish directly to the broker, without buses and edge agents."""

import asyncio
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import numpy as np

from device_profiles import Metric, Profile
from simulators.clock import SimulationClock
from simulators.devices.instrument import Instrument
from simulators.fleets.broker_connection import BrokerConnection
from simulators.fleets.node import Batch, Counts, EdgeNode
from simulators.fleets.payloads import NodeProperties
from simulators.fleets.shape import GatewayShape, ShapeDevice, ShapeMetric
from simulators.fleets.template import DataTemplate
from simulators.scenarios.fleets import PublishModel
from simulators.scenarios.model import Scenario, SimStation
from simulators.signals.randomness import Float64, Int64
from simulators.truth import AnsweredValue, TruthFile
from telemetry.quality import Flag
from telemetry.sparkplug.data_encoder import encode_batch_number, encode_data, encode_sample
from telemetry.sparkplug.protobuf import varint_field
from telemetry.time.clock import utc_now_ms

_TICK_S = 0.02
_RECONNECT_S = 2.0
_STATUS_MS = 2000
_BLOCK_STEPS = 1440
_ENDING = len(varint_field(3, 0))


class PublishedStation:
    """A station as an edge node; each message holds ``per_message`` times of a device."""

    def __init__(
        self,
        scenario: Scenario,
        station: SimStation,
        instruments: Sequence[Instrument],
        model: PublishModel,
        counts: Counts,
        truth: TruthFile | None,
    ) -> None:
        self.instruments = instruments
        self.model = model
        self.done_ms = 0
        self.told_ms = 0
        self._blocks: dict[int, tuple[int, Float64]] = {}
        self._truth = truth
        self._counts = counts
        self._gateway = station.gateway
        self.shape = GatewayShape(tuple(_device(i, model.step) for i in instruments))
        self.node = EdgeNode(
            scenario.group, station.gateway, self.shape, host=scenario.host, acknowledged=True,
            first_batch=utc_now_ms(), counts=counts, limit=1_000_000,
            about=NodeProperties(station.id, station.name, station.latitude, station.longitude),
        )  # fmt: skip
        pairs = list(zip(self.shape.aliases, self.shape.batch_aliases, strict=True))
        self._live = [DataTemplate(a, b, steps=model.per_message) for a, b in pairs]
        self._late = [
            DataTemplate(a, b, steps=model.per_message, historical=True) for a, b in pairs
        ]

    @property
    def span_ms(self) -> int:
        """The simulated time span of a message."""
        return self.model.step * self.model.per_message

    def measure(self, start_ms: int, now_ms: int) -> Iterator[bytes]:
        """The messages of all devices for the span from ``start_ms``."""
        times = start_ms + self.model.step * np.arange(self.model.per_message, dtype=np.int64)
        for device, instrument in enumerate(self.instruments):
            values = self._values(device, start_ms)
            count = int(np.isfinite(values).sum())
            self._counts.measured += count
            self.node.measured += count
            self.node.take_batch(device, start_ms, values.astype("<f8").tobytes(), count)
            batch = self.node.waiting[-1]
            batch.sent_ms = now_ms
            if self._truth is not None:
                self._write_truth(instrument, times, values)
            yield self.node.data(device, self._payload(batch, now_ms, late=False))
        self.done_ms = start_ms + self.span_ms

    def _values(self, device: int, start_ms: int) -> Float64:
        """The values of a message; computed for many messages at once, which is much faster."""
        first_ms, block = self._blocks.get(device, (0, np.empty((0, 0))))
        place = (start_ms - first_ms) // self.model.step
        if not 0 <= place < len(block):
            messages = max(_BLOCK_STEPS // self.model.per_message, 1)
            steps = np.arange(messages * self.model.per_message, dtype=np.int64)
            times = start_ms + self.model.step * steps
            instrument = self.instruments[device]
            columns = [_canonical(instrument, m, times) for m in instrument.profile.metrics]
            place, block = 0, np.stack(columns, axis=1)
            self._blocks[device] = (start_ms, block)
        return block[place : place + self.model.per_message]

    def again(self, now_ms: int, most: int) -> bytes:
        """Repeat reports that were not acknowledged in time."""
        due = self.node.due_for_sending(now_ms, most)
        return b"".join(self.node.data(b.device, self._payload(b, now_ms, late=True)) for b in due)

    def _payload(self, batch: Batch, now_ms: int, *, late: bool) -> bytes:
        steps = self.model.per_message
        values = np.frombuffer(batch.values, dtype="<f8").reshape(1, steps, -1)
        times = batch.time_ms + self.model.step * np.arange(steps, dtype=np.int64)
        if batch.count < values.size:
            return self._with_gaps(batch, now_ms, times, values[0], late=late)
        template = (self._late if late else self._live)[batch.device]
        return template.fill(
            np.array([now_ms]), times[np.newaxis], values, np.array([batch.number])
        )

    def _with_gaps(
        self, batch: Batch, now_ms: int, times: Int64, values: Float64, *, late: bool
    ) -> bytes:
        parts = [
            encode_sample(alias, moment, value, Flag.NOT_EVALUATED, historical=late)
            for moment, row in zip(times.tolist(), values.tolist(), strict=True)
            for alias, value in zip(self.shape.aliases[batch.device], row, strict=True)
            if value == value  # noqa: PLR0124  # not a number: there was no reading
        ]
        closing = self.shape.batch_aliases[batch.device]
        parts.append(encode_batch_number(batch.number, now_ms, alias=closing, historical=late))
        return encode_data(now_ms, 0, b"".join(parts))[:-_ENDING]

    def _write_truth(self, instrument: Instrument, times: Int64, values: Float64) -> None:
        assert self._truth is not None
        names = [m.name for m in instrument.profile.metrics]
        self._truth.write(
            AnsweredValue(f"{instrument.name}/{name}", moment, value, moment)
            for moment, row in zip(times.tolist(), values.tolist(), strict=True)
            for name, value in zip(names, row, strict=True)
            if value == value  # noqa: PLR0124  # as above
        )


class PublishedStations:
    """All stations of a scenario at MQTT level, with ``flat_out`` as fast as the host acknowledges."""

    def __init__(
        self,
        scenario: Scenario,
        stations: Sequence[tuple[SimStation, Sequence[Instrument]]],
        broker: str,
        clock: SimulationClock,
        *,
        flat_out: bool,
        end_ms: int | None,
        truth: TruthFile | None = None,
    ) -> None:
        assert scenario.publish is not None
        self.model = scenario.publish
        self.counts = Counts()
        self.clock = clock
        self.flat_out = flat_out
        self.end_ms = end_ms
        parts = urlsplit(broker)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 1883)
        self.stations = [
            PublishedStation(scenario, s, i, scenario.publish, self.counts, truth)
            for s, i in stations
        ]
        start = clock.start_ms - clock.start_ms % self.model.step
        for station in self.stations:
            station.done_ms = start
        self._links: dict[int, BrokerConnection] = {}

    @property
    def backlog(self) -> int:
        """The number of samples without acknowledgement."""
        return sum(b.count for s in self.stations for b in s.node.waiting)

    @property
    def reached_ms(self) -> int:
        """The time up to which all stations have published."""
        return min(s.done_ms for s in self.stations)

    async def run(self, stopped: asyncio.Event, *, drain_s: float = 60.0) -> None:
        """Publish until the end or ``stopped``, wait for acknowledgements, disconnect."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._keep_connected(i)) for i in range(len(self.stations))]
            while not stopped.is_set() and not self._finished():
                sent = self.advance(utc_now_ms())
                await asyncio.sleep(0 if sent else _TICK_S)
            await self._drain(stopped, drain_s)
            for task in tasks:
                task.cancel()
        await asyncio.sleep(0.05)

    def advance(self, now_ms: int) -> int:
        """Publish one message for each device of every station that is due; returns their number."""
        limit = utc_now_ms() if self.flat_out else min(self.clock.now_ms(), now_ms)
        if self.end_ms is not None:
            limit = min(limit, self.end_ms)
        sent = 0
        for i, station in enumerate(self.stations):
            link = self._links.get(i)
            if link is None or not station.node.is_online or link.is_full:
                continue
            link.write(station.again(now_ms, self.model.window), now_ms)
            if now_ms - station.told_ms > _STATUS_MS:
                station.told_ms = now_ms
                link.write(station.node.status(now_ms), now_ms)
            room = len(station.node.waiting) < self.model.window * len(station.instruments)
            if room and station.done_ms + station.span_ms <= limit:
                link.write(b"".join(station.measure(station.done_ms, now_ms)), now_ms)
                sent += 1
            else:
                link.keep_alive(now_ms)
        return sent

    def _finished(self) -> bool:
        end = self.end_ms if self.end_ms is not None else utc_now_ms()
        past = self.flat_out or self.clock.now_ms() >= utc_now_ms() or self.end_ms is not None
        return past and all(s.done_ms + s.span_ms > end for s in self.stations)

    async def _drain(self, stopped: asyncio.Event, drain_s: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + (2.0 if stopped.is_set() else drain_s)
        while self.backlog and loop.time() < end:
            now = utc_now_ms()
            for i, station in enumerate(self.stations):
                link = self._links.get(i)
                if link is not None and station.node.is_online:
                    link.write(station.again(now, self.model.window), now)
            await asyncio.sleep(_TICK_S)

    async def _keep_connected(self, i: int) -> None:
        """Keep a station connected; reconnect it after a loss."""
        loop = asyncio.get_running_loop()
        node = self.stations[i].node
        while True:
            gone = asyncio.Event()
            link = BrokerConnection(node, lambda _node, gone=gone: gone.set())  # type: ignore[misc]  # the default binds it
            try:
                await loop.create_connection(lambda link=link: link, *self._address)  # type: ignore[misc]  # as above
                self._links[i] = link
                await gone.wait()
            except OSError:
                self.counts.connections_lost += 1
            except asyncio.CancelledError:
                link.leave(utc_now_ms())
                raise
            finally:
                self._links.pop(i, None)
            await asyncio.sleep(_RECONNECT_S)


def _device(instrument: Instrument, step_ms: int) -> ShapeDevice:
    profile: Profile = instrument.profile
    metrics = []
    for metric in profile.metrics:
        low, high = metric.valid_canonical or (None, None)
        metrics.append(ShapeMetric(metric.name, metric.quantity, metric.canonical_unit, low, high))
    return ShapeDevice(
        instrument.name.split("/")[-1], tuple(metrics), step_ms, profile.id,
        profile.manufacturer, profile.model, "published",
    )  # fmt: skip


def _canonical(instrument: Instrument, metric: Metric, times: Int64) -> Float64:
    """A column as read from the device: in its resolution, in the canonical unit."""
    shown = instrument.column(metric, times)
    if metric.type is None or not metric.type.is_float:
        shown = np.round(shown / metric.scale) * metric.scale
    factor = metric.to_canonical(1.0) - metric.to_canonical(0.0)
    value: Float64 = np.round(shown * factor + metric.to_canonical(0.0), 9)
    return value
