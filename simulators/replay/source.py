"""A recording as the source of an instrument."""

from collections.abc import Mapping
from typing import Self

import numpy as np

from device_profiles import Metric
from simulators.devices.instrument import ValueSource
from simulators.replay.recording import Column, read_recording
from simulators.scenarios.model import ReplayModel
from simulators.signals.randomness import Float64, Int64


class ReplaySource:
    """Replays recorded columns from ``start_ms``; other metrics come from ``otherwise``.

    Gaps of the recording have no value. Recorded numbers are in the unit of each metric, those of
    an export in the canonical unit.
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        start_ms: int,
        otherwise: ValueSource,
        *,
        speed: float = 1.0,
        loop: bool = False,
    ) -> None:
        starts = [int(c.time_ms[0]) for c in columns.values() if len(c.time_ms)]
        ends = [int(c.time_ms[-1]) + c.step_ms for c in columns.values() if len(c.time_ms)]
        self._columns = columns
        self._start_ms = start_ms
        self._otherwise = otherwise
        self._speed = speed
        self._loop = loop
        self._first_ms = min(starts, default=0)
        self._length_ms = max(ends, default=1) - self._first_ms

    @classmethod
    def of(cls, model: ReplayModel, start_ms: int, otherwise: ValueSource) -> Self:
        """Read the recording that a scenario names."""
        found = read_recording(model.file, list(model.columns.values()), model.time, model.missing)
        columns = {metric: found[name] for metric, name in model.columns.items()}
        return cls(columns, start_ms, otherwise, speed=model.speed, loop=model.loop)

    def replays(self, metric: Metric) -> bool:
        """True if the metric is in the recording; its values need no noise."""
        return metric.name in self._columns

    def values(self, metric: Metric, time_ms: Int64) -> Float64:
        """See ValueSource."""
        column = self._columns.get(metric.name)
        if column is None:
            return self._otherwise.values(metric, time_ms)
        since = ((time_ms - self._start_ms) * self._speed).astype(np.int64)
        if self._loop:
            since = np.mod(since, self._length_ms)
        recorded = column.at(self._first_ms + since)
        if column.canonical:
            return recorded
        factor = metric.to_canonical(1.0) - metric.to_canonical(0.0)
        values: Float64 = recorded * factor + metric.to_canonical(0.0)
        return values
