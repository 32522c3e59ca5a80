"""A fleet of gateways in one process: connections, measurements, reports, faults."""

import asyncio
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np

from simulators.fleets.broker_connection import BrokerConnection
from simulators.fleets.failures import FleetFailures
from simulators.fleets.node import Batch, Counts, EdgeNode
from simulators.fleets.payloads import NodeProperties
from simulators.fleets.shape import GatewayShape, shape_of
from simulators.fleets.template import DataTemplate
from simulators.fleets.values import FleetValues
from simulators.scenarios.fleets import FleetModel
from simulators.scenarios.model import Scenario
from simulators.signals.randomness import Int64, generator
from simulators.truth import AnsweredValue, TruthFile
from telemetry.time.clock import utc_now_ms

TICK_S = 0.05
_CONNECTING_AT_ONCE = 250
_BACKLOG_AT_ONCE = 20
_BACK_OFF_S = (1.0, 30.0)
_SPARE_FILES = 64
_LATE_EVERY = 10
_LAST_RETRY_MS = 2000


class FleetError(Exception):
    """The fleet cannot run on this machine."""


@dataclass(frozen=True, slots=True)
class Storm:
    """A time at which a share of the fleet loses its connections, and how it reconnects (ms)."""

    at_ms: int
    share: float
    down_ms: int
    return_within_ms: int
    graceful: bool


