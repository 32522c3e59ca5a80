"""The memtable: samples that are in the journal and in no part yet."""

import numpy as np

from cloud_ingest.stores.embedded.files.manifest import DAY_MS
from telemetry.batches import SampleBatch


class Memtable:
    """Samples in the order of their arrival, in columns that grow.

    One thread appends. An earlier view stays valid: rows are added after it, and when the columns
    grow, the view keeps the old arrays.
    """

    def __init__(self, capacity: int = 1 << 14) -> None:
        self._rows = 0
        self._columns = _columns(capacity)
        self._days: set[int] = set()

    def __len__(self) -> int:
        return self._rows

    @property
    def days(self) -> frozenset[int]:
        """The days (since 1970) of the samples."""
        return frozenset(self._days)

    def append(self, batch: SampleBatch) -> None:
        """Add the samples of ``batch``."""
        end = self._rows + len(batch)
        if end > len(self._columns):
            grown = _columns(max(end, 2 * len(self._columns)))
            _copy(self._columns, grown, 0, self._rows)
            self._columns = grown
        _copy(batch, self._columns, self._rows, len(batch))
        first, last = int(batch.time_ms.min()) // DAY_MS, int(batch.time_ms.max()) // DAY_MS
        if first == last:
            self._days.add(first)
        else:
            self._days.update(np.unique(batch.time_ms // DAY_MS).tolist())
        self._rows = end

    def view(self) -> SampleBatch:
        """All present samples, without a copy."""
        c, n = self._columns, self._rows
        return SampleBatch(c.series[:n], c.time_ms[:n], c.value[:n], c.quality[:n])


def _columns(capacity: int) -> SampleBatch:
    return SampleBatch(
        np.empty(capacity, np.int32),
        np.empty(capacity, np.int64),
        np.empty(capacity, np.float64),
        np.empty(capacity, np.uint8),
    )


def _copy(source: SampleBatch, target: SampleBatch, position: int, rows: int) -> None:
    target.series[position : position + rows] = source.series[:rows]
    target.time_ms[position : position + rows] = source.time_ms[:rows]
    target.value[position : position + rows] = source.value[:rows]
    target.quality[position : position + rows] = source.quality[:rows]
