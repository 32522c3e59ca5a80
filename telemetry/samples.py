"""A sample at the edge: one value of one metric at one moment."""

from typing import NamedTuple

from telemetry.quality import Flag


class Sample(NamedTuple):
    """What one metric of a device said at one moment (a tuple: the cheapest frozen value to make).

    ``time_ms`` is UTC milliseconds since 1970, the middle of the bus transaction that read it.
    ``value`` is in the unit that the device profile names; None means that the device had none.
    """

    metric: str
    time_ms: int
    value: float | None
    flag: Flag = Flag.NOT_EVALUATED
