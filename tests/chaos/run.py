"""One run: start everything, destroy, let it heal, compare."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from telemetry.time.clock import utc_now_ms
from tests.chaos.faults import STEP_S, Faults
from tests.chaos.parts import System
from tests.chaos.verdict import Verdict, compare, read_served, read_store


class LiveWatch:
    """Notes how long the API was without a fresh sample."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._stopping = threading.Event()
        self.longest_s = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        newest = utc_now_ms()
        while not self._stopping.wait(0.25):
            newest = max(newest, self._system.newest_ms())
            self.longest_s = max(self.longest_s, time.time() - newest / 1000)

    def stop(self) -> float:
        self._stopping.set()
        self._thread.join()
        return self.longest_s


def run(
    folder: Path, *, faults: int, seed: int, agents: int, long: bool,
    tell: Callable[[str], None] = lambda _: None, until_s: float = 1e9,
    without: Sequence[str] = (), store: str = "embedded",
) -> Verdict:  # fmt: skip
    """Inject ``faults`` faults (or as many as fit in ``until_s``); returns what became of the samples."""
    verdict = Verdict()
    pauses = random.Random(seed + 1)
    end = time.monotonic() + until_s
    with System(folder, agents, seed, store) as system:
        watch = LiveWatch(system)
        source = Faults(system, seed, long=long, without=without)
        for number in range(faults):
            if time.monotonic() > end:
                break
            kind = source.inject()
            tell(f"{number + 1:>4}  {kind}")
            time.sleep(pauses.uniform(0.1, 2.5 if long else 0.5))
        verdict.longest_gap_s = watch.stop()
        verdict.faults = source.done
        tell("waiting until everything is confirmed")
        verdict.drained = system.drain(300 if long else 40)
        for agent in system.agents:
            agent.process.stop()
            status = agent.status()
            if status is not None:
                verdict.measured += status.measured_total
                verdict.given_up += status.evicted_total
        system.cloud.stop()
        kills = {a.name: a.kills for a in system.agents}
        stored = read_store(system.store)
        compare(read_served(system.truth), stored, kills, (0, STEP_S * 1000), verdict)
    return verdict
