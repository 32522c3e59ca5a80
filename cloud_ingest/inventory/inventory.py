"""What the cloud knows of the field: stations, gateways, devices and series, with their state.

Held in memory, read by the API, written by the pipeline's thread alone and saved to the
relational database. Each series has a dense index that never changes.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cloud_ingest.database import Database, schema
from cloud_ingest.database.rows import put_rows, set_column
from cloud_ingest.database.upsert import upsert
from cloud_ingest.inventory.model import Device, Gateway, SeriesDescription, Station
from telemetry.batches import Int64
from telemetry.series import NODE_DEVICE, Series, SeriesKey


class Inventory:
    """Stations, gateways, devices and series. Reading methods may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.RLock()
        self._stations: dict[str, Station] = {}
        self._gateways: dict[str, Gateway] = {}
        self._devices: dict[tuple[str, str], Device] = {}
        self._series: list[Series] = []
        self._by_key: dict[SeriesKey, int] = {}
        self._dirty: dict[str, set[Any]] = {
            "stations": set(), "gateways": set(), "devices": set(), "series": set(),
        }  # fmt: skip
        self._heard: dict[tuple[str, str | None], int] = {}
        self._numbered: list[tuple[str, str | None]] = []
        self._numbered_ms: Int64 = np.empty(0, np.int64)  # by place in the list; 0: not heard
        self._any_heard = False
        self._seen: set[tuple[str, str | None]] = set()
        self._announce: set[int] = set()
        self._names: dict[str, tuple[str, ...]] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._sorted: list[Series] | None = None

    # --- reading

    def stations(self) -> list[Station]:
        """All stations by id."""
        with self._lock:
            return [replace(s) for _, s in sorted(self._stations.items())]

    def station(self, name: str) -> Station | None:
        """The station with this id."""
        with self._lock:
            return self._stations.get(name)

    def gateways(self) -> list[Gateway]:
        """All gateways by id."""
        with self._lock:
            self._enter_heard()
            return [replace(g) for _, g in sorted(self._gateways.items())]

    def gateway(self, name: str) -> Gateway | None:
        """The gateway with this id."""
        with self._lock:
            self._enter_heard()
            found = self._gateways.get(name)
            return replace(found) if found else None

    def group_of(self, gateway: str) -> str | None:
        """The group of a gateway; None if it is not known."""
        found = self._gateways.get(gateway)
        return found.group if found else None

    def devices(self) -> list[Device]:
        """All devices by gateway and name."""
        with self._lock:
            self._enter_heard()
            return [
                replace(d, diagnostics=dict(d.diagnostics))
                for _, d in sorted(self._devices.items())
            ]

    def device(self, gateway: str, name: str) -> Device | None:
        """One device of a gateway."""
        with self._lock:
            self._enter_heard()
            found = self._devices.get((gateway, name))
            return replace(found, diagnostics=dict(found.diagnostics)) if found else None

    def devices_of(self, gateway: str) -> list[Device]:
        """The devices of a gateway by name."""
        with self._lock:
            self._enter_heard()
            names = sorted(self._names.get(gateway, ()))
            return [replace(self._devices[gateway, name]) for name in names]

    def online(self) -> set[tuple[str, str]]:
        """The (gateway, device) that are online; a gateway's own metrics have the device "-"."""
        with self._lock:
            own = {(g.id, NODE_DEVICE) for g in self._gateways.values() if g.online}
            return own | {key for key, d in self._devices.items() if d.online}

    def count_series(self, gateway: str, device: str) -> int:
        """How many series a device has."""
        return self._counts.get((gateway, device), 0)

    def series_by_name(self) -> list[Series]:
        """All series in the order of their names."""
        with self._lock:
            if self._sorted is None:
                self._sorted = sorted(self._series, key=lambda s: str(s.key))
            return self._sorted

    def series(self) -> list[Series]:
        """All series by index."""
        with self._lock:
            return list(self._series)

    def series_of(self, key: SeriesKey) -> Series | None:
        """The series with this key."""
        with self._lock:
            index = self._by_key.get(key)
            return None if index is None else self._series[index]

    def series_at(self, index: int) -> Series:
        """The series with this index."""
        return self._series[index]

    def __len__(self) -> int:
        return len(self._series)

    # --- writing (the pipeline's thread)

    def put_station(self, station: Station) -> None:
        """Add a station, or change what is known of it."""
        with self._lock:
            old = self._stations.get(station.id)
            if old is not None:
                station = replace(
                    station,
                    latitude=old.latitude if station.latitude is None else station.latitude,
                    longitude=old.longitude if station.longitude is None else station.longitude,
                    former_unit=station.former_unit or old.former_unit,
                    current_unit=station.current_unit or old.current_unit,
                )
            if station != old:
                self._stations[station.id] = station
                self._dirty["stations"].add(station.id)

    def update_gateway(self, name: str, **changes: Any) -> None:
        """Change fields of a gateway; a new one needs ``group`` and ``station``."""
        with self._lock:
            gateway = self._gateways.get(name)
            if gateway is None:
                self._gateways[name] = Gateway(name, **changes)
            elif not _set(gateway, changes):
                return
            self._dirty["gateways"].add(name)

    def count_gateway(self, name: str, counter: Literal["rebirths_asked", "sequence_gaps"]) -> None:
        """Count one more of something that happened to a gateway since the start."""
        with self._lock:
            gateway = self._gateways.get(name)
            if gateway is not None:
                setattr(gateway, counter, getattr(gateway, counter) + 1)

    def update_device(self, gateway: str, name: str, **changes: Any) -> None:
        """Change fields of a device, adding it if it is new."""
        key = (gateway, name)
        with self._lock:
            device = self._devices.get(key)
            if device is None:
                self._add_device(Device(gateway, name, **changes))
            elif not _set(device, changes):
                return
            self._dirty["devices"].add(key)

    def describe(self, gateway: str, device: str | None, name: str, value: object) -> None:
        """Note a property (text or number) of a gateway, or of one of its devices."""
        with self._lock:
            thing = self._gateways.get(gateway) if device is None else self._device(gateway, device)
            name = name.removeprefix("Properties/")
            if thing is None or thing.properties.get(name) == value:
                return
            thing.properties = {**thing.properties, name: value}
            if device is None:
                self._dirty["gateways"].add(gateway)
            else:
                self._dirty["devices"].add((gateway, device))

    def count_diagnostic(self, gateway: str, name: str, counter: str, value: int) -> None:
        """Note a bus counter of a device; one that never answered is known by its counters alone."""
        with self._lock:
            device = self._device(gateway, name)
            if device.diagnostics.get(counter) != value:
                device.diagnostics[counter] = value
                self._dirty["devices"].add((gateway, name))

    def _device(self, gateway: str, name: str) -> Device:
        device = self._devices.get((gateway, name))
        return device or self._add_device(Device(gateway, name))

    def _add_device(self, device: Device) -> Device:
        self._devices[device.gateway, device.name] = device
        self._names[device.gateway] = (*self._names.get(device.gateway, ()), device.name)
        return device

    def seen(self, heard: Mapping[tuple[str, str | None], int]) -> None:
        """Note when something was last heard of gateways and of their devices.

        It is entered when somebody asks: batches of a large fleet follow each other much faster.
        """
        with self._lock:
            self._heard.update(heard)
            self._any_heard |= bool(heard)

    def heard(self, names: list[tuple[str, str | None]], number: Int64, time_ms: Int64) -> None:
        """As ``seen``, of many messages in the order in which they came.

        ``number`` has places in ``names`` (gateway and device), which grow but stay the same.
        """
        with self._lock:
            self._numbered = names
            if len(names) > len(self._numbered_ms):
                more = np.zeros(2 * len(names) - len(self._numbered_ms), np.int64)
                self._numbered_ms = np.concatenate([self._numbered_ms, more])
            self._numbered_ms[number] = time_ms
            self._any_heard = True

    def _enter_heard(self) -> None:
        """Bring gateways and devices up to date with what was heard; the lock is held."""
        if not self._any_heard:
            return
        gateways, devices, heard = self._gateways, self._devices, self._heard
        for number in np.flatnonzero(self._numbered_ms).tolist():
            key = self._numbered[number]
            heard[key] = max(int(self._numbered_ms[number]), heard.get(key, 0))
        for key, now_ms in heard.items():
            gateway = gateways.get(key[0])
            if gateway is not None:
                gateway.last_seen_ms = now_ms
            device = None if key[1] is None else devices.get((key[0], key[1]))
            if device is not None:
                device.last_seen_ms = now_ms
        self._seen.update(heard)
        self._heard, self._any_heard = {}, False
        self._numbered_ms[:] = 0

    def admit(self, description: SeriesDescription) -> Series:
        """The series so described: a new one with the next index, or the known one brought up to date."""
        with self._lock:
            index = self._by_key.get(description.key)
            new = index is None
            if index is None:
                index = len(self._series)
            d = description
            series = Series(
                index, d.key, d.group, d.station, d.quantity, d.unit, d.interval_ms, d.valid,
                d.profile, d.tags,
            )  # fmt: skip
            if new:
                self._append(series)
            elif self._series[index] == series:
                return series
            else:
                self._series[index] = series
                self._sorted = None
            self._dirty["series"].add(index)
            self._announce.add(index)
            return series

    def _append(self, series: Series) -> None:
        self._series.append(series)
        self._by_key[series.key] = series.index
        place = (series.key.gateway, series.key.device)
        self._counts[place] = self._counts.get(place, 0) + 1
        self._sorted = None

    @property
    def announced(self) -> int:
        """How many series are new or have changed since ``take_announced``."""
        return len(self._announce)

    def take_announced(self) -> list[Series]:
        """Series that are new or have changed since the last call."""
        with self._lock:
            changed = [self._series[i] for i in sorted(self._announce)]
            self._announce.clear()
            return changed

    # --- the database

    def load(self) -> None:
        """Fill the inventory from the database."""
        with self._database.engine.connect().execution_options(read_only=True) as connection:
            for row in connection.execute(sa.select(schema.stations)).mappings():
                values = dict(row)
                station = Station(group=values.pop("group_id"), **values)
                self._stations[station.id] = station
            for row in connection.execute(sa.select(schema.gateways)).mappings():
                values = dict(row)
                gateway = Gateway(
                    group=values.pop("group_id"), station=values.pop("station_id"), **values
                )
                self._gateways[gateway.id] = gateway
            for row in connection.execute(sa.select(schema.devices)).mappings():
                values = dict(row)
                device = Device(gateway=values.pop("gateway_id"), **values)
                self._add_device(device)
            rows = connection.execute(sa.select(schema.series).order_by(schema.series.c.index))
            for row in rows.mappings():
                series = _series_from(dict(row))
                assert series.index == len(self._series), "series indices are dense"
                self._append(series)
        self._announce = set(range(len(self._series)))

    def has_new_series(self) -> bool:
        """Whether a series is not in the database yet (which must come before its samples)."""
        return bool(self._dirty["series"])

    def has_changes(self) -> bool:
        """Whether anything but the time of the last message waits to be saved."""
        return any(self._dirty.values())

    def save(self, connection: Connection) -> None:
        """Write what changed since the last save; ``saved`` must follow once it is committed."""
        if not self.has_changes():
            return
        with self._lock:
            self._enter_heard()
            rows: dict[sa.Table, list[dict[str, Any]]] = {
                schema.stations: [_station_row(self._stations[i]) for i in self._dirty["stations"]],
                schema.gateways: [_gateway_row(self._gateways[i]) for i in self._dirty["gateways"]],
                schema.devices: [_device_row(self._devices[i]) for i in self._dirty["devices"]],
            }
            series = [_series_row(self._series[i]) for i in self._dirty["series"]]
        for table, changed in rows.items():
            upsert(connection, table, changed)
        put_rows(connection, schema.series, series)

    def save_seen(self, connection: Connection) -> None:
        """Write when each gateway and device was last heard of, if it was since the last time."""
        with self._lock:
            self._enter_heard()
            seen = [key for key in self._seen if key in self._devices]
            devices = [(self._devices[key].last_seen_ms, *key) for key in seen]
            names = {name for name, _ in self._seen} & self._gateways.keys()
            gateways = [(self._gateways[name].last_seen_ms, name) for name in names]
        set_column(connection, schema.gateways, "last_seen_ms", ("id",), gateways)
        set_column(connection, schema.devices, "last_seen_ms", ("gateway_id", "name"), devices)

    def saved(self, *, seen: bool = False) -> None:
        """The last save is committed, with when all were ``seen`` last."""
        with self._lock:
            if seen:
                self._seen.clear()
            for names in self._dirty.values():
                names.clear()


