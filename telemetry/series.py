"""A series: one metric of one device of one gateway, over time."""

from dataclasses import dataclass, field

NODE_DEVICE = "-"
"""The device part of the key of a metric that belongs to the gateway itself."""


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Identifies a series: ``gateway/device/metric``. The metric may contain slashes."""

    gateway: str
    device: str
    metric: str

    @classmethod
    def parse(cls, text: str) -> "SeriesKey":
        """Read ``gateway/device/metric``; ValueError if a part is missing."""
        parts = text.split("/", 2)
        if len(parts) != 3 or not all(parts):
            raise ValueError(f"{text!r} is not a series key; write gateway/device/metric")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.gateway}/{self.device}/{self.metric}"


@dataclass(frozen=True, slots=True)
class Series:
    """A series in the cloud: its index, its key and the properties from its birth.

    ``index`` is the position of the series in every state array and its number in a SampleBatch;
    indexes are dense, start at 0 and never change. ``unit`` is the UCUM code in which values are
    stored. ``interval_ms`` is the expected time between samples (0: unknown). ``valid`` is the
    possible range by the device profile, inclusive.
    """

    index: int
    key: SeriesKey
    group: str
    station: str
    quantity: str
    unit: str
    interval_ms: int = 0
    valid: tuple[float, float] | None = None
    profile: str = ""
    tags: tuple[str, ...] = field(default=())
