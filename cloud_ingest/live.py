"""Live updates (samples, alerts, states of gateways) for the subscribers of the event stream."""

import asyncio
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from telemetry.batches import Int64, SampleBatch
from telemetry.series import Series

MAX_WAITING = 200
"""With more waiting messages, a subscriber loses the oldest and is told how many."""


@dataclass(frozen=True, slots=True)
class SubscriptionFilter:
    """What a subscriber wants; an empty set means all."""

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

    def covers_location(self, station: str | None, gateway: str | None) -> bool:
        """Whether updates of this station or gateway are wanted."""
        return (not self.stations or station in self.stations) and (
            not self.gateways or gateway in self.gateways
        )


class Subscriber:
    """The message queue of one subscriber in an event loop; a message is (event name, data)."""

    def __init__(self, filter_: SubscriptionFilter, loop: asyncio.AbstractEventLoop) -> None:
        self.filter = filter_
        self._loop = loop
        self._waiting: deque[tuple[str, Any]] = deque()
        self._skipped = 0
        self._wake = asyncio.Event()
        self._series_wanted: dict[int, bool] = {}
        self.ended = False

    def put(self, event: str, data: Any) -> None:
        """Queue a message. Any thread may call it; it never blocks."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._skipped += 1
        self._waiting.append((event, data))
        self._loop.call_soon_threadsafe(self._wake.set)

    def end(self) -> None:
        """End the stream: no further messages follow."""
        self.ended = True
        self._loop.call_soon_threadsafe(self._wake.set)

    def wants(self, series: Series) -> bool:
        """Whether samples of ``series`` are wanted."""
        wanted = self._series_wanted.get(series.index)
        if wanted is None:
            wanted = self._series_wanted[series.index] = self.filter.covers(series)
        return wanted

    async def take(self, timeout_s: float) -> list[tuple[str, Any]]:
        """All waiting messages; an empty list if none arrives within ``timeout_s``."""
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


class LiveUpdates:
    """Sends updates to all subscribers; of each series only samples newer than the last one sent."""

    def __init__(self, series_at: Callable[[int], Series]) -> None:
        self._series_at = series_at
        self._subscribers: list[Subscriber] = []
        self._lock = threading.Lock()
        self._newest: Int64 = np.full(0, -(1 << 62), dtype=np.int64)

    def subscribe(self, filter_: SubscriptionFilter) -> Subscriber:
        """Add a subscriber that reads in the running event loop."""
        subscriber = Subscriber(filter_, asyncio.get_running_loop())
        with self._lock:
            self._subscribers.append(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a subscriber."""
        with self._lock:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

    def close(self) -> None:
        """End the streams of all subscribers."""
        with self._lock:
            subscribers = list(self._subscribers)
        for subscriber in subscribers:
            subscriber.end()

    def publish_samples(self, batch: SampleBatch) -> None:
        """Send the newest sample of each series in the batch, if it is newer than the last one sent."""
        if not len(batch):
            return
        newest = self._newer(batch)
        with self._lock:
            subscribers = list(self._subscribers)
        if not subscribers or not len(newest):
            return
        known = [self._series_at(int(index)) for index in newest.series]
        values = [None if math.isnan(value) else value for value in newest.value.tolist()]
        rows = list(
            zip(known, newest.time_ms.tolist(), values, newest.quality.tolist(), strict=True)
        )
        for subscriber in subscribers:
            wanted = [row for row in rows if subscriber.wants(row[0])]
            if wanted:
                subscriber.put(
                    "samples",
                    {
                        "series": [str(series.key) for series, _, _, _ in wanted],
                        "time_ms": [time_ms for _, time_ms, _, _ in wanted],
                        "value": [value for _, _, value, _ in wanted],
                        "quality": [quality for _, _, _, quality in wanted],
                    },
                )

    def _newer(self, batch: SampleBatch) -> SampleBatch:
        ends = batch.ends()
        if ends is not None:
            batch = batch.select(ends)  # only the last row of a series can be its newest
        highest = int(batch.series.max())
        if highest >= len(self._newest):
            more = np.full(max(highest + 1, 2 * len(self._newest)), -(1 << 62), dtype=np.int64)
            more[: len(self._newest)] = self._newest
            self._newest = more
        fresh = batch.select(batch.time_ms > self._newest[batch.series])
        np.maximum.at(self._newest, fresh.series, fresh.time_ms)
        return fresh.select(fresh.time_ms == self._newest[fresh.series])

    def publish(
        self, event: str, data: Mapping[str, Any], station: str | None, gateway: str | None
    ) -> None:
        """Send an alert, or the state of a gateway or device."""
        with self._lock:
            subscribers = [
                subscriber
                for subscriber in self._subscribers
                if subscriber.filter.covers_location(station, gateway)
            ]
        for subscriber in subscribers:
            subscriber.put(event, data)
