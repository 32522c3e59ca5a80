"""The agent: buses on one side, outbox and uplink on the other, and one process around them."""

import asyncio
import contextlib
import os
import selectors
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog

from edge_agent.acquisition.bus_counters import Counters
from edge_agent.acquisition.modbus.poller import Poller
from edge_agent.acquisition.modbus_bus import ModbusBus
from edge_agent.acquisition.stream_bus import StreamBus
from edge_agent.clock import Clock
from edge_agent.configuration import GatewayConfiguration
from edge_agent.devices import Bus, Device
from edge_agent.gateway import fingerprint, read_gateway
from edge_agent.learned_state import LearnedState, beside_outbox, write_json
from edge_agent.outbox import Outbox
from edge_agent.report_collector import ReportCollector
from edge_agent.reporting.chain import Chain
from edge_agent.self_description import describe_node, uplink_settings
from edge_agent.signals import Signals
from edge_agent.uplink import Uplink
from telemetry.samples import Sample
from telemetry.yaml_files import YamlFileError

STATUS_EVERY_S = 2.0
DIAGNOSTICS_EVERY_S = 10.0
SAVE_EVERY_S = 60.0
WATCH_EVERY_S = 1.0
STOP_WITHIN_S = 1.0
KEEP_EVERY_S = 10.0
"""So much of an open window a power cut may cost."""

_log = structlog.get_logger()


@dataclass(slots=True)
class _RunningBus:
    bus: Bus
    runner: StreamBus | ModbusBus
    task: asyncio.Task[None]


