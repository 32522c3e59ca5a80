"""A series: one metric of one device of one gateway, over time."""

from dataclasses import dataclass, field

NODE_DEVICE = "-"
"""Stands for the device in the key of a metric that belongs to the gateway itself."""


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Names a series; written ``gateway/device/metric``. A metric's name may hold slashes."""

    gateway: str
    device: str
    metric: str

    @classmethod
    def parse(cls, text: str) -> "SeriesKey":
        """Read ``gateway/device/metric``; ValueError where a part is missing."""
        parts = text.split("/", 2)
        if len(parts) != 3 or not all(parts):
            raise ValueError(f"{text!r} is not a series key; write gateway/device/metric")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.gateway}/{self.device}/{self.metric}"


@dataclass(frozen=True, slots=True)
class Series:
    """A series as the cloud knows it: its number, its key and what its birth said of it.

    ``index`` is the series' place in every state array and its number in a SampleBatch; it is
    dense, starts at 0 and never changes. ``unit`` is the UCUM code in which values are stored.
    ``interval_ms`` is how often a sample is expected (0: unknown). ``valid`` is the range that
    the device profile calls possible, inclusive.
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
