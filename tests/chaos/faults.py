"""What can go wrong, and how each thing is done and undone."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from telemetry.time.clock import utc_now_ms
from tests.chaos.parts import Agent, System
from tests.chaos.proxy import FAIR, Proxy, Weather

STEP_S = -3600
"""ClockOffsets are stepped back by an hour and then right again."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``begin`` it, wait ``seconds``, ``end`` it."""

    kind: str
    seconds: float
    begin: Callable[[], None]
    end: Callable[[], None]


class Faults:
    """Draws faults for a system, the same ones for the same seed."""

    def __init__(
        self, system: System, seed: int, *, long: bool, without: Sequence[str] = ()
    ) -> None:
        self._system = system
        self._random = random.Random(seed)
        self._long = long
        self.done: Counter[str] = Counter()
        self._kinds = [
            self._kill_agent, self._kill_broker, self._kill_cloud, self._cut_agent,
            self._half_open_agent, self._delay_agent, self._throttle_agent, self._cut_cloud,
            self._half_open_cloud,
        ]  # fmt: skip
        if system.database is not None:
            self._kinds.append(self._kill_database)
        if all(a.has_own_disk for a in system.agents):
            self._kinds.append(self._fill_disk)
        if system.can_step_clocks:
            self._kinds.append(self._step_clock)
        self._kinds = [k for k in self._kinds if k.__name__.lstrip("_") not in without]
        self._turn: list[Callable[[], Fault]] = []

    def inject(self) -> str:
        """One fault from begin to end; every kind comes once before any comes again."""
        if not self._turn:
            self._turn = list(self._kinds)
            self._random.shuffle(self._turn)
        fault = self._turn.pop()()
        fault.begin()
        time.sleep(fault.seconds)
        fault.end()
        self.done[fault.kind] += 1
        return fault.kind

    def _seconds(self, low: float, high: float) -> float:
        return self._random.uniform(low, high if self._long else low + (high - low) / 3)

    def _agent(self) -> Agent:
        return self._random.choice(self._system.agents)

    def _kill_agent(self) -> Fault:
        agent = self._agent()

        def begin() -> None:
            agent.process.kill()
            agent.kills.append(utc_now_ms())

        return Fault("kill -9 agent", self._seconds(0.1, 3), begin, agent.process.start)

    def _kill_broker(self) -> Fault:
        broker = self._system.broker
        return Fault("kill -9 broker", self._seconds(0.2, 4), broker.kill, broker.start)

    def _kill_cloud(self) -> Fault:
        cloud = self._system.cloud
        return Fault("kill -9 cloud", self._seconds(0.1, 3), cloud.kill, cloud.start)

    def _kill_database(self) -> Fault:
        database = self._system.database
        if database is None:
            raise RuntimeError("the store has no server of its own")
        return Fault("kill -9 database", self._seconds(0.1, 4), database.kill, database.start)

    def _cut(self, kind: str, line: Proxy) -> Fault:
        def begin() -> None:
            line.weather = Weather(refuse=True)
            line.cut()

        return Fault(kind, self._seconds(0.2, 5), begin, lambda: _clear(line))

    def _cut_agent(self) -> Fault:
        return self._cut("cut agent's line", self._agent().line)

    def _cut_cloud(self) -> Fault:
        return self._cut("cut cloud's line", self._system.cloud_line)

    def _half_open(self, kind: str, line: Proxy) -> Fault:
        def begin() -> None:
            line.weather = Weather(swallow=True)

        def end() -> None:
            _clear(line)
            if self._random.random() < 0.5:
                line.cut()

        return Fault(kind, self._seconds(1, 10), begin, end)

    def _half_open_agent(self) -> Fault:
        return self._half_open("half-open agent's line", self._agent().line)

    def _half_open_cloud(self) -> Fault:
        return self._half_open("half-open cloud's line", self._system.cloud_line)

    def _slow(self, kind: str, line: Proxy, weather: Weather) -> Fault:
        def begin() -> None:
            line.weather = weather

        return Fault(kind, self._seconds(1, 4), begin, lambda: _clear(line))

    def _delay_agent(self) -> Fault:
        weather = Weather(delay_s=self._random.uniform(0.2, 1.0))
        return self._slow("delay agent's line", self._agent().line, weather)

    def _throttle_agent(self) -> Fault:
        weather = Weather(bytes_per_s=self._random.uniform(500, 4000))
        return self._slow("throttle agent's line", self._agent().line, weather)

    def _fill_disk(self) -> Fault:
        agent = self._agent()
        return Fault("fill agent's disk", self._seconds(0.5, 4), agent.fill_disk, agent.free_disk)

    def _step_clock(self) -> Fault:
        agent = self._agent()
        return Fault(
            "step agent's clock", self._seconds(2, 12),
            lambda: agent.step_clock(STEP_S), lambda: agent.step_clock(0),
        )  # fmt: skip


def _clear(line: Proxy) -> None:
    line.weather = FAIR
