"""Stations, gateways, devices and series as JSON."""

from typing import Any

from cloud_ingest.intake.ledger.ledger import Ledger
from cloud_ingest.inventory.inventory import Inventory
from cloud_ingest.inventory.model import Device, Gateway, Station
from telemetry.quantities import QUANTITIES, Quantity
from telemetry.series import Series
from telemetry.sparkplug import names


def json_of_quantity(q: Quantity) -> dict[str, Any]:
    """A quantity with its unit and names."""
    return {
        "name": q.name, "unit": q.unit, "domain": q.domain, "en": q.en, "vi": q.vi,
        "cumulative": q.cumulative, "circular": q.circular,
    }  # fmt: skip


def json_of_station(station: Station, gateways: list[Gateway]) -> dict[str, Any]:
    """A station with the state of its ``gateways``."""
    seen = [g.last_seen_ms for g in gateways if g.last_seen_ms is not None]
    return {
        "id": station.id,
        "name": station.name,
        "latitude": station.latitude,
        "longitude": station.longitude,
        "group": station.group,
        "gateways": [g.id for g in gateways],
        "online": any(g.online for g in gateways),
        "last_seen_ms": max(seen, default=None),
        "administrative": {"former": station.former_unit, "current": station.current_unit},
    }


def json_of_gateway(
    gateway: Gateway, inventory: Inventory, ledger: Ledger, samples_stored: int | None = None
) -> dict[str, Any]:
    """A gateway; ``samples_stored`` replaces the ledger's count."""
    account = ledger.account(gateway.id)
    station = inventory.station(gateway.station)
    devices = inventory.devices_of(gateway.id)
    stored = ledger.samples_stored(gateway.id) if samples_stored is None else samples_stored
    return {
        "id": gateway.id,
        "group": gateway.group,
        "station": gateway.station,
        "station_name": station.name if station else gateway.station,
        "online": gateway.online,
        "last_seen_ms": gateway.last_seen_ms,
        "since_ms": gateway.since_ms,
        "born_ms": gateway.born_ms,
        "backlog": gateway.backlog,
        "backlog_oldest_ms": gateway.backlog_oldest_ms,
        "samples_measured": gateway.samples_measured,
        "samples_stored": stored,
        "samples_given_up": gateway.samples_given_up,
        "acknowledges": gateway.acknowledges,
        "ack_through": account.through if account and account.known else None,
        "next_batch": gateway.next_batch,
        "agent_version": str(gateway.properties.get("Agent Version", "")),
        "devices": len(devices),
        "devices_online": sum(d.online for d in devices),
        "rebirths_asked": gateway.rebirths_asked,
        "sequence_gaps": gateway.sequence_gaps,
        "properties": gateway.properties,
    }


def json_of_device(device: Device, inventory: Inventory) -> dict[str, Any]:
    """A device with the counters of its bus."""
    gateway = inventory.gateway(device.gateway)
    properties = device.properties
    return {
        "id": f"{device.gateway}/{device.name}",
        "gateway": device.gateway,
        "device": device.name,
        "station": gateway.station if gateway else "",
        "group": gateway.group if gateway else "",
        "online": device.online,
        "last_seen_ms": device.last_seen_ms,
        "since_ms": device.since_ms,
        "profile": device.profile,
        "manufacturer": _text(properties, names.MANUFACTURER),
        "model": _text(properties, names.MODEL),
        "bus": _text(properties, names.BUS),
        "series": inventory.count_series(device.gateway, device.name),
        "diagnostics": device.diagnostics,
        "properties": properties,
    }


def _text(properties: dict[str, Any], name: str) -> str:
    return str(properties.get(name.removeprefix("Properties/"), ""))


def json_of_series(series: Series) -> dict[str, Any]:
    """A series with its properties."""
    quantity = QUANTITIES.get(series.quantity)
    return {
        "id": str(series.key),
        "gateway": series.key.gateway,
        "device": series.key.device,
        "metric": series.key.metric,
        "group": series.group,
        "station": series.station,
        "quantity": series.quantity,
        "unit": series.unit,
        "interval_ms": series.interval_ms,
        "valid": list(series.valid) if series.valid else None,
        "profile": series.profile,
        "cumulative": bool(quantity and quantity.cumulative),
        "circular": bool(quantity and quantity.circular),
    }
