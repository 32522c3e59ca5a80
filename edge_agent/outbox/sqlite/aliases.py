"""The aliases of metrics and the shapes of reports: numbers that are assigned once."""

import sqlite3
import struct
import threading
from collections.abc import Iterable, Mapping, Sequence

from edge_agent.outbox.sqlite.checksums import check, checksum_of
from edge_agent.outbox.sqlite.row_format import NO_SHAPE, Shape

MAX_SHAPES = 4096
"""Above this number, reports with a new shape carry an alias with every sample instead."""


class Aliases:
    """Aliases and shapes of one outbox. ``device`` None is the gateway itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._aliases: dict[tuple[str, str], int] = {}
        self._names: dict[int, tuple[str, str]] = {}
        self._retired: dict[int, int] = {}
        self._shapes: dict[tuple[str, tuple[int, ...]], Shape] = {}
        self._by_number: dict[int, Shape] = {NO_SHAPE.number: NO_SHAPE}
        self._of_metrics: dict[tuple[str | None, tuple[str, ...]], Shape] = {}
        self._unsaved_aliases: set[int] = set()
        self._unsaved_shapes: set[int] = set()

    def load(self, connection: sqlite3.Connection) -> None:
        """Read the file. What it lacks stays to be saved.

        Raises Damage if a row is not what was written.
        """
        with self._lock:
            self._of_metrics.clear()
            for alias, device, name, retired, checksum in connection.execute(
                "SELECT alias, device, name, retired_at, checksum FROM alias"
            ):
                check(checksum, alias, device, name, retired)
                self._remember(alias, device, name)
                if retired is not None:
                    self._retired[alias] = retired
            for number, device, packed, checksum in connection.execute(
                "SELECT number, device, aliases, checksum FROM shape"
            ):
                check(checksum, number, device, packed)
                aliases = struct.unpack(f"<{len(packed) // 4}I", packed)
                shape = Shape(number, device or None, aliases)
                self._shapes[device, aliases] = self._by_number[number] = shape

    def join(self, connection: sqlite3.Connection) -> dict[int, tuple[str, str]]:
        """Start again from a file that could not be read until now.

        Returns the device ('' is the gateway) and metric of each alias that was assigned meanwhile,
        because the file may use these numbers for other metrics.
        """
        with self._lock:
            names = dict(self._names)
            for known in (self._aliases, self._names, self._retired, self._shapes):
                known.clear()
            self._by_number = {NO_SHAPE.number: NO_SHAPE}
            self._unsaved_aliases.clear()
            self._unsaved_shapes.clear()
        self.load(connection)
        return names

    def start_new_file(self) -> None:
        """Plan to write everything into an empty file."""
        with self._lock:
            self._unsaved_aliases = set(self._names)
            self._unsaved_shapes = set(self._by_number) - {NO_SHAPE.number}

    def assign(self, device: str | None, names: Iterable[str]) -> dict[str, int]:
        """The alias of each metric; new metrics get the next numbers."""
        owner = device or ""
        with self._lock:
            found = {}
            for name in names:
                alias = self._aliases.get((owner, name))
                if alias is None:
                    alias = len(self._names) + 1
                    while alias in self._names:
                        alias += 1
                    self._remember(alias, owner, name)
                    self._unsaved_aliases.add(alias)
                found[name] = alias
            return found

    def shape(self, device: str | None, aliases: Sequence[int]) -> Shape:
        """The shape of a report with these metrics in this order."""
        owner, wanted = device or "", tuple(aliases)
        with self._lock:
            shape = self._shapes.get((owner, wanted))
            if shape is None and len(self._shapes) >= MAX_SHAPES:
                wanted = ()
                shape = self._shapes.get((owner, wanted))
            if shape is None:
                number = len(self._by_number)
                while number in self._by_number:
                    number += 1
                shape = Shape(number, device, wanted)
                self._shapes[owner, wanted] = self._by_number[number] = shape
                self._unsaved_shapes.add(number)
            return shape

    def shape_for(self, device: str | None, metrics: tuple[str, ...]) -> Shape:
        """The same by metric names, cached: the metrics of a read are the same at each poll."""
        shape = self._of_metrics.get((device, metrics))
        if shape is None:
            aliases = self.assign(device, metrics)
            shape = self.shape(device, [aliases[name] for name in metrics])
            if len(self._of_metrics) < MAX_SHAPES:
                self._of_metrics[device, metrics] = shape
        return shape

    def shape_of(self, number: int) -> Shape:
        """The shape with that number. Raises KeyError."""
        return self._by_number[number]

    def knows(self, number: int) -> bool:
        """Whether a shape has that number."""
        return number in self._by_number

    def metrics(self, device: str | None) -> dict[str, int]:
        """All metrics of a device that have an alias, including retired ones."""
        owner = device or ""
        with self._lock:
            return {n: alias for (d, n), alias in self._aliases.items() if d == owner}

    def devices(self) -> set[str]:
        """All devices that have a metric, including retired ones."""
        with self._lock:
            return {device for device, _ in self._aliases if device}

    def retire(self, present: Mapping[str, Iterable[str]], next_batch: int) -> None:
        """Retire the metrics that are no longer measured: only batches below ``next_batch`` have them.

        ``present`` names the metrics of each device ('' is the gateway).
        """
        with self._lock:
            kept = {(d, n) for d, names in present.items() for n in names}
            for (device, name), alias in self._aliases.items():
                is_retired = alias in self._retired
                if (device, name) in kept and is_retired:
                    del self._retired[alias]
                elif (device, name) not in kept and not is_retired:
                    self._retired[alias] = next_batch
                else:
                    continue
                self._unsaved_aliases.add(alias)

    def needed(self, device: str | None, ack_through: int) -> dict[str, int]:
        """Metrics of a device that are measured now or may be in unconfirmed batches."""
        return {
            name: alias
            for name, alias in self.metrics(device).items()
            if self._retired.get(alias, ack_through + 2) > ack_through + 1
        }

    @property
    def unsaved(self) -> bool:
        """Whether something is not yet in the file."""
        return bool(self._unsaved_aliases or self._unsaved_shapes)

    def save(self, connection: sqlite3.Connection) -> None:
        """Write what is new in the caller's transaction; call ``saved`` after the commit."""
        with self._lock:
            connection.executemany(
                "INSERT OR REPLACE INTO alias(alias, device, name, retired_at, checksum) "
                "VALUES(?, ?, ?, ?, ?)",
                [
                    _with_checksum(a, *self._names[a], self._retired.get(a))
                    for a in sorted(self._unsaved_aliases)
                ],
            )
            shapes = [self._by_number[n] for n in sorted(self._unsaved_shapes)]
            connection.executemany(
                "INSERT OR REPLACE INTO shape(number, device, aliases, checksum) "
                "VALUES(?, ?, ?, ?)",
                [
                    _with_checksum(
                        s.number, s.device or "", struct.pack(f"<{len(s.aliases)}I", *s.aliases)
                    )
                    for s in shapes
                ],
            )

    def saved(self) -> None:
        """The transaction with ``save`` was committed."""
        with self._lock:
            self._unsaved_aliases.clear()
            self._unsaved_shapes.clear()

    def _remember(self, alias: int, device: str, name: str) -> None:
        self._aliases[device, name] = alias
        self._names[alias] = (device, name)


def _with_checksum(*fields: object) -> tuple[object, ...]:
    return (*fields, checksum_of(*fields))
