"""Stations, gateways, devices and series as rows of the database, and back."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from cloud_ingest.inventory.model import Device, Gateway, Station
from telemetry.series import Series, SeriesKey

_NOT_SAVED = ("group", "station", "rebirths_asked", "sequence_gaps")


def station_row(s: Station) -> dict[str, Any]:
    """The row of a station."""
    return {
        "id": s.id, "name": s.name, "group_id": s.group, "latitude": s.latitude,
        "longitude": s.longitude, "former_unit": s.former_unit, "current_unit": s.current_unit,
    }  # fmt: skip


def station_from(values: dict[str, Any]) -> Station:
    """The station of a row, which is changed."""
    return Station(group=values.pop("group_id"), **values)


def gateway_row(g: Gateway) -> dict[str, Any]:
    """The row of a gateway; counters since the start are not saved."""
    row = {f.name: getattr(g, f.name) for f in fields(g) if f.name not in _NOT_SAVED}
    return row | {"group_id": g.group, "station_id": g.station}


def gateway_from(values: dict[str, Any]) -> Gateway:
    """The gateway of a row, which is changed."""
    return Gateway(group=values.pop("group_id"), station=values.pop("station_id"), **values)


def device_row(d: Device) -> dict[str, Any]:
    """The row of a device."""
    row = {f.name: getattr(d, f.name) for f in fields(d) if f.name != "gateway"}
    return row | {"gateway_id": d.gateway, "diagnostics": dict(d.diagnostics)}


def device_from(values: dict[str, Any]) -> Device:
    """The device of a row, which is changed."""
    return Device(gateway=values.pop("gateway_id"), **values)


def series_row(s: Series) -> tuple[Any, ...]:
    """The values of a series in the order of the table's columns."""
    low, high = s.valid or (None, None)
    key = s.key
    return (
        s.index, key.gateway, key.device, key.metric, s.group, s.station, s.quantity, s.unit,
        s.interval_ms, low, high, s.profile, json.dumps(s.tags) if s.tags else "[]",
    )  # fmt: skip


def series_from(row: Mapping[str, Any]) -> Series:
    """The series of a row."""
    valid = None if row["low"] is None or row["high"] is None else (row["low"], row["high"])
    return Series(
        row["index"], SeriesKey(row["gateway_id"], row["device"], row["metric"]), row["group_id"],
        row["station_id"], row["quantity"], row["unit"], row["interval_ms"], valid,
        row["profile"], tuple(row["tags"]),
    )  # fmt: skip
