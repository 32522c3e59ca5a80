"""A sample at the edge: one value of one metric at one moment."""

from dataclasses import dataclass

from telemetry.quality import Flag


@dataclass(frozen=True, slots=True)
class Sample:
    """What one metric of a device said at one moment.

    ``time_ms`` is UTC milliseconds since 1970, the middle of the bus transaction that read it.
    ``value`` is in the unit that the device profile names; None means that the device had none.
    """

    metric: str
    time_ms: int
    value: float | None
    flag: Flag = Flag.NOT_EVALUATED
