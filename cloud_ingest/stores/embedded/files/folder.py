"""Where things lie in the store's folder, and clearing away what is in nobody's use."""

from pathlib import Path

from cloud_ingest.stores.configuration import StoreConfiguration
from cloud_ingest.stores.embedded.files import journal
from cloud_ingest.stores.embedded.files.manifest import Manifest, replace_file
from telemetry.batches import SampleBatch


def of(configuration: StoreConfiguration) -> Path:
    """The folder of the embedded store that ``configuration`` describes."""
    assert configuration.path is not None
    return configuration.path / "samples"


def journal_path(folder: Path, number: int) -> Path:
    """The journal of this number."""
    return folder / "journal" / f"{number:010d}"


def journal_numbers(folder: Path) -> list[int]:
    """The numbers of the journals that are there, lowest first."""
    return sorted(int(p.name) for p in (folder / "journal").iterdir() if p.name.isdigit())


def clear_journals(folder: Path, before: int) -> None:
    """Remove journals whose samples are in parts."""
    for number in journal_numbers(folder):
        if number < before:
            journal_path(folder, number).unlink()


def clear_away(folder: Path, manifest: Manifest) -> None:
    """Remove what an interrupted flush or compaction left behind."""
    clear_journals(folder, manifest.journal)
    known = {p.file for p in manifest.parts}
    for path in folder.glob("*/*/*.parquet"):
        if path.relative_to(folder).as_posix() not in known:
            path.unlink()
    for path in folder.glob("*/*"):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def load_newest(folder: Path, manifest: Manifest) -> SampleBatch:
    """The newest sample of each series, of all that lies in parts."""
    path = folder / f"newest-{manifest.journal}"
    if not path.exists():
        return SampleBatch.empty()
    batches, _ = journal.read_journal(path)
    return SampleBatch.concat(batches)


def save_newest(folder: Path, newest: SampleBatch, following: int, current: int) -> None:
    """Keep the newest samples for the manifest that will begin with journal ``following``.

    The file that belongs to the ``current`` manifest stays until the next time.
    """
    path = folder / f"newest-{following}"
    replace_file(path, journal.encode_block(newest))
    for other in folder.glob("newest-*"):
        if other.name not in (path.name, f"newest-{current}"):
            other.unlink()
