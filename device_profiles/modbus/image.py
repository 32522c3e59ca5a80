"""The registers of a simulated device, by its profile."""

from collections.abc import Sequence

from device_profiles.metric import Metric
from device_profiles.modbus.codec import Unencodable, encode_metric
from device_profiles.profile import Profile
from device_profiles.registers import Table


class RegisterImage:
    """The four tables of a device; only addresses that its profile names exist."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.tables: dict[Table, dict[int, int]] = {table: {} for table in Table}
        for metric in profile.metrics:
            self._put(metric, _empty(metric))

    def set(self, name: str, value: float | None) -> None:
        """Set the metric ``name`` to ``value``, in the unit of the metric.

        KeyError for an unknown metric, Unencodable if its registers cannot hold the value.
        """
        metric = self.profile.metric(name)
        self._put(metric, encode_metric(metric, value))

    def read(self, table: str, address: int, count: int) -> list[int] | None:
        """``count`` registers (or bits) from ``address``; None if one of them does not exist."""
        held = self.tables[Table(table)]
        try:
            return [held[a] for a in range(address, address + count)]
        except KeyError:
            return None

    def write(self, table: str, address: int, values: Sequence[int]) -> None:
        """Write raw registers (or bits); missing addresses are created."""
        for i, value in enumerate(values):
            self.tables[Table(table)][address + i] = value

    def _put(self, metric: Metric, words: Sequence[int]) -> None:
        assert metric.address is not None
        held = self.tables[metric.table]
        part = metric.bit_field
        if part is not None:
            keep = encode_mask(metric)
            words = [
                held.get(metric.address + i, 0) & ~mask & 0xFFFF | word
                for i, (word, mask) in enumerate(zip(words, keep, strict=True))
            ]
        self.write(metric.table, metric.address, words)


def encode_mask(metric: Metric) -> list[int]:
    """The mask of the bits that belong to a metric that is a bit field."""
    part = metric.bit_field
    assert part is not None
    return encode_metric(metric, part.mask * metric.scale + metric.offset)


def _empty(metric: Metric) -> list[int]:
    try:
        return encode_metric(metric, None)
    except Unencodable:
        return [0] * metric.register_count
