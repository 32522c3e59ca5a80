"""A sample at the edge: one value of one metric at one time."""

from typing import NamedTuple

from telemetry.quality import Flag


class Sample(NamedTuple):
    """One value of one metric of a device. A tuple, the immutable type that is fastest to make.

    ``time_ms`` is UTC milliseconds since 1970, the middle of the bus transaction that read it.
    ``value`` is in the unit of the device profile; None if the device had no value.
    """

    metric: str
    time_ms: int
    value: float | None
    flag: Flag = Flag.NOT_EVALUATED
