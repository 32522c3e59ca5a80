"""Samples gathered message by message, handed on as one batch in columns."""

import numpy as np

from telemetry.batches import SampleBatch


class SampleBuffer:
    """Four growing columns beside whole batches; ``take`` empties them into one batch."""

    __slots__ = ("_batches", "_in_batches", "quality", "series", "time_ms", "value")

    def __init__(self) -> None:
        self.series: list[int] = []
        self.time_ms: list[int] = []
        self.value: list[float] = []
        self.quality: list[int] = []
        self._batches: list[SampleBatch] = []
        self._in_batches = 0

    def __len__(self) -> int:
        return len(self.series) + self._in_batches

    def add(self, series: int, time_ms: int, value: float, quality: int) -> None:
        """Append one sample."""
        self.series.append(series)
        self.time_ms.append(time_ms)
        self.value.append(value)
        self.quality.append(quality)

    def time_at(self, place: int) -> int | None:
        """The time of the sample added as number ``place`` one by one; None if there is none."""
        at = place - self._in_batches
        return self.time_ms[at] if 0 <= at < len(self.time_ms) else None

    def extend(self, batch: SampleBatch) -> None:
        """Add a whole batch."""
        self._batches.append(batch)
        self._in_batches += len(batch)

    def take(self) -> SampleBatch:
        """What has been gathered; the columns are empty afterwards."""
        batch = SampleBatch(
            np.array(self.series, dtype=np.int32),
            np.array(self.time_ms, dtype=np.int64),
            np.array(self.value, dtype=np.float64),
            np.array(self.quality, dtype=np.uint8),
        )
        batch = SampleBatch.concat([*self._batches, batch])
        self.__init__()  # type: ignore[misc]  # as new
        return batch
