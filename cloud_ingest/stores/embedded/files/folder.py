"""The files in the store's folder: their names, and removing those that nothing refers to."""

from pathlib import Path

from cloud_ingest.stores.configuration import StoreConfiguration
from cloud_ingest.stores.embedded.files import journal
from cloud_ingest.stores.embedded.files.manifest import Manifest
from cloud_ingest.stores.embedded.files.replacing import replace_file
from telemetry.batches import SampleBatch


def store_folder(configuration: StoreConfiguration) -> Path:
    """The folder of the embedded store that ``configuration`` describes."""
    assert configuration.path is not None
    return configuration.path / "samples"


def journal_path(folder: Path, number: int) -> Path:
    """The file of the journal with this number."""
    return folder / "journal" / f"{number:010d}"


def journal_numbers(folder: Path) -> list[int]:
    """The numbers of the existing journals, in ascending order."""
    return sorted(int(p.name) for p in (folder / "journal").iterdir() if p.name.isdigit())


def remove_journals(folder: Path, before: int) -> None:
    """Remove the journals with a number below ``before``: their samples are in parts."""
    for number in journal_numbers(folder):
        if number < before:
            journal_path(folder, number).unlink()


def remove_orphans(folder: Path, manifest: Manifest) -> None:
    """Remove what an interrupted flush or compaction left behind."""
    remove_journals(folder, manifest.journal)
    known = {p.file for p in manifest.parts}
    for path in folder.glob("*/*/*.parquet"):
        if path.relative_to(folder).as_posix() not in known:
            path.unlink()
    for path in folder.glob("*/*"):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def latest_path(folder: Path, journal_number: int) -> Path:
    """The file with the latest samples that belongs to the manifest with this first journal."""
    return folder / f"newest-{journal_number}"


def load_latest(folder: Path, manifest: Manifest) -> SampleBatch:
    """The latest sample of each series among the samples in parts."""
    path = latest_path(folder, manifest.journal)
    if not path.exists():
        return SampleBatch.empty()
    return SampleBatch.concat(journal.read_journal(path).batches)


def save_latest(folder: Path, latest: SampleBatch, following: int, current: int) -> None:
    """Save the latest samples for the manifest that will start with journal ``following``.

    The file of the ``current`` manifest is kept until the next call.
    """
    kept = {latest_path(folder, following), latest_path(folder, current)}
    replace_file(latest_path(folder, following), journal.encode_block(latest))
    for other in folder.glob("newest-*"):
        if other not in kept:
            other.unlink()
