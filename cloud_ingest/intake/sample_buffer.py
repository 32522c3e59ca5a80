"""A buffer of decoded samples that becomes one batch."""

import numpy as np

from telemetry.batches import SampleBatch


class SampleBuffer:
    """Collects single samples and whole batches; ``take`` returns them as one batch."""

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

    def time_at(self, index: int) -> int | None:
        """The time of the single sample at ``index`` of the buffer; None if there is none."""
        at = index - self._in_batches
        return self.time_ms[at] if 0 <= at < len(self.time_ms) else None

    def extend(self, batch: SampleBatch) -> None:
        """Add a whole batch."""
        self._batches.append(batch)
        self._in_batches += len(batch)

    def take(self) -> SampleBatch:
        """All samples as one batch; the buffer is empty afterwards."""
        batch = SampleBatch(
            np.array(self.series, dtype=np.int32),
            np.array(self.time_ms, dtype=np.int64),
            np.array(self.value, dtype=np.float64),
            np.array(self.quality, dtype=np.uint8),
        )
        batch = SampleBatch.concat([*self._batches, batch])
        self.__init__()  # type: ignore[misc]  # as new
        return batch
