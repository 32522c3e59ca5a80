"""From what was measured to the contents of rows."""

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.outbox.catalogue import Catalogue
from edge_agent.outbox.rows import Report, Shape, pack, pack_free, split
from edge_agent.reading import Reading


@dataclass(frozen=True, slots=True)
class Packed:
    """A row before it has its number."""

    shape: Shape
    time_ms: int
    count: int
    data: bytes


def packed(report: Report, catalogue: Catalogue) -> Iterator[Packed]:
    """The rows of a report: one, or several where it is long."""
    device, samples = report.device, report.samples
    if isinstance(samples, Reading):
        data, shape = samples.packed(), catalogue.shape_for(device, samples.metrics)
        if data is not None and shape.aliases:
            yield Packed(shape, samples.time_ms, len(samples), data)
            return
    for part in split(samples):
        names = [s.metric for s in part]
        aliases = catalogue.aliases(device, names)
        shape = catalogue.shape(device, [aliases[n] for n in names])
        data = pack(part) if shape.aliases else pack_free(part, aliases)
        yield Packed(shape, part[0].time_ms, len(part), data)
