"""Samples gathered message by message, handed on as one batch in columns."""

import numpy as np

from telemetry.batches import SampleBatch


class Columns:
    """Four growing columns; ``take`` empties them into a batch."""

    __slots__ = ("quality", "series", "time_ms", "value")

    def __init__(self) -> None:
        self.series: list[int] = []
        self.time_ms: list[int] = []
        self.value: list[float] = []
        self.quality: list[int] = []

    def __len__(self) -> int:
        return len(self.series)

    def add(self, series: int, time_ms: int, value: float, quality: int) -> None:
        """Append one sample."""
        self.series.append(series)
        self.time_ms.append(time_ms)
        self.value.append(value)
        self.quality.append(quality)

    def take(self) -> SampleBatch:
        """What has been gathered; the columns are empty afterwards."""
        batch = SampleBatch(
            np.array(self.series, dtype=np.int32),
            np.array(self.time_ms, dtype=np.int64),
            np.array(self.value, dtype=np.float64),
            np.array(self.quality, dtype=np.uint8),
        )
        self.series, self.time_ms, self.value, self.quality = [], [], [], []
        return batch
