"""Backup and restore of samples and the relational database. A backup may be made while running.

A backup is one tar file: ``backup.json`` (format and origin), ``relations.jsonl`` (every row of the
relational database) and ``samples/`` (an embedded store, whatever kind the store has).
"""

import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cloud_ingest.database import Database, schema
from cloud_ingest.inventory.inventory import Inventory
from cloud_ingest.stores import StoreConfiguration, open_store
from cloud_ingest.stores.embedded.files import folder, manifest, series_catalogue, summary_file
from cloud_ingest.stores.embedded.files.manifest import Manifest
from cloud_ingest.stores.embedded.files.replacing import sync_folder
from cloud_ingest.stores.embedded.read_only_store import ReadOnlyStore
from cloud_ingest.stores.embedded.store import EmbeddedStore
from cloud_ingest.stores.protocol import EARLIEST_MS, LATEST_MS, SampleStore, StoreError
from cloud_ingest.transfer import database_dump
from telemetry.batches import SampleBatch
from telemetry.series import Series
from telemetry.time.clock import utc_now_ms

FORMAT = 1
SERIES_TABLE = schema.series.name
TRIES = 30
_CENTURIES_LATER_MS = 1 << 53


class BackupError(Exception):
    """A backup cannot be made or restored."""


def back_up(configuration: StoreConfiguration, database: Database, target: Path) -> dict[str, Any]:
    """Write a backup to ``target``; returns the content of its ``backup.json``.

    The relational database is read first, so that all samples that its ledger counts as stored are
    in the backup. Its series are read last, so that every sample has its series.
    """
    new = target.with_name(target.name + ".new")
    with tempfile.TemporaryDirectory(dir=_scratch(configuration, target), prefix="backup-") as made:
        staging = Path(made)
        rows = staging / "relations.jsonl"
        with rows.open("w", encoding="utf-8") as file:
            file.writelines(database_dump.dump(database.engine, but=[SERIES_TABLE]))
        samples = staging / "samples"
        if configuration.kind == "embedded":
            _snapshot(folder.store_folder(configuration), samples)
        else:
            _copy_out(configuration, Inventory(database), samples)
        with rows.open("a", encoding="utf-8") as file:
            file.writelines(database_dump.dump(database.engine, only=[SERIES_TABLE]))
        about = {
            "format": FORMAT,
            "made_ms": utc_now_ms(),
            "store": configuration.kind,
            "series": len(series_catalogue.load(samples)),
        }
        with tarfile.open(new, "w") as tar:
            _add_text(tar, "backup.json", json.dumps(about))
            tar.add(rows, "relations.jsonl")
            tar.add(samples, "samples")
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(target)
        sync_folder(target.absolute().parent)
    return about


def _scratch(configuration: StoreConfiguration, target: Path) -> Path:
    """The folder for temporary files: beside the store, so that parts can be linked, not copied."""
    if configuration.kind == "embedded" and configuration.path is not None:
        return configuration.path
    return target.absolute().parent


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o640, int(time.time())
    tar.addfile(entry, io.BytesIO(data))


def _snapshot(source: Path, target: Path) -> None:
    """Copy the embedded store in ``source``, as it is at one moment, to ``target``."""
    if not (source / "journal").is_dir():
        raise BackupError(f"{source}: there is no store")
    for _ in range(TRIES):
        m = manifest.load(source)
        target.mkdir()
        try:
            _gather(source, target, m)
        except FileNotFoundError:
            shutil.rmtree(target)
            continue
        if manifest.load(source) == m:
            return
        shutil.rmtree(target)
    raise BackupError(f"{source}: changes faster than it can be copied")


