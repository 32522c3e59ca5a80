"""Stale series are explained by the widest outage."""

import numpy as np
import pytest

from alert_rules.staleness import Scope, Topology, find_outages

TOPOLOGY = Topology(
    # two gateways; g0 has bus 0 with devices 0 and 1, and device 2 on no known bus; g1 has device 3
    device=np.array([0, 0, 1, 2, 3], np.int32),
    bus_of_device=np.array([0, 0, -1, -1], np.int32),
    gateway_of_device=np.array([0, 0, 0, 1], np.int32),
)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ([100, 100, 100, 100, 100], [-1] * 5),
        ([50, 100, 100, 100, 100], [Scope.METRIC, -1, -1, -1, -1]),
        ([50, 51, 100, 100, 100], [Scope.DEVICE, Scope.DEVICE, -1, -1, -1]),
        ([50, 51, 52, 100, 100], [Scope.BUS, Scope.BUS, Scope.BUS, -1, -1]),
        ([50, 51, 52, 53, 100], [Scope.GATEWAY] * 4 + [-1]),
        ([100, 100, 100, 100, 50], [-1] * 4 + [Scope.GATEWAY]),
        ([50, 0, 0, 100, 100], [Scope.DEVICE, -1, -1, -1, -1]),  # the others were never heard
        ([88, 91, 100, 100, 100], [-1] * 5),  # the device may be about to go silent as a whole
    ],
)
def test_a_stale_series_is_explained_by_the_widest_outage(last, expected):
    last_ms = np.array(last, np.int64) * 1000
    timeout = np.full(5, 10_000, np.int64)
    scope = find_outages(100_000, last_ms, timeout, TOPOLOGY).widest_scope(TOPOLOGY)
    assert scope.tolist() == expected


def test_without_the_broker_every_stale_series_is_explained_by_it():
    last_ms = np.full(5, 50_000, np.int64)
    timeout = np.full(5, 10_000, np.int64)
    outages = find_outages(100_000, last_ms, timeout, TOPOLOGY, broker_online=False)
    assert outages.widest_scope(TOPOLOGY).tolist() == [Scope.BROKER] * 5
