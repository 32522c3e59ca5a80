"""Turns reports into the contents of rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edge_agent.acquisition.reading import Reading
from edge_agent.outbox.sqlite.aliases import Aliases
from edge_agent.outbox.sqlite.row_format import (
    NO_SHAPE,
    Report,
    Shape,
    StoredReport,
    pack,
    pack_free,
    split,
    unpack,
)
from telemetry.samples import Sample


@dataclass(frozen=True, slots=True)
class Packed:
    """A row without its report number."""

    shape: Shape
    time_ms: int
    count: int
    data: bytes


def packed(report: Report, aliases: Aliases) -> Iterator[Packed]:
    """The rows of a report: one, or several if it is long."""
    device, samples = report.device, report.samples
    if isinstance(samples, Reading):
        data, shape = samples.packed(), aliases.shape_for(device, samples.metrics)
        if data is not None and shape.aliases:
            yield Packed(shape, samples.time_ms, len(samples), data)
            return
    for part in split(samples):
        names = [s.metric for s in part]
        alias_of = aliases.assign(device, names)
        shape = aliases.shape(device, [alias_of[n] for n in names])
        data = pack(part) if shape.aliases else pack_free(part, alias_of)
        yield Packed(shape, part[0].time_ms, len(part), data)


def renumbered(
    report: StoredReport, names: Mapping[int, tuple[str, str]], aliases: Aliases
) -> StoredReport:
    """``report`` with the aliases that ``aliases`` assigns to ``names``, by old alias."""
    samples = [Sample(names[a][1], time_ms, v, flag) for a, time_ms, v, flag in unpack(report)]
    if not samples:
        return replace(report, shape=NO_SHAPE)
    row = next(packed(Report(report.shape.device, samples), aliases))
    return replace(report, shape=row.shape, data=row.data)