def _gather(source: Path, target: Path, m: Manifest) -> None:
    for part in m.parts:
        to = target / part.file
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            to.hardlink_to(source / part.file)  # parts never change
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise
            shutil.copyfile(source / part.file, to)
    (target / "journal").mkdir()
    for number in folder.journal_numbers(source):
        if number >= m.journal:
            name = folder.journal_path(source, number)
            shutil.copyfile(name, target / "journal" / name.name)
    newest = source / f"newest-{m.journal}"
    if newest.exists():
        shutil.copyfile(newest, target / newest.name)
    if (source / series_catalogue.NAME).exists():
        shutil.copyfile(source / series_catalogue.NAME, target / series_catalogue.NAME)
    _copy_summaries(source / summary_file.NAME, target / summary_file.NAME)
    manifest.save(target, m)


def _copy_summaries(source: Path, target: Path) -> None:
    if not source.exists():
        return
    there, here = sqlite3.connect(source, timeout=10), sqlite3.connect(target)
    try:
        there.backup(here)
    finally:
        there.close()
        here.close()


def _copy_out(configuration: StoreConfiguration, inventory: Inventory, target: Path) -> None:
    """Copy all samples of a server into an embedded store, with the inventory's series indexes."""
    inventory.load()
    source = open_store(configuration, read_only=True)
    made = EmbeddedStore(target)
    try:
        source.register(inventory.series())
        copy(source, made, inventory.series())
        made.flush()
        made.maintain(_CENTURIES_LATER_MS)
    finally:
        made.close()
        source.close()
    (target / "lock").unlink()


def copy(source: SampleStore, target: SampleStore, series: Sequence[Series]) -> int:
    """Copy all samples of ``series`` from one store to another; returns their number."""
    target.register(series)
    total = 0
    for s, found in source.scan(series, EARLIEST_MS, LATEST_MS):
        n = len(found.time_ms)
        target.write(SampleBatch.of([s.index] * n, found.time_ms, found.value, found.quality))
        total += n
    return total


def restore(configuration: StoreConfiguration, database: Database, source: Path) -> dict[str, Any]:
    """Restore a backup into an empty store and its database; returns its ``backup.json``.

    The system must not be running. Raises BackupError if the store holds samples.
    """
    folder_beside = configuration.path if configuration.kind == "embedded" else None
    if folder_beside is not None:
        folder_beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder_beside, prefix="restore-") as made:
        staging = Path(made)
        about = _unpack(source, staging)
        if configuration.kind == "embedded":
            _put_in_place(staging / "samples", folder.store_folder(configuration))
        else:
            _copy_in(configuration, staging / "samples")
        database.migrate()
        with (staging / "relations.jsonl").open(encoding="utf-8") as file:
            database_dump.restore(database.engine, file)
    return about


def _unpack(source: Path, staging: Path) -> dict[str, Any]:
    try:
        with tarfile.open(source) as tar:
            tar.extractall(staging, filter="data")
        about: dict[str, Any] = json.loads((staging / "backup.json").read_text(encoding="utf-8"))
    except (OSError, tarfile.TarError, ValueError) as error:
        raise BackupError(f"{source}: not a backup of Quantrac ({error})") from error
    if about.get("format") != FORMAT:
        raise BackupError(f"{source}: format {about.get('format')}; this version reads {FORMAT}")
    return about


def _put_in_place(samples: Path, target: Path) -> None:
    if target.exists():
        try:
            store = EmbeddedStore(target)
        except StoreError as error:
            raise BackupError(f"{error}; stop it before restoring") from error
        empty = not store.snapshot().layout.manifest.parts and not any(
            map(len, store.snapshot().unflushed)
        )
        store.close()
        if not empty:
            raise BackupError(f"{target}: there are samples already; restore into an empty store")
        shutil.rmtree(target)
    samples.rename(target)
    sync_folder(target.parent)


def _copy_in(configuration: StoreConfiguration, samples: Path) -> None:
    target = open_store(configuration)
    try:
        if target.series():
            raise BackupError(
                f"{configuration.bucket}: there are samples already; restore into an empty one"
            )
        (samples / "lock").unlink(missing_ok=True)
        source = ReadOnlyStore(samples)
        copy(source, target, source.series())
        source.close()
    finally:
        target.close()
