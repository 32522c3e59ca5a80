"""The manifest: which files make up the store. It is replaced as a whole."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from cloud_ingest.stores.embedded.files.replacing import replace_file
from cloud_ingest.stores.protocol import Resolution, StoreError

FORMAT = 1
NAME = "manifest.json"
DAY_MS = 86_400_000
_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class ParquetPart:
    """One Parquet file: samples of one UTC day (since 1970), sorted by series and time.

    ``low`` and ``high`` are the lowest and highest series index in it. If two parts hold the same
    (series, time), the one with the greater ``number`` is right. Parts of one ``group`` were written
    together and hold different series.
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
        """The path in the store's folder: day, then number."""
        day = _EPOCH + dt.timedelta(days=self.day)
        return f"raw/{day.isoformat()}/{self.number:010d}.parquet"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the store consists of on disk.

    ``journal`` is the first journal whose samples are in no part. ``kept_from``: for each resolution
    the time before which everything counts as deleted, even if a file still holds it.
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
        """A copy with parts added and dropped, and other fields set."""
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

    def kept_since(self, resolution: Resolution) -> int:
        """The time before which ``resolution`` counts as deleted."""
        return self.kept_from.get(resolution, -(1 << 62))


def load(folder: Path) -> Manifest:
    """Read the manifest of the store in ``folder``; an empty one if there is none yet.

    Raises StoreError, with the file's name, for a file that is damaged or of another format.
    """
    path = folder / NAME
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        if tree["format"] != FORMAT:
            raise StoreError(f"{path}: format {tree['format']}; this version reads {FORMAT}")
        return Manifest(
            tuple(ParquetPart(**part) for part in tree["parts"]),
            tree["journal"],
            tree["next_number"],
            tree["kept_from"],
        )
    except FileNotFoundError:
        return Manifest()
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{path}: damaged ({error})") from error


def save(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest`` durably, in one step."""
    replace_file(folder / NAME, json.dumps({"format": FORMAT, **asdict(manifest)}).encode())
