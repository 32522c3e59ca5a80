"""The manifest: which files are the store. It is replaced as a whole, so a crash leaves the old one."""

import datetime as dt
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from cloud_ingest.stores.protocol import Resolution, StoreError

FORMAT = 1
NAME = "manifest.json"
DAY_MS = 86_400_000
_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class ParquetPart:
    """One Parquet file: samples of one UTC day (since 1970), sorted by series and time.

    ``low`` and ``high`` are the least and greatest number of a series in it. Of two parts that hold
    the same (series, time), the one with the greater ``number`` is right. Parts of one ``group`` were
    written together and hold different series.
    """

    day: int
    number: int
    rows: int
    first_ms: int
    last_ms: int
    low: int
    high: int
    group: int

    @property
    def file(self) -> str:
        """Where it lies in the store's folder: day, then number."""
        day = _EPOCH + dt.timedelta(days=self.day)
        return f"raw/{day.isoformat()}/{self.number:010d}.parquet"


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that is true of the store on disk.

    ``journal`` is the first journal whose samples are in no part. ``kept_from`` says per resolution what
    is forgotten: whatever is older, though a file may still hold it.
    """

    parts: tuple[ParquetPart, ...] = ()
    journal: int = 1
    next_number: int = 1
    kept_from: Mapping[Resolution, int] = field(default_factory=dict)

    def changed(
        self,
        add: Iterable[ParquetPart] = (),
        drop: Iterable[ParquetPart] = (),
        kept_from: Mapping[Resolution, int] | None = None,
        **numbers: int,
    ) -> "Manifest":
        """The manifest with parts added and dropped, and other facts set."""
        gone = set(drop)
        parts = sorted(
            (*(p for p in self.parts if p not in gone), *add),
            key=lambda p: (p.day, p.number),
        )
        return replace(
            self,
            parts=tuple(parts),
            kept_from={**self.kept_from, **(kept_from or {})},
            **numbers,  # journal and next_number
        )

    def since(self, resolution: Resolution) -> int:
        """The time before which ``resolution`` is forgotten."""
        return self.kept_from.get(resolution, -(1 << 62))


def load(folder: Path) -> Manifest:
    """Read the manifest of the store in ``folder``; an empty one where there is none yet."""
    path = folder / NAME
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Manifest()
    except ValueError as error:
        raise StoreError(f"{path}: damaged ({error})") from error
    if tree.get("format") != FORMAT:
        raise StoreError(f"{path}: format {tree.get('format')}; this version reads {FORMAT}")
    return Manifest(
        tuple(ParquetPart(**part) for part in tree["parts"]),
        tree["journal"],
        tree["next_number"],
        tree["kept_from"],
    )


def save(folder: Path, manifest: Manifest) -> None:
    """Make ``manifest`` the store's, durably and at one stroke."""
    replace_file(folder / NAME, json.dumps({"format": FORMAT, **asdict(manifest)}).encode())


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new one whole."""
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
