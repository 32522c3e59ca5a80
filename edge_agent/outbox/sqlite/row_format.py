"""The compact row of a report: 8 bytes for each sample if all share a time, else 13.

The metrics of a report repeat from poll to poll, so a row names them by a *shape*: the device and
the aliases in order. Only values are stored, and times and flags if they differ.
"""

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.clock import FIRST_TRUSTED_MS
from telemetry.quality import Flag
from telemetry.samples import Sample

MAX_SAMPLES = 1000
"""The most samples in one row; bigger reports become several rows."""

_MAX_SPREAD_MS = 2**31 - 1
_FREE = struct.Struct("<Iibd")
_NAN = math.nan


@dataclass(frozen=True, slots=True)
class Report:
    """Samples of one device, measured together. ``device`` None is the gateway itself."""

    device: str | None
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class Shape:
    """The device and metrics of a row. Without ``aliases`` each sample carries its own alias."""

    number: int
    device: str | None
    aliases: tuple[int, ...]


NO_SHAPE = Shape(0, None, ())
"""The shape of reports whose row was damaged: only their report number is known."""


@dataclass(frozen=True, slots=True)
class StoredReport:
    """One row of the outbox: batch ``batch``, ``count`` samples, the first at ``time_ms``.

    An evicted report keeps its number with ``count`` 0 and no data.
    """

    batch: int
    shape: Shape
    time_ms: int
    count: int
    data: bytes

    @property
    def stamped(self) -> bool:
        """Whether its times are UTC (and not monotonic)."""
        return self.time_ms >= FIRST_TRUSTED_MS

    @property
    def has_values_only(self) -> bool:
        """Whether ``data`` is only the doubles of samples that share ``time_ms``."""
        return bool(self.shape.aliases) and len(self.data) == 8 * len(self.shape.aliases)


def split(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    """``samples`` in time order, in parts that each fit one row."""
    part: list[Sample] = []
    for sample in sorted(samples, key=lambda s: s.time_ms):
        if part and (len(part) == MAX_SAMPLES or sample.time_ms - part[0].time_ms > _MAX_SPREAD_MS):
            yield part
            part = []
        part.append(sample)
    if part:
        yield part


def pack(samples: Sequence[Sample]) -> bytes:
    """The data of a row whose shape names the metrics of ``samples`` (in time order)."""
    n = len(samples)
    base = samples[0].time_ms
    values = [_NAN if s.value is None else s.value for s in samples]
    if all(s.time_ms == base and s.flag is Flag.NOT_EVALUATED for s in samples) and not any(
        map(math.isnan, values)
    ):
        return struct.pack(f"<{n}d", *values)
    times = [s.time_ms - base for s in samples]
    return struct.pack(f"<{n}i{n}B{n}d", *times, *[s.flag for s in samples], *values)


def pack_free(samples: Sequence[Sample], aliases: Mapping[str, int]) -> bytes:
    """The same for a row whose shape has no aliases: each sample carries its alias."""
    base = samples[0].time_ms
    return b"".join(
        _FREE.pack(
            aliases[s.metric], s.time_ms - base, s.flag, _NAN if s.value is None else s.value
        )
        for s in samples
    )


def unpack(report: StoredReport) -> Iterator[tuple[int, int, float | None, Flag]]:
    """Alias, time, value and flag of each sample."""
    data, base = report.data, report.time_ms
    if not data:
        return
    if not report.shape.aliases:
        for alias, offset, flag, value in _FREE.iter_unpack(data):
            yield alias, base + offset, None if math.isnan(value) else value, Flag(flag)
        return
    n = len(report.shape.aliases)
    if report.has_values_only:
        for alias, value in zip(report.shape.aliases, struct.unpack(f"<{n}d", data), strict=True):
            yield alias, base, value, Flag.NOT_EVALUATED
        return
    columns = struct.unpack(f"<{n}i{n}B{n}d", data)
    for i, alias in enumerate(report.shape.aliases):
        value = columns[2 * n + i]
        yield alias, base + columns[i], None if math.isnan(value) else value, Flag(columns[n + i])
