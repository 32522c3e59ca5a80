"""The agent: buses on one side, outbox and uplink on the other, and one process around them."""

import asyncio
import contextlib
import selectors
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from edge_agent.acquisition.bus_counters import DeviceCounters
from edge_agent.acquisition.modbus.poller import Poller
from edge_agent.acquisition.modbus_bus import ModbusBus
from edge_agent.acquisition.stream_bus import StreamBus
from edge_agent.clock import Clock
from edge_agent.devices import Bus, Device
from edge_agent.gateway import GatewayFileWatch, read_gateway
from edge_agent.learned_state import LearnedState, beside_outbox
from edge_agent.outbox import Outbox
from edge_agent.reporting.device_reports import DeviceReports
from edge_agent.reporting.report_collector import ReportCollector
from edge_agent.self_description import describe_node, uplink_settings
from edge_agent.signals import Signals
from edge_agent.status_document import StatusFile, agent_status, bus_status, device_status
from edge_agent.uplink import Uplink
from telemetry.samples import Sample

STATUS_EVERY_S = 2.0
DIAGNOSTICS_EVERY_S = 10.0
SAVE_EVERY_S = 60.0
STOP_WITHIN_S = 1.0
_FIXED = ("gateway", "group", "broker", "host", "confirm", "outbox")
"""The part of the configuration that a reload does not change."""

_log = structlog.get_logger()


