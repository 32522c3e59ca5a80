"""The uplink: the gateway as a Sparkplug B edge node with confirmed delivery."""

from edge_agent.uplink.description import (
    BrokerAddress,
    DeviceDescription,
    MetricDescription,
    NodeDescription,
    UplinkSettings,
)
from edge_agent.uplink.uplink import Uplink, UplinkState

__all__ = [
    "BrokerAddress",
    "DeviceDescription",
    "MetricDescription",
    "NodeDescription",
    "Uplink",
    "UplinkSettings",
    "UplinkState",
]
