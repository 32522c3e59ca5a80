"""The pure core of the no-data watch: which series are stale, and the widest outage that explains it.

A series is stale when it has sent nothing for longer than its timeout. An outage covers one metric,
a device, a bus, a gateway or everything behind the broker.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from telemetry.batches import Bool, Int32, Int64


class Scope(IntEnum):
    """How much an outage covers, from the narrowest to the widest."""

    METRIC = 0
    DEVICE = 1
    BUS = 2
    GATEWAY = 3
    BROKER = 4


@dataclass(frozen=True, slots=True, eq=False)
class Topology:
    """Where each series belongs: the numbers (from 0) of its device, bus and gateway.

    ``device`` is by series, ``bus_of_device`` and ``gateway_of_device`` by device number. Bus -1:
    not known.
    """

    device: Int32
    bus_of_device: Int32
    gateway_of_device: Int32


@dataclass(frozen=True, slots=True, eq=False)
class Staleness:
    """For each series (or device, bus, gateway): time since its last sample, timeout, stale or not."""

    age_ms: Int64
    timeout_ms: Int64
    stale: Bool

    def heard_after(self, number: Int32, age_ms: Int64, timeout_ms: Int64) -> Bool:
        """For each part of ``number``: True if the whole was heard clearly later than the part.

        If it was not, the outage of the part may be the beginning of an outage of the whole.
        """
        return age_ms - self.age_ms[number] >= timeout_ms // 2


@dataclass(frozen=True, slots=True, eq=False)
class Outages:
    """What is stale at one moment, at every scope."""

    series: Staleness
    device: Staleness
    bus: Staleness
    gateway: Staleness
    broker: bool

    def widest_scope(self, topology: Topology) -> NDArray[np.int8]:
        """For each series the widest Scope that explains why it is stale.

        -1: the series is not stale, or it is too early to tell whether more than it is affected.
        """
        device = topology.device
        gateway = topology.gateway_of_device[device]
        scope = np.full(len(device), -1, np.int8)
        metric = self.device.heard_after(device, self.series.age_ms, self.series.timeout_ms)
        scope[metric] = Scope.METRIC
        gateway_heard = self.gateway.heard_after(
            gateway, self.device.age_ms[device], self.device.timeout_ms[device]
        )
        whole = self.device.stale[device]
        scope[whole] = np.where(gateway_heard[whole], Scope.DEVICE, -1)
        at = np.flatnonzero(topology.bus_of_device[device] >= 0)
        at = at[self.bus.stale[topology.bus_of_device[device[at]]]]
        scope[at] = np.where(gateway_heard[at], Scope.BUS, -1)
        scope[self.gateway.stale[gateway]] = Scope.GATEWAY
        if self.broker:
            scope[:] = Scope.BROKER
        scope[~self.series.stale] = -1
        return scope


def find_outages(
    now_ms: int,
    last_ms: Int64,
    timeout_ms: Int64,
    topology: Topology,
    *,
    broker_online: bool = True,
) -> Outages:
    """What is stale at ``now_ms``, given when each series was heard last (0: never, not judged).

    A device (bus, gateway) is stale if none of its series was heard for the shortest timeout among
    them. A bus with a single device is never stale: its outage is that of the device.
    """
    known = last_ms > 0
    age_ms = np.where(known, now_ms - last_ms, 0)
    series = Staleness(age_ms, timeout_ms, known & (age_ms > timeout_ms))
    devices = len(topology.bus_of_device)
    device, _ = _aggregate(topology.device[known], age_ms[known], timeout_ms[known], devices)
    heard = device.timeout_ms < _UNKNOWN_MS
    on_bus = heard & (topology.bus_of_device >= 0)
    bus, devices_on_bus = _aggregate(
        topology.bus_of_device[on_bus], device.age_ms[on_bus], device.timeout_ms[on_bus],
        int(topology.bus_of_device.max(initial=-1)) + 1,
    )  # fmt: skip
    bus.stale[devices_on_bus < 2] = False
    gateway, _ = _aggregate(
        topology.gateway_of_device[heard], device.age_ms[heard], device.timeout_ms[heard],
        int(topology.gateway_of_device.max(initial=-1)) + 1,
    )  # fmt: skip
    return Outages(series, device, bus, gateway, not broker_online)


_UNKNOWN_MS = np.iinfo(np.int64).max // 4


def _aggregate(
    group: Int32, age_ms: Int64, timeout_ms: Int64, size: int
) -> tuple[Staleness, Int64]:
    """The smallest age and timeout of each group, and the number of its parts."""
    age = np.full(size, _UNKNOWN_MS, np.int64)
    timeout = np.full(size, _UNKNOWN_MS, np.int64)
    np.minimum.at(age, group, age_ms)
    np.minimum.at(timeout, group, timeout_ms)
    parts = np.bincount(group, minlength=size).astype(np.int64)
    return Staleness(age, timeout, (parts > 0) & (age > timeout)), parts
