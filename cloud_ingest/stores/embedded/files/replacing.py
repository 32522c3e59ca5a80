"""Files that change as a whole, and damaged files that are kept aside."""

import filecmp
import os
import shutil
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write a file durably; a reader or a crash sees either the old content or the new one."""
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


def keep_damaged(path: Path) -> Path:
    """Give the file a second name that ends in ``.damaged``, so that its content is kept.

    A copy with the same content is kept once, however often the file is found damaged.
    """
    number = 1
    while True:
        kept = path.with_name(f"{path.name}{'' if number == 1 else f'-{number}'}.damaged")
        if not kept.exists():
            try:
                kept.hardlink_to(path)
            except OSError:  # a file system without hard links
                copy = kept.with_name(kept.name + ".new")
                shutil.copyfile(path, copy)
                copy.replace(kept)
            sync_folder(path.parent)
            return kept
        if kept.samefile(path) or filecmp.cmp(kept, path, shallow=False):
            return kept
        number += 1


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
