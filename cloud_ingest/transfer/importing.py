"""Import: rows of a file into a store, and their series into the inventory."""

import gzip
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from cloud_ingest.database import Database
from cloud_ingest.inventory.inventory import Inventory
from cloud_ingest.inventory.model import SeriesDescription
from cloud_ingest.stores import StoreConfiguration, open_store
from cloud_ingest.stores.embedded.files import folder, import_inbox
from cloud_ingest.stores.protocol import SampleStore, StoreError, StoreRejected, StoreUnavailable
from cloud_ingest.transfer.line_protocol import read_lines
from cloud_ingest.transfer.rows import Imported, Row, RowSeries, batches
from cloud_ingest.transfer.table_files import read_parquet
from cloud_ingest.transfer.text_files import read_csv
from telemetry.quantities import QUANTITIES, UNKNOWN
from telemetry.series import Series
from telemetry.units import UnitError, convert

Form = Literal["csv", "parquet", "lines"]
TAKEN_WITHIN_S = 120.0


class ImportRefused(Exception):  # noqa: N818  # named by what went wrong
    """A file cannot be imported now; the message says what to do."""


@contextmanager
def rows_of(path: Path, form: Form, precision: str = "ms") -> Iterator[Iterator[Row]]:
    """The rows of a file; text files may be compressed (``.gz``)."""
    if form == "parquet":
        yield read_parquet(path)
        return
    with path.open("rb") as raw:
        plain = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        text = io.TextIOWrapper(plain, encoding="utf-8", newline="")
        if form == "csv":
            yield read_csv(text)
        else:
            yield read_lines(text, precision)


class Importer:
    """Writes rows into the configured store, directly or through a running system."""

    def __init__(
        self, configuration: StoreConfiguration, database: Database, stopped: bool = False
    ) -> None:
        """``stopped``: no ``quantrac cloud`` is running with the same database."""
        self._configuration = configuration
        self._database = database
        self._inventory = Inventory(database)
        # An embedded store has a lock that shows whether it is in use.
        self._running = configuration.kind != "embedded" and not stopped

    def run(self, rows: Iterator[Row]) -> Imported:
        """Import all rows. Rejected rows are counted, with the first reason.

        Raises ImportRefused for new series while the system is running: only it may index them.
        """
        self._database.migrate()
        self._inventory.load()
        store = self._open()
        taken = refused = 0
        reason = ""
        try:
            store.register(self._inventory.series())
            for batch in batches(rows, lambda d: self._admit(d, store)):
                self._save()
                taken += len(batch)
                try:
                    store.write(batch)
                except StoreRejected as rejected:
                    taken -= len(rejected.rejected)
                    refused += len(rejected.rejected)
                    reason = reason or rejected.reasons[0]
        finally:
            store.close()
        if self._running and self._configuration.kind == "embedded":
            self._wait_until_taken()
        return Imported(taken, refused, reason)

    def _open(self) -> SampleStore:
        try:
            return open_store(self._configuration)
        except StoreUnavailable:
            if self._configuration.kind != "embedded":
                raise
            self._running = True
            return open_store(self._configuration, read_only=True)

    def _admit(self, described: RowSeries, store: SampleStore) -> Series:
        known = self._inventory.series_of(described.key)
        if known is not None:
            return known
        if self._running:
            raise ImportRefused(
                f"{described.key} is a new series, which only a stopped system can take: stop "
                "quantrac cloud, then import with --stopped"
            )
        unit = described.unit
        if described.quantity in QUANTITIES:
            unit = QUANTITIES[described.quantity].unit
        series = self._inventory.admit(
            SeriesDescription(
                described.key, "", described.station, described.quantity or UNKNOWN, unit or "1"
            )
        )
        store.register([series])
        return series

    def _save(self) -> None:
        """Save new series in the database before their samples are stored."""
        if self._inventory.has_new_series():
            with self._database.engine.begin() as connection:
                self._inventory.save(connection)
            self._inventory.saved()

    def _wait_until_taken(self) -> None:
        path = folder.store_folder(self._configuration)
        end = time.monotonic() + TAKEN_WITHIN_S
        while import_inbox.pending(path):
            if time.monotonic() > end:
                raise StoreError(
                    f"{path}/inbox: the running system has not stored the samples yet; it will"
                )
            time.sleep(0.2)


def in_canonical_units(rows: Iterator[Row]) -> Iterator[Row]:
    """Rows with values converted to the unit in which their quantity is stored.

    Raises ImportRefused for a unit of another dimension.
    """
    for row in rows:
        quantity = QUANTITIES.get(row.series.quantity)
        unit = row.series.unit
        if quantity is None or unit in ("", quantity.unit):
            yield row
            continue
        try:
            yield row._replace(value=convert(row.value, unit, quantity.unit))
        except UnitError as error:
            raise ImportRefused(f"{row.series.key}: {error}") from error