class Fleet:
    """Many gateways of one shape, each with its own connection to ``broker`` (mqtt://host:port)."""

    def __init__(
        self,
        scenario: Scenario,
        model: FleetModel,
        broker: str,
        *,
        seed: int | None = None,
        truth: TruthFile | None = None,
    ) -> None:
        self.model = model
        self.shape: GatewayShape = shape_of(model)
        self.counts = Counts()
        self._seed = scenario.seed if seed is None else seed
        parts = urlsplit(broker)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 1883)
        self.broker = broker
        self._began_ms = utc_now_ms()
        self._truth = truth
        self._dice = generator(self._seed, "fleet")
        self._offset_s = scenario.utc_offset_h * 3600.0
        self.capacity = model.gateways + self._joining(scenario)
        self.nodes = [self._node(scenario, i) for i in range(self.capacity)]
        self.links: list[BrokerConnection | None] = [None] * self.capacity
        self._retry_at_s = np.zeros(self.capacity)
        self._attempts = np.zeros(self.capacity, dtype=np.int64)
        self._index_of = {id(n): i for i, n in enumerate(self.nodes)}
        self._values = FleetValues(self.shape, self._seed, self.capacity)
        self._live = [
            DataTemplate(a, b if model.acknowledged else None)
            for a, b in zip(self.shape.aliases, self.shape.batch_aliases, strict=True)
        ]
        self._late = [
            DataTemplate(a, b if model.acknowledged else None, historical=True)
            for a, b in zip(self.shape.aliases, self.shape.batch_aliases, strict=True)
        ]
        self._phase_ms = self._dice.integers(0, model.interval, self.capacity)
        self._next_ms = self._began_ms + self._phase_ms
        joins_s = self._joins_at_s()
        self._retry_at_s[:] = joins_s
        self._storms = [
            Storm(
                s.at.resolve_ms(self._began_ms, self._offset_s), s.share, s.down,
                s.return_within, s.graceful,
            )
            for s in model.storms
        ]  # fmt: skip
        self._failures = FleetFailures(
            scenario, [n.gateway for n in self.nodes], self.shape, self._seed, self._began_ms
        )
        self._turn = 0
        self._connecting = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def online(self) -> int:
        """The number of gateways that are online."""
        return sum(n.is_online for n in self.nodes)

    @property
    def backlog(self) -> int:
        """The number of samples without acknowledgement."""
        return sum(b.count for n in self.nodes for b in n.waiting)

    async def run(self, stopped: asyncio.Event, *, drain_s: float = 10.0) -> None:
        """Run until ``stopped``, wait up to ``drain_s`` for acknowledgements, then disconnect."""
        allow_files(self.capacity)
        self._began_ms = utc_now_ms()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        self._next_ms = self._began_ms + self._phase_ms
        while not stopped.is_set():
            self.tick(utc_now_ms(), loop.time() - began_s)
            await asyncio.sleep(TICK_S)
        await self._drain(drain_s)
        await self._leave()

    def tick(self, now_ms: int, elapsed_s: float, *, measuring: bool = True) -> None:
        """Do what is due: storms, faults, connections, measurements, late reports."""
        self._storm(now_ms, elapsed_s)
        self._fail(now_ms)
        self._connect(elapsed_s)
        if measuring:
            self._measure(now_ms)
        self._send_late(now_ms)

    def _measure(self, now_ms: int) -> None:
        due = np.flatnonzero((self._next_ms <= now_ms) & (self._attempts > 0))
        if not len(due):
            return
        dark = self._failures.without_power
        if dark:
            due = due[[i not in dark for i in due.tolist()]]
        self.measure(due, now_ms)
        self._next_ms[due] += self.model.interval
        behind = due[self._next_ms[due] <= now_ms]
        self._next_ms[behind] = now_ms + self.model.interval

    def measure(self, gateways: Int64, now_ms: int) -> None:
        """Measure once at some gateways, and send the reports of those that are online."""
        everybody = gateways
        for device in range(len(self.shape.devices)):
            gateways = self._alive(everybody, device)
            if not len(gateways):
                continue
            time_ms = np.full(len(gateways), now_ms) + self._clock_errors(gateways, now_ms)
            sent_ms = np.full(len(gateways), now_ms)
            values = self._values.measure(device, gateways, time_ms)
            template = self._live[device]
            numbers = self._keep(gateways, device, time_ms, values)
            filled = template.fill(
                sent_ms, time_ms[:, np.newaxis], values[:, np.newaxis, :],
                numbers if self.model.acknowledged else None,
            )  # fmt: skip
            self._send(gateways.tolist(), device, filled, template.size, now_ms)
            if self._truth is not None:
                self._write_truth(gateways, device, time_ms, values)

    def _keep(self, gateways: Int64, device: int, time_ms: Int64, values: np.ndarray) -> Int64:
        rows, times = values.astype("<f8").tobytes(), time_ms.tolist()
        size, width = values.shape[1] * 8, values.shape[1]
        numbers = np.empty(len(gateways), dtype=np.int64)
        for place, i in enumerate(gateways.tolist()):
            row = rows[place * size : (place + 1) * size]
            node = self.nodes[i]
            node.measured += width
            numbers[place] = node.take_batch(device, times[place], row, width)
        self.counts.measured += values.size
        return numbers

    def _send(
        self, gateways: Sequence[int], device: int, filled: bytes, size: int, now_ms: int
    ) -> None:
        lossy = self.model.drop_probability
        at = 0
        for i in gateways:
            node, link = self.nodes[i], self.links[i]
            payload = filled[at : at + size]
            at += size
            if link is None or not node.is_online or link.is_full:
                continue
            node.waiting[-1].sent_ms = now_ms
            packet = node.data(device, payload)
            if not self.model.acknowledged:
                node.waiting.pop()
            if (lossy and self._dice.random() < lossy) or self._failures.loses(
                i, now_ms, node.next_batch
            ):
                self.counts.lost_on_purpose += 1
                continue
            link.write(packet, now_ms)

    def _send_late(self, now_ms: int) -> None:
        """Send reports from times without connection, and repeat those without acknowledgement."""
        self._turn = (self._turn + 1) % _LATE_EVERY
        for i in range(self._turn, self.capacity, _LATE_EVERY):
            node, link = self.nodes[i], self.links[i]
            if link is None:
                continue
            if not node.is_online or not node.waiting or link.is_full:
                link.keep_alive(now_ms)
                continue
            if node.waiting[0].sent_ms and now_ms - node.waiting[0].sent_ms < 1000:
                continue
            late = list(node.due_for_sending(now_ms, _BACKLOG_AT_ONCE))
            if late:
                link.write(self._late_messages(node, late, now_ms), now_ms)
                if not self.model.acknowledged:
                    node.drop_sent(late)

    def _late_messages(self, node: EdgeNode, late: list[Batch], now_ms: int) -> bytes:
        out = []
        for batch in late:
            template = self._late[batch.device]
            values = np.frombuffer(batch.values, dtype="<f8").reshape(1, 1, -1)
            filled = template.fill(
                np.array([now_ms]), np.array([[batch.time_ms]]), values,
                np.array([batch.number]) if self.model.acknowledged else None,
            )  # fmt: skip
            out.append(node.data(batch.device, filled))
        return b"".join(out)

    def _connect(self, elapsed_s: float) -> None:
        due = np.flatnonzero(self._retry_at_s <= elapsed_s)
        for i in due[: max(_CONNECTING_AT_ONCE - self._connecting, 0)].tolist():
            if i in self._failures.without_link:
                self._retry_at_s[i] = elapsed_s + 1.0
                continue
            self._retry_at_s[i] = np.inf
            self._attempts[i] += 1
            self._connecting += 1
            task = asyncio.get_running_loop().create_task(self._open(i, elapsed_s))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open(self, i: int, elapsed_s: float) -> None:
        loop = asyncio.get_running_loop()
        node = self.nodes[i]
        link = BrokerConnection(node, self._closed)
        try:
            await loop.create_connection(lambda: link, *self._address)
            self.links[i] = link
        except OSError:
            self._retry_at_s[i] = elapsed_s + self._back_off_s(i)
        finally:
            self._connecting -= 1

    def _closed(self, node: EdgeNode) -> None:
        i = self._index_of[id(node)]
        self.links[i] = None
        self.counts.connections_lost += 1
        if np.isinf(self._retry_at_s[i]):
            elapsed_s = (utc_now_ms() - self._began_ms) / 1000.0
            self._retry_at_s[i] = elapsed_s + self._back_off_s(i)

    def _back_off_s(self, i: int) -> float:
        longest = min(_BACK_OFF_S[0] * 2.0 ** min(int(self._attempts[i]) - 1, 5), _BACK_OFF_S[1])
        return float(longest * self._dice.uniform(0.5, 1.0))

    def _storm(self, now_ms: int, elapsed_s: float) -> None:
        while self._storms and self._storms[0].at_ms <= now_ms:
            storm = self._storms.pop(0)
            struck = np.flatnonzero(self._dice.random(self.capacity) < storm.share)
            back = elapsed_s + storm.down_ms / 1000.0
            for i in struck.tolist():
                link = self.links[i]
                if link is None:
                    continue
                wait = self._dice.uniform(0.0, storm.return_within_ms / 1000.0)
                self._retry_at_s[i] = back + wait
                if storm.graceful:
                    link.leave(now_ms)
                else:
                    link.abort()

    def _fail(self, now_ms: int) -> None:
        if not self._failures:
            return
        changes = self._failures.look(now_ms)
        for i in changes.cut:
            link = self.links[i]
            if link is not None:
                link.abort()
        for i, device in (*changes.died, *changes.revived):
            node, link = self.nodes[i], self.links[i]
            if link is None or not node.is_online:
                continue
            died = (i, device) in self._failures.dead
            tell = node.device_death if died else node.device_birth
            link.write(tell(device, now_ms), now_ms)

    def _clock_errors(self, gateways: Int64, now_ms: int) -> Int64:
        if not self._failures:
            return np.zeros(len(gateways), dtype=np.int64)
        errors = [self._failures.clock_error_ms(i, now_ms) for i in gateways.tolist()]
        return np.array(errors, dtype=np.int64)

    def _alive(self, gateways: Int64, device: int) -> Int64:
        """The gateways whose device is alive."""
        dead = self._failures.dead
        if not dead:
            return gateways
        return gateways[[(i, device) not in dead for i in gateways.tolist()]]

    async def _drain(self, drain_s: float) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._can_be_confirmed() and loop.time() - began < drain_s:
            for node in self.nodes:
                node.shorten_retries(_LAST_RETRY_MS)
            self._send_late(utc_now_ms())
            await asyncio.sleep(TICK_S)

    def _can_be_confirmed(self) -> bool:
        return self.model.acknowledged and self.backlog > 0 and self.online > 0

    async def _leave(self) -> None:
        now = utc_now_ms()
        self._retry_at_s[:] = np.inf
        for i, link in enumerate(self.links):
            if link is not None:
                link.leave(now)
            if i % 500 == 499:
                await asyncio.sleep(0)
        for task in list(self._tasks):
            task.cancel()
        for _ in range(50):
            if not any(self.links):
                return
            await asyncio.sleep(0.02)

    def _node(self, scenario: Scenario, i: int) -> EdgeNode:
        name = f"{self.model.prefix}-{i + 1:05d}"
        around = generator(self._seed, "place", i)
        return EdgeNode(
            scenario.group, name, self.shape, host=scenario.host,
            acknowledged=self.model.acknowledged, first_batch=self._began_ms,
            about=NodeProperties(
                name, f"Fleet {i + 1}",
                round(10.6 + 0.8 * float(around.random()), 4),
                round(106.3 + 0.7 * float(around.random()), 4),
            ),
            counts=self.counts,
        )  # fmt: skip

    def _joining(self, scenario: Scenario) -> int:
        minutes = (scenario.duration or 3_600_000) / 60_000.0
        return int(self.model.joins_per_minute * minutes)

    def _joins_at_s(self) -> np.ndarray:
        first = np.linspace(0.0, self.model.ramp_up / 1000.0, self.model.gateways)
        later = self.capacity - self.model.gateways
        pace = 60.0 / self.model.joins_per_minute if later else 0.0
        return np.concatenate((first, self.model.ramp_up / 1000.0 + pace * np.arange(1, later + 1)))

    def _write_truth(
        self,
        gateways: Int64,
        device: int,
        time_ms: Int64,
        values: np.ndarray,
    ) -> None:
        assert self._truth is not None
        here = self.shape.devices[device]
        for i, moment, row in zip(
            gateways.tolist(), time_ms.tolist(), values.tolist(), strict=True
        ):
            prefix = f"{self.nodes[i].gateway}/{here.name}/"
            self._truth.write(
                AnsweredValue(prefix + m.name, moment, v, moment)
                for m, v in zip(here.metrics, row, strict=True)
            )


def allow_files(connections: int) -> None:
    """Raise the limit of open files for ``connections``; FleetError if that is not possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise FleetError(
            f"{connections:,} gateways need {wanted:,} open files, this process may have {hard:,}; "
            f"allow more (ulimit -n {wanted}) or simulate fewer"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
