"""The manifest: which files are the store. It is replaced as a whole, so a crash leaves the old one."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from cloud_ingest.stores.protocol import Level, StoreError

FORMAT = 1
NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet file: samples of one UTC day (or summaries of them), sorted by series and time.

    Of two parts that hold the same (series, time), the one with the greater ``number`` is right.
    ``through``: for summaries, the number of the last raw part that went into them.
    """

    level: Level
    day: int
    number: int
    rows: int
    first_ms: int
    last_ms: int
    low: int
    high: int
    through: int = 0

    @property
    def file(self) -> str:
        """Where it lies in the store's folder."""
        return f"{self.level}/{self.day:+08d}/{self.number:010d}.parquet"


@dataclass(frozen=True, slots=True)
class Manifest:
    """All parts, the first journal whose samples are in none of them, the next free number."""

    parts: tuple[Part, ...] = ()
    journal: int = 1
    next_number: int = 1
    raw_from_ms: int = field(default=-(1 << 62))
    """Older samples are forgotten, though a part may still hold them."""

    def changed(
        self, add: Iterable[Part] = (), drop: Iterable[Part] = (), **changes: int
    ) -> "Manifest":
        """The manifest with parts added and dropped and other fields set."""
        gone = set(drop)
        parts = (*(p for p in self.parts if p not in gone), *add)
        ordered = tuple(sorted(parts, key=lambda p: (p.level, p.day, p.number)))
        return replace(self, parts=ordered, **changes)


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
    parts = tuple(Part(**part) for part in tree["parts"])
    return Manifest(parts, tree["journal"], tree["next_number"], tree["raw_from_ms"])


def save(folder: Path, manifest: Manifest) -> None:
    """Make ``manifest`` the store's, durably and at one stroke."""
    tree = {"format": FORMAT, **asdict(manifest)}
    replace_file(folder / NAME, json.dumps(tree).encode())


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