class Agent:
    """One gateway's agent. ``run`` works until a signal ends it."""

    def __init__(self, path: Path, signals: Signals) -> None:
        self._path = path
        self._signals = signals
        self._configuration, self._wanted = read_gateway(path)
        outbox = self._configuration.outbox
        self._clock = Clock()
        self._outbox = Outbox(
            outbox.path,
            outbox.max_bytes,
            None if outbox.max_age_ms is None else outbox.max_age_ms / 1000,
            clock=self._clock,
        )
        self._uplink = Uplink(
            uplink_settings(self._configuration),
            self._outbox,
            describe_node(self._configuration, self._wanted),
        )
        self._learned_state = LearnedState.open(beside_outbox(outbox.path, "memory"))
        self._counters: dict[str, Counters] = {}
        self._chains: dict[str, Chain] = {}
        self._online: set[str] = set()
        self._running: dict[str, _RunningBus] = {}
        self._seen = fingerprint(path)

    async def run(self) -> None:
        """Measure and deliver until SIGTERM or SIGINT; SIGUSR1 delivers the rest first."""
        self._signals.listen()
        self._collector = ReportCollector(self._outbox)
        writing = asyncio.create_task(self._collector.run(), name="report collector")
        closing = asyncio.create_task(self._close_windows(), name="windows")
        housekeeping = asyncio.create_task(self._keep_house(), name="housekeeping")
        reloading = asyncio.create_task(self._reload_when_told(), name="reload")
        self._apply(self._wanted)
        self._tell_diagnostics()
        self._uplink.start()
        _log.info(
            "agent runs", gateway=self._configuration.gateway, buses=len(self._wanted),
            devices=sum(len(b.devices) for b in self._wanted),
        )  # fmt: skip
        try:
            await self._until_told(writing, closing, housekeeping, reloading)
        finally:
            reloading.cancel()
            await self._stop_buses()
            await self._keep_windows(self._clock.now_ms())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_WITHIN_S):
                    await self._collector.written()
            if self._signals.drain.is_set():
                await self._until_delivered()
            for task in (writing, closing, housekeeping):
                task.cancel()
            await asyncio.to_thread(self._uplink.stop, STOP_WITHIN_S)
            self._write_status()
            self._learned_state.save()
            self._outbox.close()
            self._signals.ignore()

    # What the buses tell (acquisition.BusObserver)

    def online(self, device: Device) -> None:
        """The device has answered."""
        self._counters[device.name].last_answer_ms = self._clock.now_ms()
        if device.name not in self._online:
            self._online.add(device.name)
            self._chains[device.name].resume(self._clock.now_ms())
            self._uplink.device_online(device.name)

    def offline(self, device: Device, why: str) -> None:
        """The device does not answer any more."""
        counters = self._counters[device.name]
        counters.last_error, counters.last_error_ms = why, self._clock.now_ms()
        if device.name in self._online:
            self._online.discard(device.name)
            self._uplink.device_offline(device.name)
            self._chains[device.name].interrupt(self._clock.now_ms())
            _log.warning("device offline", bus=device.bus, device=device.name, why=why)

    async def take(self, device: Device, samples: Sequence[Sample]) -> None:
        """What the device said."""
        chain = self._chains[device.name]
        if chain.is_plain:
            await self._collector.put(device.name, samples)
        else:
            await self._report(device.name, chain.take(samples))

    async def _report(self, device: str, samples: Sequence[Sample]) -> None:
        """Put reports into the outbox, and with them what is left in the window behind them."""
        if samples:
            await self._collector.put(device, samples, self._window(device, self._clock.now_ms()))

    def _window(self, device: str, now_ms: int) -> Mapping[str, str]:
        window = self._chains[device].window(now_ms)
        return {} if window is None else {_window_of(device): window}

    async def _keep_windows(self, now_ms: int) -> None:
        """Make durable what is in the open windows."""
        for device in list(self._chains):
            await self._collector.put(device, (), self._window(device, now_ms))

    async def _close_windows(self) -> None:
        """Report what was put together in windows that have ended, and keep what is in the others."""
        next_keep_s = time.monotonic() + KEEP_EVERY_S
        while True:
            await asyncio.sleep(1.0)
            now_ms = self._clock.now_ms()
            for name, chain in list(self._chains.items()):
                await self._report(name, chain.tick(now_ms))
            if time.monotonic() >= next_keep_s:
                next_keep_s = time.monotonic() + KEEP_EVERY_S
                await self._keep_windows(now_ms)

    # Buses

    def _apply(self, wanted: tuple[Bus, ...]) -> None:
        """Start what is new; what is as before goes on."""
        for bus in wanted:
            if bus.name not in self._running:
                for device in bus.devices:
                    self._counters.setdefault(device.name, Counters())
                    self._chains[device.name] = self._chain(device)
                runner = self._runner(bus)
                task = asyncio.create_task(runner.run(), name=f"bus {bus.name}")
                self._running[bus.name] = _RunningBus(bus, runner, task)
        self._wanted = wanted

    def _runner(self, bus: Bus) -> StreamBus | ModbusBus:
        if bus.is_stream:
            return StreamBus(bus, self._counters[bus.devices[0].name], self, self._clock.at)
        return ModbusBus(bus, {d.name: self._poller(d) for d in bus.devices}, self)

    def _chain(self, device: Device) -> Chain:
        def on_reset(metric: str, before: float, after: float) -> None:
            self._counters[device.name].add("counter_resets")
            self._learned_state.changed = True
            _log.warning(
                "counter was reset; its total goes on", device=device.name, metric=metric,
                before=before, after=after,
            )  # fmt: skip

        window = (
            self._window(device.name, self._clock.now_ms())
            if device.name in self._chains
            else self._outbox.entries()
        )
        return Chain(
            device, self._learned_state.totals, on_reset, window.get(_window_of(device.name))
        )

    def _poller(self, device: Device) -> Poller:
        return Poller(
            device,
            self._counters[device.name],
            self._clock.at,
            self._learned_state.recall(device),
            lambda learned: self._learned_state.learn(device, learned),
        )

    async def _stop_buses(self, names: set[str] | None = None) -> None:
        stopping = [r for n, r in self._running.items() if names is None or n in names]
        for running in stopping:
            running.task.cancel()
        await asyncio.gather(*(r.task for r in stopping), return_exceptions=True)
        for running in stopping:
            self._running.pop(running.bus.name, None)

    # Reload

    async def _reload_when_told(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_EVERY_S):
                    await self._signals.reload.wait()
            seen = fingerprint(self._path)
            if not self._signals.reload.is_set() and seen == self._seen:
                continue
            self._signals.reload.clear()
            self._seen = seen
            await self._read_again()

    async def _read_again(self) -> None:
        try:
            configuration, wanted = await asyncio.to_thread(read_gateway, self._path)
        except YamlFileError as error:
            _log.error("configuration refused; nothing changes", why=str(error))
            return
        fixed = _fixed_part(configuration)
        if fixed != _fixed_part(self._configuration):
            text = "gateway, group, broker, host, confirm and outbox change at the next start only"
            _log.warning(text)
        before = {name: running.bus for name, running in self._running.items()}
        changed = {name for name, bus in before.items() if bus not in wanted}
        if not changed and set(before) == {b.name for b in wanted}:
            _log.info("configuration read again; no bus has changed")
        await self._stop_buses(changed)
        names = {d.name for b in wanted for d in b.devices}
        for gone in set(self._counters) - names:
            del self._counters[gone], self._chains[gone]
        moved = {d.name for n in changed for d in before[n].devices}
        for name in (moved | (self._online - names)) & self._online:
            self._online.discard(name)
            if name in self._chains:
                self._chains[name].interrupt(self._clock.now_ms())
            self._uplink.device_offline(name)
        self._configuration = configuration.model_copy(
            update={k: getattr(self._configuration, k) for k in _FIXED}
        )
        self._uplink.replace_births(describe_node(self._configuration, wanted))
        self._apply(wanted)
        _log.info("configuration applied", restarted=sorted(changed), buses=len(wanted))

    # Ending

    async def _until_told(self, *tasks: asyncio.Task[None]) -> None:
        """Wait for a signal; the failure of any task ends the agent and is raised."""
        ends = [asyncio.create_task(e.wait()) for e in (self._signals.stop, self._signals.drain)]
        try:
            while True:
                watched = [*tasks, *(r.task for r in self._running.values())]
                done, _ = await asyncio.wait(
                    [*watched, *ends], timeout=1.0, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    if task in ends:
                        return
                    if not task.cancelled():
                        task.result()
        finally:
            for end in ends:
                end.cancel()

    async def _until_delivered(self) -> None:
        _log.info("measuring has ended; delivering the rest")
        while not self._signals.stop.is_set():
            status = await asyncio.to_thread(self._outbox.status)
            if status.depth_samples == 0:
                _log.info("everything is delivered", samples=status.measured_total)
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._signals.stop.wait()
        _log.warning("stopped before everything was delivered; the outbox keeps the rest")

    # Housekeeping

    async def _keep_house(self) -> None:
        next_diagnostics_s = next_save_s = 0.0
        while True:
            self._write_status()
            now_s = time.monotonic()
            if self._learned_state.changed or now_s >= next_save_s:
                self._learned_state.save()
                next_save_s = now_s + SAVE_EVERY_S
            if now_s >= next_diagnostics_s:
                self._tell_diagnostics()
                next_diagnostics_s = now_s + DIAGNOSTICS_EVERY_S
            await asyncio.sleep(STATUS_EVERY_S)

    def _tell_diagnostics(self) -> None:
        self._uplink.set_diagnostics({n: dict(c.counts) for n, c in self._counters.items()})

    def _write_status(self) -> None:
        path = beside_outbox(self._configuration.outbox.path, "status")
        try:
            write_json(path, self.status())
        except OSError as error:
            _log.warning("cannot write the status file", file=str(path), why=str(error))

    def status(self) -> dict[str, Any]:
        """What ``edge status`` shows beside the outbox."""
        devices = [d for bus in self._wanted for d in bus.devices]
        return {
            "gateway": self._configuration.gateway,
            "pid": os.getpid(),
            "time_ms": self._clock.now_ms(),
            "clock_trusted": self._clock.trusted,
            "uplink": asdict(self._uplink.state),
            "buses": {name: _bus_status(running) for name, running in self._running.items()},
            "devices": {d.name: self._device_status(d) for d in devices},
        }

    def _device_status(self, device: Device) -> Mapping[str, Any]:
        counters = self._counters.get(device.name, Counters())
        return {
            "bus": device.bus,
            "profile": device.profile.id,
            "online": device.name in self._online,
            "last_answer_ms": counters.last_answer_ms,
            "last_error": counters.last_error,
            "counters": dict(counters.counts),
        }


def _window_of(device: str) -> str:
    return f"window/{device}"


def _bus_status(running: _RunningBus) -> Mapping[str, Any]:
    runner = running.runner
    if isinstance(runner, StreamBus):
        return {"where": running.bus.where, "busy": None, "readings_left_out": None}
    return {
        "where": running.bus.where,
        "busy": round(runner.busy, 4),
        "readings_left_out": runner.schedule.missed,
    }


_FIXED = ("gateway", "group", "broker", "host", "confirm", "outbox")


def _fixed_part(configuration: GatewayConfiguration) -> tuple[Any, ...]:
    return tuple(getattr(configuration, name) for name in _FIXED)


def precise_loop() -> asyncio.AbstractEventLoop:
    """An event loop whose timers are exact to microseconds: epoll rounds them up to milliseconds."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def run_agent(path: Path, signals: Signals) -> None:
    """Run the agent of a ``gateway.yaml`` until a signal ends it. Raises YamlFileError."""
    agent = Agent(path, signals)
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(agent.run())