def _set(thing: object, changes: Mapping[str, Any]) -> bool:
    changed = False
    for name, value in changes.items():
        if getattr(thing, name) != value:
            setattr(thing, name, value)
            changed = True
    return changed


def _station_row(s: Station) -> dict[str, Any]:
    return {
        "id": s.id, "name": s.name, "group_id": s.group, "latitude": s.latitude,
        "longitude": s.longitude, "former_unit": s.former_unit, "current_unit": s.current_unit,
    }  # fmt: skip


_UNSAVED = ("group", "station", "rebirths_asked", "sequence_gaps")


def _gateway_row(g: Gateway) -> dict[str, Any]:
    row = {f.name: getattr(g, f.name) for f in fields(g) if f.name not in _UNSAVED}
    return row | {"group_id": g.group, "station_id": g.station}


def _device_row(d: Device) -> dict[str, Any]:
    row = {f.name: getattr(d, f.name) for f in fields(d) if f.name != "gateway"}
    return row | {"gateway_id": d.gateway, "diagnostics": dict(d.diagnostics)}


def _series_row(s: Series) -> tuple[Any, ...]:
    """The values in the order of the table's columns."""
    low, high = s.valid or (None, None)
    key = s.key
    return (
        s.index, key.gateway, key.device, key.metric, s.group, s.station, s.quantity, s.unit,
        s.interval_ms, low, high, s.profile, json.dumps(s.tags) if s.tags else "[]",
    )  # fmt: skip


def _series_from(row: Mapping[str, Any]) -> Series:
    valid = None if row["low"] is None or row["high"] is None else (row["low"], row["high"])
    return Series(
        row["index"], SeriesKey(row["gateway_id"], row["device"], row["metric"]), row["group_id"],
        row["station_id"], row["quantity"], row["unit"], row["interval_ms"], valid,
        row["profile"], tuple(row["tags"]),
    )  # fmt: skip
