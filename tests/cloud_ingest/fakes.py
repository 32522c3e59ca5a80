"""Fakes around the pipeline: a store in memory, and alerts and a link that record their calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cloud_ingest.intake.sparkplug.protobuf_messages import Payload
from cloud_ingest.stores.protocol import (
    Aggregate,
    Envelope,
    Resolution,
    SampleColumns,
    StoreRejected,
    StoreUnavailable,
)
from telemetry.batches import SampleBatch
from telemetry.series import Series


class MemoryStore:
    """Samples in a dictionary; ``down`` and ``refuses`` make it fail."""

    def __init__(self) -> None:
        self.samples: dict[tuple[int, int], tuple[float, int]] = {}
        self.registered: dict[int, Series] = {}
        self.writes = 0
        self.down = False
        self.refuses: set[int] = set()

    def register(self, series: Sequence[Series]) -> None:
        self._answer()
        self.registered.update({s.index: s for s in series})

    def series(self) -> list[Series]:
        return list(self.registered.values())

    def write(self, batch: SampleBatch) -> None:
        self._answer()
        self.writes += 1
        refused = np.isin(batch.series, list(self.refuses))
        for s, t, v, q in zip(batch.series, batch.time_ms, batch.value, batch.quality, strict=True):
            assert int(s) in self.registered
            if int(s) not in self.refuses:
                self.samples[int(s), int(t)] = (float(v), int(q))
        if refused.any():
            raise StoreRejected(batch.select(refused), ["no such field"] * int(refused.sum()))

    def latest(self, series: Sequence[Series]) -> SampleBatch:
        self._answer()
        wanted = {s.index for s in series}
        newest: dict[int, int] = {}
        for s, t in self.samples:
            if s in wanted:
                newest[s] = max(t, newest.get(s, t))
        rows = [(s, t, *self.samples[s, t]) for s, t in newest.items()]
        return SampleBatch.of(*([r[i] for r in rows] for i in range(4)))

    def read(
        self,
        series: Series,
        start_ms: int,
        end_ms: int,
        step_ms: int | None = None,
        aggregate: Aggregate = "mean",
        offset_ms: int = 0,
    ) -> SampleColumns:
        self._answer()
        rows = sorted(
            (t, *v)
            for (s, t), v in self.samples.items()
            if s == series.index and start_ms <= t < end_ms
        )
        if step_ms is not None:
            steps: dict[int, list[float]] = {}
            for t, v, _ in rows:
                steps.setdefault(t // step_ms * step_ms, []).append(v)
            rows = [(t, float(np.mean(v)), 1) for t, v in steps.items()]
        return SampleColumns(
            np.array([r[0] for r in rows], dtype=np.int64),
            np.array([r[1] for r in rows], dtype=np.float64),
            np.array([r[2] for r in rows], dtype=np.uint8),
        )

    def read_many(self, series: Sequence[Series], *args: Any, **more: Any) -> list[SampleColumns]:
        return [self.read(s, *args, **more) for s in series]

    def envelope(
        self, series: Sequence[Series], start_ms: int, end_ms: int, step_ms: int, offset_ms: int = 0
    ) -> list[Envelope]:
        found = []
        for s in series:
            r = self.read(s, start_ms, end_ms, step_ms)
            n = np.ones(len(r.time_ms), dtype=np.int64)
            found.append(Envelope(r.time_ms, r.value, r.value, r.value, r.value, n, n, r.quality))
        return found

    def scan(
        self, series: Sequence[Series], start_ms: int, end_ms: int
    ) -> Iterator[tuple[Series, SampleColumns]]:
        for s in series:
            yield s, self.read(s, start_ms, end_ms)

    def count(self, series: Sequence[Series]) -> int:
        wanted = {s.index for s in series}
        return sum(s in wanted for s, _ in self.samples)

    def delete_before(self, time_ms: int, level: Resolution = "raw") -> None: ...

    def maintain(self, now_ms: int) -> None: ...

    def check(self) -> None:
        self._answer()

    def close(self) -> None: ...

    def _answer(self) -> None:
        if self.down:
            raise StoreUnavailable("it is down")


class PassQuality:
    """Flags samples that are not evaluated as passed."""

    def register(self, series: Sequence[Series]) -> None: ...

    def flag(self, batch: SampleBatch, now_ms: int) -> SampleBatch:
        return batch.with_quality(np.where(batch.quality == 2, 1, batch.quality).astype(np.uint8))

    def take_corrections(self) -> SampleBatch:
        return SampleBatch.empty()


class RecordingAlerts:
    """Records what the pipeline passes on."""

    def __init__(self) -> None:
        self.batches: list[SampleBatch] = []
        self.online: list[tuple[str, str | None, bool]] = []
        self.registered: list[Series] = []
        self.broken = False

    def register(self, series: Sequence[Series]) -> None:
        self.registered.extend(series)

    def process(self, batch: SampleBatch, now_ms: int) -> list[Any]:
        if self.broken:
            raise ValueError("a defect in a rule")
        self.batches.append(batch)
        return []

    def tick(self, now_ms: int) -> list[Any]:
        return []

    def set_online(self, gateway: str, device: str | None, online: bool, now_ms: int) -> None:
        self.online.append((gateway, device, online))

    def set_broker_online(self, online: bool, now_ms: int) -> None: ...


class RecordingLink:
    """Records the commands that were sent, decoded."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Any]] = []

    def publish(self, topic: str, payload: bytes) -> None:
        for m in Payload.FromString(payload).metrics:
            value = m.long_value if m.HasField("long_value") else m.boolean_value
            self.sent.append((topic, m.name, value))

    def publish_all(self, commands: Sequence[tuple[str, bytes]]) -> None:
        for command in commands:
            self.publish(*command)

    def acknowledged(self) -> list[int]:
        return [v for _, name, v in self.sent if name == "Node Control/Ack Through"]
