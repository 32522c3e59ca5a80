"""The inventory: stations, gateways, devices and series with their state.

It is held in memory, read by the API, changed by the pipeline's thread alone and saved to the
relational database. Each series has a dense index that never changes.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cloud_ingest.database import Database, schema
from cloud_ingest.database.rows import put_rows, set_column
from cloud_ingest.database.upsert import upsert
from cloud_ingest.inventory import inventory_rows
from cloud_ingest.inventory.last_seen import LastSeen, Sender
from cloud_ingest.inventory.model import Device, Gateway, SeriesDescription, Station
from telemetry.batches import Int64
from telemetry.series import NODE_DEVICE, Series, SeriesKey


class Inventory:
    """All stations, gateways, devices and series. Any thread may call the reading methods."""

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
        self._last_seen = LastSeen()
        self._last_seen_changed: set[Sender] = set()
        self._announced: set[int] = set()
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
            self._apply_last_seen()
            return [replace(g) for _, g in sorted(self._gateways.items())]

    def gateway(self, name: str) -> Gateway | None:
        """The gateway with this id."""
        with self._lock:
            self._apply_last_seen()
            found = self._gateways.get(name)
            return replace(found) if found else None

    def group_of(self, gateway: str) -> str | None:
        """The group of a gateway; None for an unknown gateway."""
        found = self._gateways.get(gateway)
        return found.group if found else None

    def devices(self) -> list[Device]:
        """All devices by gateway and name."""
        with self._lock:
            self._apply_last_seen()
            return [
                replace(d, diagnostics=dict(d.diagnostics))
                for _, d in sorted(self._devices.items())
            ]

    def device(self, gateway: str, name: str) -> Device | None:
        """One device of a gateway."""
        with self._lock:
            self._apply_last_seen()
            found = self._devices.get((gateway, name))
            return replace(found, diagnostics=dict(found.diagnostics)) if found else None

    def devices_of(self, gateway: str) -> list[Device]:
        """The devices of a gateway by name."""
        with self._lock:
            self._apply_last_seen()
            names = sorted(self._names.get(gateway, ()))
            return [replace(self._devices[gateway, name]) for name in names]

    def online(self) -> set[tuple[str, str]]:
        """The (gateway, device) that are online; a gateway's own metrics have the device "-"."""
        with self._lock:
            own = {(g.id, NODE_DEVICE) for g in self._gateways.values() if g.online}
            return own | {key for key, d in self._devices.items() if d.online}

    def count_series(self, gateway: str, device: str) -> int:
        """The number of series of a device."""
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
        """Add or update a station. A missing location or unit keeps the known value."""
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
        """Increment a counter of a gateway. Counters start at 0 with the process."""
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
        """Set a property (text or number) of a gateway, or of one of its devices."""
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
        """Set a bus counter of a device. A device that never answered is known by its counters alone."""
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

    def note_last_seen(self, seen: Mapping[Sender, int]) -> None:
        """Note when gateways and devices last sent a message (UTC ms).

        Gateways and devices are brought up to date when they are next read or saved.
        """
        with self._lock:
            self._last_seen.note(seen)

    def note_many_last_seen(self, senders: list[Sender], number: Int64, time_ms: Int64) -> None:
        """As ``note_last_seen``, for many messages in the order in which they arrived.

        ``number`` holds indices of ``senders``, a list that only grows.
        """
        with self._lock:
            self._last_seen.note_many(senders, number, time_ms)

    def _apply_last_seen(self) -> None:
        """Bring gateways and devices up to date with their last messages; the lock is held."""
        seen = self._last_seen.take()
        for (name, device_name), time_ms in seen.items():
            gateway = self._gateways.get(name)
            if gateway is not None:
                gateway.last_seen_ms = time_ms
            device = None if device_name is None else self._devices.get((name, device_name))
            if device is not None:
                device.last_seen_ms = time_ms
        self._last_seen_changed.update(seen)

    def admit(self, description: SeriesDescription) -> Series:
        """The described series: a new one with the next index, or the known one, updated."""
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
            self._announced.add(index)
            return series

    def _append(self, series: Series) -> None:
        self._series.append(series)
        self._by_key[series.key] = series.index
        device = (series.key.gateway, series.key.device)
        self._counts[device] = self._counts.get(device, 0) + 1
        self._sorted = None

    @property
    def announced(self) -> int:
        """The number of series that are new or changed since ``take_announced``."""
        return len(self._announced)

    def take_announced(self) -> list[Series]:
        """Series that are new or have changed since the last call."""
        with self._lock:
            changed = [self._series[i] for i in sorted(self._announced)]
            self._announced.clear()
            return changed

    # --- the database

    def load(self) -> None:
        """Fill the inventory from the database."""
        with self._database.engine.connect().execution_options(read_only=True) as connection:
            for row in connection.execute(sa.select(schema.stations)).mappings():
                station = inventory_rows.station_from(dict(row))
                self._stations[station.id] = station
            for row in connection.execute(sa.select(schema.gateways)).mappings():
                gateway = inventory_rows.gateway_from(dict(row))
                self._gateways[gateway.id] = gateway
            for row in connection.execute(sa.select(schema.devices)).mappings():
                self._add_device(inventory_rows.device_from(dict(row)))
            rows = connection.execute(sa.select(schema.series).order_by(schema.series.c.index))
            for row in rows.mappings():
                series = inventory_rows.series_from(dict(row))
                assert series.index == len(self._series), "series indices are dense"
                self._append(series)
        self._announced = set(range(len(self._series)))

    def has_new_series(self) -> bool:
        """Whether a series is not in the database yet; it must be before its first sample."""
        return bool(self._dirty["series"])

    def has_changes(self) -> bool:
        """Whether anything but last-seen times is unsaved."""
        return any(self._dirty.values())

    def save(self, connection: Connection) -> None:
        """Write what changed since the last save. Call ``saved`` after the commit."""
        if not self.has_changes():
            return
        with self._lock:
            self._apply_last_seen()
            rows: dict[sa.Table, list[dict[str, Any]]] = {
                schema.stations: [
                    inventory_rows.station_row(self._stations[i]) for i in self._dirty["stations"]
                ],
                schema.gateways: [
                    inventory_rows.gateway_row(self._gateways[i]) for i in self._dirty["gateways"]
                ],
                schema.devices: [
                    inventory_rows.device_row(self._devices[i]) for i in self._dirty["devices"]
                ],
            }
            series = [inventory_rows.series_row(self._series[i]) for i in self._dirty["series"]]
        for table, changed in rows.items():
            upsert(connection, table, changed)
        put_rows(connection, schema.series, series)

    def save_last_seen(self, connection: Connection) -> None:
        """Write the last-seen times that changed since they were last saved."""
        with self._lock:
            self._apply_last_seen()
            changed = self._last_seen_changed
            devices = [
                (self._devices[gateway, name].last_seen_ms, gateway, name)
                for gateway, name in changed
                if name is not None and (gateway, name) in self._devices
            ]
            names = {name for name, _ in changed} & self._gateways.keys()
            gateways = [(self._gateways[name].last_seen_ms, name) for name in names]
        set_column(connection, schema.gateways, "last_seen_ms", ("id",), gateways)
        set_column(connection, schema.devices, "last_seen_ms", ("gateway_id", "name"), devices)

    def saved(self, *, last_seen: bool = False) -> None:
        """Note that the last save is committed; ``last_seen``: with the last-seen times."""
        with self._lock:
            if last_seen:
                self._last_seen_changed.clear()
            for names in self._dirty.values():
                names.clear()


def _set(thing: object, changes: Mapping[str, Any]) -> bool:
    """Set attributes; False where all have these values already."""
    changed = False
    for name, value in changes.items():
        if getattr(thing, name) != value:
            setattr(thing, name, value)
            changed = True
    return changed