class AgentFailedError(Exception):
    """A thread of the agent has ended by itself; the agent ends too, so that it can be restarted."""


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
        self._watch = GatewayFileWatch(path, signals.reload)
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
        self._status_file = StatusFile(beside_outbox(outbox.path, "status"))
        self._counters: dict[str, DeviceCounters] = {}
        self._online: set[str] = set()
        self._running: dict[str, _RunningBus] = {}

    async def run(self) -> None:
        """Measure and deliver until SIGTERM or SIGINT; SIGUSR1 delivers the rest first.

        Raises AgentFailedError where the outbox or the uplink has failed.
        """
        self._signals.listen()
        self._collector = ReportCollector(self._outbox)
        self._reports = DeviceReports(
            self._collector,
            self._learned_state.totals,
            self._counter_reset,
            self._clock.now_ms,
            self._outbox.entries,
        )
        collecting = asyncio.create_task(self._collector.run(), name="report collector")
        closing = asyncio.create_task(self._reports.run(), name="windows")
        housekeeping = asyncio.create_task(self._keep_house(), name="housekeeping")
        reloading = asyncio.create_task(self._reload_on_change(), name="reload")
        self._apply(self._wanted)
        self._publish_diagnostics()
        self._uplink.start()
        _log.info(
            "agent_started", gateway=self._configuration.gateway, buses=len(self._wanted),
            devices=sum(len(b.devices) for b in self._wanted),
        )  # fmt: skip
        try:
            await self._until_stopped(collecting, closing, housekeeping, reloading)
        finally:
            reloading.cancel()
            await self._stop_buses()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_WITHIN_S):
                    await self._reports.keep_windows()
                    await self._collector.written()
            if self._signals.drain.is_set():
                await self._until_delivered()
            for task in (collecting, closing, housekeeping):
                task.cancel()
            await asyncio.to_thread(self._uplink.stop, STOP_WITHIN_S)
            self._status_file.write(self.status())
            self._learned_state.save()
            self._outbox.close()
            self._signals.ignore()
        self._check_threads()

    # BusObserver

    def online(self, device: Device) -> None:
        """The device has answered."""
        self._counters[device.name].last_answer_ms = self._clock.now_ms()
        if device.name not in self._online:
            self._online.add(device.name)
            self._reports.resume(device.name)
            self._uplink.device_online(device.name)

    def offline(self, device: Device, why: str) -> None:
        """The device no longer answers."""
        self._counters[device.name].last_error = why
        if device.name in self._online:
            self._set_offline(device.name)
            _log.warning("device_offline", bus=device.bus, device=device.name, problem=why)

    async def take(self, device: Device, samples: Sequence[Sample]) -> None:
        """The device has given readings."""
        await self._reports.take(device.name, samples)

    def _set_offline(self, device: str) -> None:
        self._online.discard(device)
        self._reports.interrupt(device)
        self._uplink.device_offline(device)

    # Buses

    def _apply(self, wanted: tuple[Bus, ...]) -> None:
        """Start the buses that do not run yet."""
        for bus in wanted:
            if bus.name not in self._running:
                for device in bus.devices:
                    self._counters.setdefault(device.name, DeviceCounters())
                    self._reports.add(device)
                runner = self._runner(bus)
                task = asyncio.create_task(runner.run(), name=f"bus {bus.name}")
                self._running[bus.name] = _RunningBus(bus, runner, task)
        self._wanted = wanted

    def _runner(self, bus: Bus) -> StreamBus | ModbusBus:
        if bus.is_stream:
            return StreamBus(bus, self._counters[bus.devices[0].name], self, self._clock.at)
        return ModbusBus(bus, {d.name: self._poller(d) for d in bus.devices}, self)

    def _poller(self, device: Device) -> Poller:
        return Poller(
            device,
            self._counters[device.name],
            self._clock.at,
            self._learned_state.recall(device),
            lambda learned: self._learned_state.learn(device, learned),
        )

    def _counter_reset(self, device: Device, metric: str, before: float, after: float) -> None:
        self._counters[device.name].add("counter_resets")
        self._learned_state.changed = True
        _log.warning("counter_reset", device=device.name, metric=metric, before=before, after=after)

    async def _stop_buses(self, names: set[str] | None = None) -> None:
        stopping = [r for n, r in self._running.items() if names is None or n in names]
        for running in stopping:
            running.task.cancel()
        await asyncio.gather(*(r.task for r in stopping), return_exceptions=True)
        for running in stopping:
            self._running.pop(running.bus.name, None)

    # Reload

    async def _reload_on_change(self) -> None:
        while True:
            await self._watch.changed()
            await self._reload()

    async def _reload(self) -> None:
        """Read the gateway file again. Buses that are the same go on; nothing here ends the agent."""
        try:
            configuration, wanted = await asyncio.to_thread(read_gateway, self._path)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with the files: nothing changes
            _log.error("configuration_refused", problem=str(error))
            return
        old = self._configuration
        fixed = [k for k in _FIXED if getattr(configuration, k) != getattr(old, k)]
        if fixed:
            _log.warning("configuration_needs_restart", fields=fixed)
        before = {name: running.bus for name, running in self._running.items()}
        changed = {name for name, bus in before.items() if bus not in wanted}
        await self._stop_buses(changed)
        names = {d.name for b in wanted for d in b.devices}
        moved = {d.name for n in changed for d in before[n].devices}
        for name in self._online & (moved | (self._online - names)):
            self._set_offline(name)
        for gone in set(self._counters) - names:
            del self._counters[gone]
            self._reports.remove(gone)
        self._configuration = configuration.model_copy(update={k: getattr(old, k) for k in _FIXED})
        self._uplink.replace_births(describe_node(self._configuration, wanted))
        started = {b.name for b in wanted} - (set(before) - changed)
        self._apply(wanted)
        _log.info(
            "configuration_applied", buses=len(wanted), restarted=sorted(changed & started),
            removed=sorted(changed - started), added=sorted(started - changed),
        )  # fmt: skip

    # Ending

    async def _until_stopped(self, *tasks: asyncio.Task[None]) -> None:
        """Wait for a signal. The failure of a task or of a thread ends the agent and is raised."""
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
                self._check_threads()
        finally:
            for end in ends:
                end.cancel()

    def _failure(self) -> str | None:
        """Why a thread has ended by itself, if one has."""
        for what, failure in (
            ("the writer of the outbox", self._outbox.failure),
            ("the uplink", self._uplink.failure),
        ):
            if failure is not None:
                return f"{what} failed: {type(failure).__name__}: {failure}"
        return None

    def _check_threads(self) -> None:
        failure = self._failure()
        if failure is not None:
            raise AgentFailedError(failure)

    async def _until_delivered(self) -> None:
        _log.info("draining")
        while not self._signals.stop.is_set() and self._failure() is None:
            status = await asyncio.to_thread(self._outbox.status)
            if status.depth_samples == 0:
                _log.info("drained", samples=status.measured_total)
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._signals.stop.wait()
        _log.warning("stopped_before_drained")

    # Housekeeping

    async def _keep_house(self) -> None:
        next_diagnostics_s = next_save_s = 0.0
        while True:
            self._status_file.write(self.status())
            now_s = time.monotonic()
            if self._learned_state.changed or now_s >= next_save_s:
                self._learned_state.save()
                next_save_s = now_s + SAVE_EVERY_S
            if now_s >= next_diagnostics_s:
                self._publish_diagnostics()
                next_diagnostics_s = now_s + DIAGNOSTICS_EVERY_S
            await asyncio.sleep(STATUS_EVERY_S)

    def _publish_diagnostics(self) -> None:
        self._uplink.set_diagnostics({n: dict(c.counts) for n, c in self._counters.items()})

    def status(self) -> dict[str, Any]:
        """What ``edge status`` shows beside the outbox."""
        return agent_status(
            self._configuration.gateway,
            self._clock,
            self._uplink.state,
            {name: bus_status(r.bus, r.runner) for name, r in self._running.items()},
            device_status(
                (d for bus in self._wanted for d in bus.devices), self._counters, self._online
            ),
        )


def precise_loop() -> asyncio.AbstractEventLoop:
    """An event loop whose timers are exact to microseconds: epoll rounds them up to milliseconds."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def run_agent(path: Path, signals: Signals) -> None:
    """Run the agent of a ``gateway.yaml`` until a signal ends it.

    Raises YamlFileError for a wrong file, OutboxError and AgentFailedError.
    """
    agent = Agent(path, signals)
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(agent.run())
