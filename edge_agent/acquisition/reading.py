"""The values of one read of a device: columns that share one time."""

import math
import struct
from collections.abc import Iterator, Sequence
from typing import overload

from telemetry.quality import Flag
from telemetry.samples import Sample


class Reading(Sequence[Sample]):
    """A sequence of samples with one time; Sample objects are made only on access.

    Most readings go into the outbox as they are, so this saves an object for each value. ``values``
    are in the order of ``metrics``; None means that the device had no value.
    """

    __slots__ = ("metrics", "time_ms", "values")

    def __init__(
        self, metrics: tuple[str, ...], time_ms: int, values: Sequence[float | None]
    ) -> None:
        self.metrics = metrics
        self.time_ms = time_ms
        self.values = values

    def packed(self) -> bytes | None:
        """The values as little-endian doubles; None if one is missing."""
        try:
            data = struct.pack(f"<{len(self.values)}d", *self.values)
            whole = not math.isnan(sum(self.values))  # type: ignore[arg-type]  # None: not packed
        except (struct.error, TypeError):
            return None
        return data if whole else None

    def __len__(self) -> int:
        return len(self.metrics)

    def __iter__(self) -> Iterator[Sample]:
        return map(self._sample, self.metrics, self.values)

    @overload
    def __getitem__(self, place: int) -> Sample: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Sample]: ...
    def __getitem__(self, place: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(place, slice):
            return Reading(self.metrics[place], self.time_ms, self.values[place])
        return self._sample(self.metrics[place], self.values[place])

    def _sample(self, metric: str, value: float | None) -> Sample:
        if value is None:
            return Sample(metric, self.time_ms, None, Flag.MISSING)
        return Sample(metric, self.time_ms, value)
