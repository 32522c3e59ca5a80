"""A running simulation of stations: their world, their buses and the values that they sent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from device_profiles import Profile, load_profile
from simulators.clock import SimulationClock
from simulators.devices.instrument import Instrument, ValueSource, WorldSource, usual_sensor
from simulators.devices.line import LineSettings
from simulators.devices.modbus_unit import ModbusUnit
from simulators.devices.passages import passages
from simulators.devices.pseudo_terminal import PseudoTerminal
from simulators.devices.serial_line import LineCounters, LineUnit, SerialLine
from simulators.devices.stream_port import StreamPort
from simulators.devices.tcp_server import TcpServer
from simulators.faults.plan import OF_ANSWERS, OF_PORTS, OF_VALUES, SILENCING, Fault, FaultPlan
from simulators.faults.values import FaultyInstrument
from simulators.replay.source import ReplaySource
from simulators.scenarios.gateways import line_settings
from simulators.scenarios.model import Scenario, SensorTraits, SimBus, SimDevice, SimStation
from simulators.scenarios.stations import link_name, place_of
from simulators.signals.episodes import Episode, Leak
from simulators.signals.sensors import Sensor
from simulators.signals.world import World
from simulators.truth import AnsweredValue, TruthFile
from telemetry.time.clock import utc_now_ms

_log = structlog.get_logger()

Port = SerialLine | StreamPort | TcpServer
_WATCH_S = 0.1


@dataclass(frozen=True, slots=True)
class RunningBus:
    """A bus with its port and devices."""

    station: SimStation
    bus: SimBus
    where: str
    port: Port
    faults: FaultPlan

    @property
    def counters(self) -> LineCounters:
        """The counters of the bus."""
        return self.port.counters

    def restart(self, time_ms: int) -> None:
        """Restart the devices after a power cut."""
        if isinstance(self.port, StreamPort):
            self.port.instrument.restart(time_ms)
        else:
            for here in self.port.units.values():
                here.unit.instrument.restart(time_ms)


class Simulation:
    """Builds the stations of a scenario and runs them until it is stopped."""

    def __init__(
        self,
        scenario: Scenario,
        stations: list[SimStation],
        folder: Path,
        ports: dict[str, int],
        *,
        seed: int | None = None,
        speed: float | None = None,
        truth: TruthFile | None = None,
    ) -> None:
        self.scenario = scenario
        self.stations = stations
        self.seed = scenario.seed if seed is None else seed
        pace = scenario.speed if speed is None else speed
        self.flat_out = pace == 0
        self.clock = SimulationClock(scenario.start_ms(utc_now_ms()), pace or 1.0)
        self._offset_s = scenario.utc_offset_h * 3600.0
        self.world = World(
            self.seed, self.clock.start_ms / 1000.0, self._episodes(), self._offset_s
        )
        self._folder = folder
        self._ports = ports
        self._truth = truth
        self.values_answered = 0
        self._out: set[str] = set()
        published = scenario.publish is not None
        self.buses = [] if published else [self._bus(s, b) for s in stations for b in s.buses]

    def instruments(self, station: SimStation) -> list[Instrument]:
        """All instruments of a station, without buses."""
        return [
            self._instrument(
                station, d, load_profile(d.profile), self._faults(station, b.name, d.name)
            )
            for b in station.buses
            for d in b.devices
        ]

    async def run(self, stopped: asyncio.Event) -> None:
        """Run until ``stopped``; ports and links are removed when this returns."""
        async with _all_running(b.port.run() for b in self.buses):
            while not stopped.is_set():
                await self._apply_port_faults()
                if self._truth is not None:
                    self._truth.flush()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), _WATCH_S)

    async def _apply_port_faults(self) -> None:
        """Close and open ports as the faults demand."""
        now = self.clock.now_ms()
        for bus in self.buses:
            if not bus.faults:
                continue
            out = bool(bus.faults.active(OF_PORTS, now, 0))
            if out is (bus.where in self._out):
                continue
            port = bus.port if isinstance(bus.port, TcpServer) else bus.port.port
            try:
                result = port.unplug() if out else port.plug_in()
                if result is not None:
                    await result
            except OSError as error:  # another program uses the TCP port: try again
                _log.warning("port_unavailable", bus=bus.where, problem=str(error))
                continue
            if out:
                self._out.add(bus.where)
                _log.info("port_unplugged", bus=bus.where)
            else:
                self._out.discard(bus.where)
                bus.restart(now)
                _log.info("port_plugged_in", bus=bus.where)

    def _on_answered(self, answered: list[AnsweredValue]) -> None:
        self.values_answered += len(answered)
        if self._truth is not None:
            self._truth.write(answered)

    def _episodes(self) -> tuple[Episode, ...]:
        start_ms = self.clock.start_ms
        return tuple(
            Episode(
                name=e.name,
                start_s=e.at.resolve_ms(start_ms, self._offset_s) / 1000.0,
                rise_s=e.rise / 1000.0, hold_s=e.hold / 1000.0, fall_s=e.fall / 1000.0,
                stations=frozenset(e.stations), add=e.add, times=e.times,
                leak=Leak(e.leak.latitude, e.leak.longitude, e.leak.grams_per_s, e.leak.height_m)
                if e.leak
                else None,
                wind_from_deg=e.wind_from_deg, wind_m_s=e.wind_m_s, rain_mm_h=e.rain_mm_h,
                flow_times=e.flow_times, capacity_times=e.capacity_times,
            )
            for e in self.scenario.episodes
        )  # fmt: skip

    def _faults(self, station: SimStation, bus: str, device: str | None = None) -> FaultPlan:
        start_ms = self.clock.start_ms
        found = []
        for model in self.scenario.faults:
            if not model.applies_to(station.gateway, bus, device):
                continue
            begin = model.at.resolve_ms(start_ms, self._offset_s)
            end = begin + model.lasts if model.lasts is not None else 2**62
            found.append(
                Fault(
                    model.kind,
                    begin,
                    end,
                    model.probability,
                    model.value,
                    model.every or 0,
                    frozenset(model.metrics),
                )
            )
        return FaultPlan(found, self.seed, f"{station.gateway}/{device or bus}")

    def _bus(self, station: SimStation, bus: SimBus) -> RunningBus:
        faults = FaultPlan(self._faults(station, bus.name).of_kinds(OF_PORTS), self.seed, bus.name)
        link = link_name(station, bus.name)
        profiles = [load_profile(d.profile) for d in bus.devices]
        if bus.tcp is not None:
            units = self._units(station, bus, profiles)
            server = TcpServer(
                bus.tcp.host, self._ports[link], units, self.clock, self._on_answered
            )
            where = f"{bus.tcp.host}:{self._ports[link]}"
            return RunningBus(station, bus, where, server, faults)
        settings = line_settings(bus, profiles[0])
        path = self._folder.resolve() / link
        port: SerialLine | StreamPort
        terminal = PseudoTerminal(path)
        if profiles[0].is_stream:
            port = self._stream(station, bus, profiles[0], terminal, settings)
        else:
            units = self._units(station, bus, profiles)
            port = SerialLine(terminal, settings, units, self.clock, self._on_answered)
        return RunningBus(station, bus, str(path), port, faults)

    def _units(
        self, station: SimStation, bus: SimBus, profiles: list[Profile]
    ) -> dict[int, LineUnit]:
        units = {}
        for device, profile in zip(bus.devices, profiles, strict=True):
            plan = self._faults(station, bus.name, device.name)
            unit = ModbusUnit(self._instrument(station, device, profile, plan))
            number = profile.unit if device.unit is None else device.unit
            units[number] = LineUnit(
                f"{station.gateway}/{device.name}",
                unit,
                FaultPlan(plan.of_kinds(OF_ANSWERS), self.seed, f"{station.id}/{device.name}"),
                max(profile.limits.turnaround_ms, 4) / 1000.0,
            )
        return units

    def _stream(
        self,
        station: SimStation,
        bus: SimBus,
        profile: Profile,
        terminal: PseudoTerminal,
        settings: LineSettings,
    ) -> StreamPort:
        device = bus.devices[0]
        plan = self._faults(station, bus.name, device.name)
        vehicles = passages(profile, self.world, place_of(station))
        return StreamPort(
            terminal,
            settings,
            f"{station.gateway}/{device.name}",
            self._instrument(station, device, profile, plan),
            FaultPlan(plan.of_kinds(OF_ANSWERS), self.seed, f"{station.id}/{device.name}"),
            self.clock,
            every_ms=device.interval or 1000,
            moments=vehicles,
            on_answered=self._on_answered,
        )

    def _instrument(
        self, station: SimStation, device: SimDevice, profile: Profile, plan: FaultPlan
    ) -> Instrument:
        source: ValueSource = WorldSource(self.world, place_of(station), profile)
        if device.replay is not None:
            source = ReplaySource.of(device.replay, self.clock.start_ms, source)
        instrument = Instrument(
            profile,
            f"{station.gateway}/{device.name}",
            source,
            seed=self.seed,
            sensors={n: _sensor(profile, n, t) for n, t in device.sensors.items()},
            refresh_ms=device.refresh,
            on_since_ms=self.clock.start_ms,
        )
        silent = SILENCING if self.scenario.publish is not None else frozenset()
        if plan.of_kinds(OF_VALUES | silent):
            return FaultyInstrument(instrument, plan)
        return instrument


def _sensor(profile: Profile, name: str, traits: SensorTraits) -> Sensor:
    usual = usual_sensor(profile.metric(name))
    return Sensor(
        noise=usual.noise if traits.noise is None else traits.noise,
        noise_share=usual.noise_share if traits.noise_share is None else traits.noise_share,
        offset=traits.offset,
        gain=traits.gain,
        drift_per_day=traits.drift_per_day,
        warm_up_s=traits.warm_up / 1000.0,
        cold=traits.cold,
        low=usual.low if traits.low is None else traits.low,
        high=usual.high if traits.high is None else traits.high,
    )


@contextlib.asynccontextmanager
async def _all_running(coroutines: Iterable[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run tasks in the background; a failure is raised, and all are cancelled at the end."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(c) for c in coroutines]
        yield
        for task in tasks:
            task.cancel()
