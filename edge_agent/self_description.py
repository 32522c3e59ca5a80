"""The description of the gateway and its devices for their births."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from edge_agent.configuration import BrokerConfiguration, GatewayConfiguration
from edge_agent.devices import Bus, Device
from edge_agent.reporting.reporting_steps import reported_metrics
from edge_agent.uplink import (
    BrokerAddress,
    DeviceDescription,
    MetricDescription,
    NodeDescription,
    UplinkSettings,
)


def describe_node(configuration: GatewayConfiguration, buses: Sequence[Bus]) -> NodeDescription:
    """The gateway, its station and its devices."""
    station = configuration.station
    return NodeDescription(
        devices=tuple(describe_device(d) for bus in buses for d in bus.devices),
        station_id=station.id,
        station_name=station.name,
        latitude=station.latitude,
        longitude=station.longitude,
        agent_version=agent_version(),
    )


def describe_device(device: Device) -> DeviceDescription:
    """One device: its model and what it measures, in canonical units."""
    profile = device.profile
    metrics = tuple(
        MetricDescription(
            name=m.name,
            quantity=m.quantity,
            unit=m.unit,
            interval_ms=m.interval_ms,
            low=m.low,
            high=m.high,
        )
        for m in reported_metrics(device)
    )
    return DeviceDescription(
        name=device.name,
        metrics=metrics,
        profile=profile.id,
        manufacturer=profile.manufacturer,
        model=profile.model,
        bus=device.bus,
    )


def uplink_settings(configuration: GatewayConfiguration) -> UplinkSettings:
    """The settings of the uplink."""
    return UplinkSettings(
        group=configuration.group,
        gateway=configuration.gateway,
        brokers=(_address(configuration.broker),),
        host=configuration.host,
        confirm=configuration.confirm.value,
    )


def _address(broker: BrokerConfiguration) -> BrokerAddress:
    return BrokerAddress(
        url=broker.url,
        username=broker.username,
        password_file=broker.password_file,
        ca_file=broker.ca_file,
        cert_file=broker.cert_file,
        key_file=broker.key_file,
    )


def agent_version() -> str:
    """The version of this program."""
    try:
        return version("quantrac")
    except PackageNotFoundError:
        return "unknown"
