"""What happens now, handed to everybody who watches: samples, alerts, states of gateways."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from telemetry.batches import Int64, SampleBatch
from telemetry.series import Series

MOST_WAITING = 200
"""A watcher that lets more messages wait loses the oldest and is told how many."""


@dataclass(frozen=True, slots=True)
class Interest:
    """What a watcher wants; an empty set means all."""

    stations: frozenset[str] = frozenset()
    gateways: frozenset[str] = frozenset()
    quantities: frozenset[str] = frozenset()
    series: frozenset[str] = frozenset()

    def covers(self, series: Series) -> bool:
        """Whether samples of ``series`` are wanted."""
        return (
            (not self.stations or series.station in self.stations)
            and (not self.gateways or series.key.gateway in self.gateways)
            and (not self.quantities or series.quantity in self.quantities)
            and (not self.series or str(series.key) in self.series)
        )

    def covers_place(self, station: str | None, gateway: str | None) -> bool:
        """Whether news of this station or gateway is wanted."""
        return (not self.stations or station in self.stations) and (
            not self.gateways or gateway in self.gateways
        )


class Watcher:
    """One who watches, in an event loop; messages are (event name, data)."""

    def __init__(self, interest: Interest, loop: asyncio.AbstractEventLoop) -> None:
        self.interest = interest
        self._loop = loop
        self._waiting: deque[tuple[str, Any]] = deque()
        self._skipped = 0
        self._wake = asyncio.Event()
        self._wanted: dict[int, bool] = {}
        self.ended = False

    def put(self, event: str, data: Any) -> None:
        """Hand over a message; from any thread, never waits."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._skipped += 1
        self._waiting.append((event, data))
        self._loop.call_soon_threadsafe(self._wake.set)

    def end(self) -> None:
        """There will be no more messages."""
        self.ended = True
        self._loop.call_soon_threadsafe(self._wake.set)

    def wants(self, series: Series) -> bool:
        """Whether samples of ``series`` are wanted."""
        wanted = self._wanted.get(series.index)
        if wanted is None:
            wanted = self._wanted[series.index] = self.interest.covers(series)
        return wanted

    async def take(self, timeout_s: float) -> list[tuple[str, Any]]:
        """All messages that wait; an empty list if none comes within ``timeout_s``."""
        if not self._waiting and not self.ended:
            try:
                await asyncio.wait_for(self._wake.wait(), timeout_s)
            except TimeoutError:
                return []
        self._wake.clear()
        messages: list[tuple[str, Any]] = []
        if self._skipped:
            messages.append(("skipped", {"count": self._skipped}))
            self._skipped = 0
        while self._waiting:
            messages.append(self._waiting.popleft())
        return messages


class Live:
    """Spreads news to its watchers. Late samples are no news: only newer ones than before are told."""

    def __init__(self, series_at: Callable[[int], Series]) -> None:
        self._series_at = series_at
        self._watchers: list[Watcher] = []
        self._lock = threading.Lock()
        self._newest: Int64 = np.full(0, -(1 << 62), dtype=np.int64)

    def watch(self, interest: Interest) -> Watcher:
        """Begin to watch, in the running event loop."""
        watcher = Watcher(interest, asyncio.get_running_loop())
        with self._lock:
            self._watchers.append(watcher)
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        """Stop watching."""
        with self._lock:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

    def end(self) -> None:
        """Send everybody home."""
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher.end()

    def tell_samples(self, batch: SampleBatch) -> None:
        """Tell of stored samples: the newest of each series in the batch, if it is news."""
        if not len(batch):
            return
        newest = self._news(batch)
        with self._lock:
            watchers = list(self._watchers)
        if not watchers or not len(newest):
            return
        series = [self._series_at(int(i)) for i in newest.series]
        values = [None if v != v else v for v in newest.value.tolist()]  # noqa: PLR0124  # NaN
        rows = list(
            zip(series, newest.time_ms.tolist(), values, newest.quality.tolist(), strict=True)
        )
        for watcher in watchers:
            wanted = [row for row in rows if watcher.wants(row[0])]
            if wanted:
                watcher.put(
                    "samples",
                    {
                        "series": [str(s.key) for s, _, _, _ in wanted],
                        "time_ms": [t for _, t, _, _ in wanted],
                        "value": [v for _, _, v, _ in wanted],
                        "quality": [q for _, _, _, q in wanted],
                    },
                )

    def _news(self, batch: SampleBatch) -> SampleBatch:
        ends = batch.ends()
        if ends is not None:
            batch = batch.select(ends)  # no other one can be the newest of its series
        highest = int(batch.series.max())
        if highest >= len(self._newest):
            more = np.full(max(highest + 1, 2 * len(self._newest)), -(1 << 62), dtype=np.int64)
            more[: len(self._newest)] = self._newest
            self._newest = more
        fresh = batch.select(batch.time_ms > self._newest[batch.series])
        np.maximum.at(self._newest, fresh.series, fresh.time_ms)
        return fresh.select(fresh.time_ms == self._newest[fresh.series])

    def tell(
        self, event: str, data: Mapping[str, Any], station: str | None, gateway: str | None
    ) -> None:
        """Tell of an alert, or of the state of a gateway or device."""
        with self._lock:
            watchers = [w for w in self._watchers if w.interest.covers_place(station, gateway)]
        for watcher in watchers:
            watcher.put(event, data)
